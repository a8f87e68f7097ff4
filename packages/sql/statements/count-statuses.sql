/* perdure:count_s1000:7e4fb4dd */
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
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (
  SELECT json_agg(json_build_array(c.status, c.runs))::text
  FROM (
    SELECT r.status, count(*)::int AS runs
    FROM (
      SELECT r.* FROM workflows f
      CROSS JOIN (SELECT DISTINCT s.status, 1 AS few FROM unnest(ARRAY(SELECT json_array_elements_text($1::json))) s(status)) s
      CROSS JOIN LATERAL (
        SELECT r.* FROM "perdure"."runs" r
        WHERE r.workflow = f.workflow AND r.status = s.status AND r.finished_at IS NOT NULL OFFSET 0
      ) r
      WHERE f.few = 1 AND s.few = 1
    ) r
    WHERE true AND r.status = ANY (ARRAY(SELECT json_array_elements_text($1::json)))
    GROUP BY r.status
  ) c
) AS counts;
