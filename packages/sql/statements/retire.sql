/* perdure:retire:08d1fad4 */
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
      SELECT r.id FROM "perdure"."runs" r WHERE r.queue = b.queue AND r.worker = $1::text AND r.incarnation = $2::text
    ) r
    ORDER BY 1
  ) target
  CROSS JOIN LATERAL (
    SELECT r.* FROM "perdure"."runs" r WHERE r.id = target.id FOR UPDATE OFFSET 0
  ) r
  WHERE r.worker = $1::text AND r.incarnation = $2::text
), updated_runs AS (
  UPDATE "perdure"."runs" r
  SET status = CASE WHEN r.pause = 'asked' THEN 'paused' ELSE 'pending' END,
    pause = CASE WHEN r.pause = 'asked' THEN 'pending' ELSE r.pause END,
    available_at = date_trunc('milliseconds', statement_timestamp()), worker = NULL, incarnation = NULL
  FROM released_runs x
  WHERE r.id = x.id AND x.few = 1
), deleted_workers AS (
  DELETE FROM "perdure"."workers" w
  WHERE w.id = $1::text AND w.incarnation = $2::text
    -- Always true: the runs are locked first.
    AND (SELECT count(*) FROM released_runs) >= 0
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (SELECT count(*)::int FROM released_runs) AS released,
  (SELECT json_agg(DISTINCT queue)::text FROM released_runs) AS ready;
