/* perdure:queue_define:4f661832 */
WITH RECURSIVE requested_settings AS MATERIALIZED (
  SELECT $1::text AS name, n.* FROM json_to_record($3::json) AS n(
    priority int, concurrency int, admission int, key_concurrency int, rate_limit int, rate_millis float8, rate_burst int,
      paused boolean
  )
), inserted_queues AS (
  INSERT INTO "perdure"."queues" (name, definition, priority, concurrency, admission, key_concurrency, rate_limit, rate_millis, rate_burst)
  SELECT n.name, $2::text, priority, concurrency, admission, key_concurrency, rate_limit, rate_millis, rate_burst FROM requested_settings n
  ON CONFLICT DO NOTHING
  RETURNING *
), locked_queues AS MATERIALIZED (
  SELECT k.* FROM "perdure"."queues" k WHERE k.name = $1::text FOR UPDATE
), updated_queues AS (
  UPDATE "perdure"."queues" k
  SET (definition, priority, concurrency, admission, key_concurrency, rate_limit, rate_millis, rate_burst) = ROW ($2::text, n.priority, n.concurrency, n.admission, n.key_concurrency,
    n.rate_limit, n.rate_millis, n.rate_burst),
    arrival = CASE WHEN n.rate_limit IS NULL THEN 0 ELSE
      least(k.arrival, date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 + n.rate_burst * n.rate_millis / n.rate_limit) END
  FROM requested_settings n, locked_queues l
  WHERE k.name = l.name AND l.definition IS DISTINCT FROM $2::text
  RETURNING k.*, (l.key_concurrency IS DISTINCT FROM n.key_concurrency) AS changes_keys
), waiting_keys AS (
  SELECT (
    SELECT r.key FROM "perdure"."runs" r
    WHERE r.key IS NOT NULL AND r.fresh AND r.status = 'pending' AND r.queue = $1::text ORDER BY r.key LIMIT 1
  ) AS key
  UNION ALL
  SELECT (
    SELECT r.key FROM "perdure"."runs" r
    WHERE r.key IS NOT NULL AND r.fresh AND r.status = 'pending' AND r.queue = $1::text AND r.key > w.key
    ORDER BY r.key LIMIT 1
  )
  FROM waiting_keys w WHERE w.key IS NOT NULL
), setting_key_notices AS (
  INSERT INTO "perdure"."key_notices" (at, freed, size, queue, keys)
  SELECT date_trunc('milliseconds', statement_timestamp()), false, count(*), k.queue, array_agg(k.key)
  FROM (
    SELECT k.queue, k.key, (row_number() OVER (PARTITION BY k.queue) - 1) / 100 AS part
    FROM (
      SELECT DISTINCT x.queue, x.key FROM (
        SELECT c.name AS queue, w.key FROM updated_queues c, waiting_keys w
        WHERE w.key IS NOT NULL AND c.changes_keys
      ) x
    ) k
  ) k
  GROUP BY k.queue, k.part
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (
  SELECT json_agg(
    json_build_array(
      k.name, k.priority, k.concurrency, k.admission, k.key_concurrency, k.rate_limit, k.rate_millis, k.rate_burst,
      k.paused, k.definition, date_part('epoch', k.pause_at) * 1000, k.pause_by, k.pause_reason
    ) ORDER BY k.name
  )::text
  FROM (
    SELECT name, priority, concurrency, admission, key_concurrency, rate_limit, rate_millis, rate_burst, paused, definition, pause_at, pause_by, pause_reason FROM inserted_queues
    UNION ALL
    SELECT name, priority, concurrency, admission, key_concurrency, rate_limit, rate_millis, rate_burst, paused, definition, pause_at, pause_by, pause_reason FROM updated_queues
    UNION ALL
    SELECT name, priority, concurrency, admission, key_concurrency, rate_limit, rate_millis, rate_burst, paused, definition, pause_at, pause_by, pause_reason FROM locked_queues WHERE definition IS NOT DISTINCT FROM $2::text
  ) k
) AS queues;
