/* perdure:reconcile:d49a0394 */
WITH RECURSIVE busy_queues AS (
  (SELECT r.queue FROM "perdure"."runs" r WHERE r.worker IS NOT NULL ORDER BY r.queue LIMIT 1)
  UNION ALL
  SELECT (SELECT r.queue FROM "perdure"."runs" r WHERE r.worker IS NOT NULL AND r.queue > b.queue ORDER BY r.queue LIMIT 1)
  FROM busy_queues b WHERE b.queue IS NOT NULL
), released_runs AS MATERIALIZED (
  SELECT r.id, r.queue, 1 AS few
  FROM (
    SELECT r.id FROM busy_queues b
    CROSS JOIN LATERAL (
      SELECT r.id FROM "perdure"."runs" r WHERE r.queue = b.queue AND r.worker = $1::text AND r.incarnation = $2::text AND r.claimed_at < to_timestamp($4::float8 / 1000.0::float8) AND NOT r.id IN (SELECT json_array_elements_text($3::json))
    ) r
    ORDER BY 1
  ) target
  CROSS JOIN LATERAL (
    SELECT r.* FROM "perdure"."runs" r WHERE r.id = target.id FOR UPDATE OFFSET 0
  ) r
  WHERE r.worker = $1::text AND r.incarnation = $2::text AND r.claimed_at < to_timestamp($4::float8 / 1000.0::float8)
), updated_runs AS (
  UPDATE "perdure"."runs" r
  SET status = CASE WHEN r.pause = 'asked' THEN 'paused' ELSE 'pending' END,
    pause = CASE WHEN r.pause = 'asked' THEN 'pending' ELSE r.pause END,
    available_at = date_trunc('milliseconds', statement_timestamp()), worker = NULL, incarnation = NULL
  FROM released_runs x
  WHERE r.id = x.id AND x.few = 1
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (SELECT count(*)::int FROM released_runs) AS released,
  (SELECT json_agg(DISTINCT queue)::text FROM released_runs) AS ready;
