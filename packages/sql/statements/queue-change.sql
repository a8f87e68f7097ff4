/* perdure:queue_change:b8a8997f */
WITH RECURSIVE requested_columns AS MATERIALIZED (
  SELECT ARRAY(SELECT json_array_elements_text($2::json)) AS columns
), locked_queues AS MATERIALIZED (
  SELECT k.* FROM "perdure"."queues" k WHERE k.name = $1::text FOR UPDATE
), updated_queues AS (
  UPDATE "perdure"."queues" k
  SET
    priority = CASE WHEN 'priority' = ANY (a.columns) THEN n.priority ELSE k.priority END,
    concurrency = CASE WHEN 'concurrency' = ANY (a.columns) THEN n.concurrency ELSE k.concurrency END,
    admission = CASE WHEN 'admission' = ANY (a.columns) THEN n.admission ELSE k.admission END,
    key_concurrency = CASE WHEN 'key_concurrency' = ANY (a.columns) THEN n.key_concurrency ELSE k.key_concurrency END,
    rate_limit = CASE WHEN 'rate_limit' = ANY (a.columns) THEN n.rate_limit ELSE k.rate_limit END,
    rate_millis = CASE WHEN 'rate_millis' = ANY (a.columns) THEN n.rate_millis ELSE k.rate_millis END,
    rate_burst = CASE WHEN 'rate_burst' = ANY (a.columns) THEN n.rate_burst ELSE k.rate_burst END,
    paused = CASE WHEN 'paused' = ANY (a.columns) THEN n.paused ELSE k.paused END,
    pause_at = CASE WHEN 'paused' = ANY (a.columns) AND n.paused <> k.paused THEN date_trunc('milliseconds', statement_timestamp()) ELSE k.pause_at END,
    pause_by = CASE WHEN 'paused' = ANY (a.columns) AND n.paused <> k.paused THEN $4::text ELSE k.pause_by END,
    pause_reason = CASE WHEN 'paused' = ANY (a.columns) AND n.paused <> k.paused THEN $5::text ELSE k.pause_reason END,
    arrival = CASE WHEN CASE WHEN 'rate_limit' = ANY (a.columns) THEN n.rate_limit ELSE k.rate_limit END IS NULL THEN 0 ELSE
      least(k.arrival, date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 + CASE WHEN 'rate_burst' = ANY (a.columns) THEN n.rate_burst ELSE k.rate_burst END * CASE WHEN 'rate_millis' = ANY (a.columns) THEN n.rate_millis ELSE k.rate_millis END / CASE WHEN 'rate_limit' = ANY (a.columns) THEN n.rate_limit ELSE k.rate_limit END) END
  FROM requested_columns a, json_to_record($3::json) AS n(
    priority int, concurrency int, admission int, key_concurrency int, rate_limit int, rate_millis float8, rate_burst int,
      paused boolean
  ), locked_queues l
  WHERE k.name = l.name
  RETURNING k.*, (l.key_concurrency IS DISTINCT FROM k.key_concurrency) AS changes_keys
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
  FROM updated_queues k
) AS queues;
