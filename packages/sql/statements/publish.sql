/* perdure:publish:b9aef997 */
WITH locked_runs AS MATERIALIZED (
  SELECT r.id, r.status, r.awaited FROM "perdure"."runs" r WHERE r.id = $1::text FOR UPDATE
), live_runs AS MATERIALIZED (
  SELECT l.id, l.awaited FROM locked_runs l WHERE l.status NOT IN ('completed', 'failed', 'cancelled', 'terminated', 'expired', 'exhausted')
), written_values AS (
  INSERT INTO "perdure"."published" (at, version, run, key, value)
  SELECT date_trunc('milliseconds', statement_timestamp()), 1, l.id, $2::text, $3::text FROM live_runs l
  ON CONFLICT (run, key) DO UPDATE
  SET value = excluded.value, version = published.version + 1, at = excluded.at
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, EXISTS (SELECT FROM live_runs) AS published,
  coalesce((SELECT awaited FROM live_runs), false) AS awaited;
