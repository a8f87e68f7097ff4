/* perdure:workflows_pause:318d8db1 */
WITH paused_workflows AS (
  INSERT INTO "perdure"."held" (at, workflow, requested_by, reason)
  SELECT DISTINCT date_trunc('milliseconds', statement_timestamp()), w.name COLLATE "C", $2::text, $3::text FROM json_array_elements_text($1::json) AS w(name)
  ORDER BY 2
  ON CONFLICT DO NOTHING
  RETURNING workflow
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now,
  (SELECT json_agg(workflow ORDER BY workflow)::text FROM paused_workflows) AS names;
