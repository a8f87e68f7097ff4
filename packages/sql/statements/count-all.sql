/* perdure:count_:97de284b */
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
    FROM "perdure"."runs" r
    WHERE true
    GROUP BY r.status
  ) c
) AS counts;
