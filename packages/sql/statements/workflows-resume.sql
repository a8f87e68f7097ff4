/* perdure:workflows_resume:f43197cd */
WITH locked_workflows AS MATERIALIZED (
  SELECT h.workflow FROM "perdure"."held" h
  WHERE h.workflow IN (SELECT json_array_elements_text($1::json) COLLATE "C")
  ORDER BY h.workflow FOR UPDATE
), resumed_workflows AS (
  DELETE FROM "perdure"."held" h USING locked_workflows l WHERE h.workflow = l.workflow RETURNING h.workflow
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now,
  (SELECT json_agg(workflow ORDER BY workflow)::text FROM resumed_workflows) AS names,
  -- Any of them may have runs of these workflows.
  (
    SELECT json_agg(k.name)::text
    FROM (
      SELECT k.name FROM "perdure"."queues" k WHERE EXISTS (SELECT FROM resumed_workflows) LIMIT 1000
    ) k
  ) AS queues;
