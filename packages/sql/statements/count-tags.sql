/* perdure:count_t:9071cb2d */
WITH workflows AS MATERIALIZED (
  SELECT a.workflow, 1 AS few FROM (
    WITH RECURSIVE workflow_scan AS (
      (SELECT n.workflow FROM "perdure"."inputs" n WHERE n.workflow >= '' ORDER BY n.workflow LIMIT 1)
      UNION ALL
      SELECT (SELECT n.workflow FROM "perdure"."inputs" n WHERE n.workflow > e.workflow ORDER BY n.workflow LIMIT 1)
      FROM workflow_scan e WHERE e.workflow IS NOT NULL
    )
    SELECT e.workflow FROM workflow_scan e WHERE e.workflow IS NOT NULL
  ) a(workflow)
), candidate_runs AS MATERIALIZED (
  SELECT DISTINCT x.id, 1 AS few FROM (
    SELECT n.run AS id FROM "perdure"."inputs" n WHERE n.tags @> ARRAY(SELECT json_array_elements_text($1::json))
  ) x
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (
  SELECT json_agg(json_build_array(c.status, c.runs))::text
  FROM (
    SELECT r.status, count(*)::int AS runs
    FROM candidate_runs w
    CROSS JOIN LATERAL (
      SELECT n.* FROM "perdure"."inputs" n WHERE n.run = w.id OFFSET 0
    ) n
    CROSS JOIN LATERAL (
      SELECT r.* FROM "perdure"."runs" r WHERE r.id = n.run OFFSET 0
    ) r
    WHERE w.few = 1 AND n.tags @> ARRAY(SELECT json_array_elements_text($1::json))
    GROUP BY r.status
  ) c
) AS counts;
