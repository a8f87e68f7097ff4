/* perdure:schedules_see:259978ae */
WITH requested_names AS MATERIALIZED (
  SELECT DISTINCT n.text COLLATE "C" AS name, 1 AS few FROM json_array_elements_text($1::json) AS n(text)
), stored_schedules AS MATERIALIZED (
  SELECT s.name, s.seen_at
  FROM requested_names a
  CROSS JOIN LATERAL (SELECT s.name, s.seen_at FROM "perdure"."schedules" s WHERE s.name = a.name LIMIT 1) s
  WHERE a.few = 1
), locked_rows AS MATERIALIZED (
  SELECT s.name, 1 AS few
  FROM (
    SELECT k.name FROM stored_schedules k WHERE k.seen_at < date_trunc('milliseconds', statement_timestamp()) - interval '30 seconds' ORDER BY k.name
  ) k
  CROSS JOIN LATERAL (
    SELECT s.name FROM "perdure"."schedules" s WHERE s.name = k.name FOR UPDATE SKIP LOCKED OFFSET 0
  ) s
), updated_rows AS (
  UPDATE "perdure"."schedules" s SET seen_at = date_trunc('milliseconds', statement_timestamp()) FROM locked_rows l
  WHERE s.name = l.name AND l.few = 1
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (SELECT count(*) FROM stored_schedules)::int AS seen;
