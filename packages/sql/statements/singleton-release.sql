/* perdure:singleton_release:a2d73e58 */
WITH released_keys AS MATERIALIZED (
  SELECT a.*, 1 AS few FROM json_to_recordset($1::json) AS a(workflow text, key text, run text)
), deleted_singletons AS (
  DELETE FROM "perdure"."singletons" s
  USING released_keys a
  WHERE a.few = 1 AND s.workflow = a.workflow AND s.key = a.key AND s.run = a.run
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now;
