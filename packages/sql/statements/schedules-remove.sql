/* perdure:schedules_remove:0fc0458b */
WITH requested_rows AS MATERIALIZED (
  SELECT g.revision, g.name COLLATE "C" AS name
  FROM json_to_recordset($1::json) AS g(revision bigint, name text)
), locked_rows AS MATERIALIZED (
  SELECT g.*, 1 AS few
  FROM (SELECT g.* FROM requested_rows g WHERE g.revision > 0 ORDER BY g.name) g
  CROSS JOIN LATERAL (
    SELECT s.revision FROM "perdure"."schedules" s WHERE s.name = g.name FOR UPDATE SKIP LOCKED OFFSET 0
  ) s
  WHERE s.revision = g.revision
), deleted_rows AS (
  DELETE FROM "perdure"."schedules" s USING locked_rows l
  WHERE s.name = l.name AND l.few = 1 RETURNING s.name
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (SELECT json_agg(g.name ORDER BY g.name)::text FROM deleted_rows g) AS names;
