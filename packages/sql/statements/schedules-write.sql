/* perdure:schedules_write:bef52350 */
WITH requested_rows AS MATERIALIZED (
  SELECT g.revision, g.waits, g.name COLLATE "C" AS name, g.needs, g.run, g.settings, g.state, g.definition,
    to_timestamp(g.due_at / 1000.0::float8) AS due_at
  FROM json_to_recordset($1::json) AS g(revision bigint, waits boolean, name text, needs text, run text, settings text,
    state text, definition text, due_at float8)
), locked_rows AS MATERIALIZED (
  SELECT g.*, 1 AS few
  FROM (SELECT g.* FROM requested_rows g WHERE g.revision > 0 ORDER BY g.name) g
  CROSS JOIN LATERAL (
    SELECT s.revision FROM "perdure"."schedules" s WHERE s.name = g.name FOR UPDATE SKIP LOCKED OFFSET 0
  ) s
  WHERE s.revision = g.revision
), updated_rows AS (
  UPDATE "perdure"."schedules" s
  SET due_at = l.due_at, revision = s.revision + 1, waits = l.waits, needs = l.needs, run = l.run,
    settings = l.settings, state = l.state, definition = l.definition
  FROM locked_rows l
  WHERE s.name = l.name AND l.few = 1
  RETURNING s.name
), inserted_rows AS (
  INSERT INTO "perdure"."schedules" (due_at, seen_at, waits, name, needs, run, settings, state, definition)
  SELECT g.due_at, date_trunc('milliseconds', statement_timestamp()), g.waits, g.name, g.needs, g.run, g.settings, g.state, g.definition
  FROM requested_rows g WHERE g.revision = 0
  ORDER BY g.name
  ON CONFLICT DO NOTHING
  RETURNING name
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (
  SELECT json_agg(w.name ORDER BY w.name)::text
  FROM (SELECT c.name FROM updated_rows c UNION ALL SELECT m.name FROM inserted_rows m) w
) AS names,
  CASE WHEN $2::text IS NOT NULL THEN set_config('idle_in_transaction_session_timeout', $2::text, true) END AS idle;
