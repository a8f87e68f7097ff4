/* perdure:heartbeat:0b007f13 */
WITH lease_snapshot AS MATERIALIZED (
  SELECT w.lease_until FROM "perdure"."workers" w WHERE w.id = $1::text FOR UPDATE
), written_workers AS (
  INSERT INTO "perdure"."workers" AS w (id, incarnation, lease_until, started_at, beat_at, info)
  SELECT $1::text, $2::text, date_trunc('milliseconds', statement_timestamp()) + $3::float8 * interval '1 millisecond', date_trunc('milliseconds', statement_timestamp()), date_trunc('milliseconds', statement_timestamp()), $4::text
  -- The row is read before it is changed.
  FROM (SELECT count(*) FROM lease_snapshot) snapshot
  ON CONFLICT (id) DO UPDATE
  SET lease_until = excluded.lease_until, incarnation = excluded.incarnation, beat_at = excluded.beat_at,
    started_at = CASE WHEN w.incarnation = excluded.incarnation THEN w.started_at ELSE excluded.started_at END,
    info = CASE WHEN w.incarnation = excluded.incarnation THEN coalesce(excluded.info, w.info) ELSE excluded.info END,
    idle = w.idle AND w.incarnation = excluded.incarnation
  WHERE w.incarnation = excluded.incarnation OR w.lease_until <= date_trunc('milliseconds', statement_timestamp())
  RETURNING w.ping, w.pong
), inserted_samples AS (
  INSERT INTO "perdure"."samples" (at, worker, incarnation, info)
  SELECT date_trunc('milliseconds', statement_timestamp()), $1::text, $2::text, $4::text
  FROM written_workers
  WHERE $4::text IS NOT NULL AND coalesce(
    (SELECT s.at FROM "perdure"."samples" s WHERE s.worker = $1::text ORDER BY s.at DESC LIMIT 1)
      <= date_trunc('milliseconds', statement_timestamp()) - 10000 * interval '1 millisecond',
    true
  )
  ON CONFLICT DO NOTHING
  RETURNING at
), deleted_samples AS (
  DELETE FROM "perdure"."samples" s
  WHERE s.ctid = ANY (ARRAY (
    (
      SELECT s.ctid FROM "perdure"."samples" s
      WHERE EXISTS (SELECT FROM inserted_samples) AND s.worker = $1::text
      ORDER BY s.at DESC
      OFFSET 359
    )
    UNION
    (
      -- A worker that exists deletes its own samples: no heartbeat waits for another.
      SELECT s.ctid FROM "perdure"."samples" s
      WHERE EXISTS (SELECT FROM inserted_samples) AND s.at <= date_trunc('milliseconds', statement_timestamp()) - 86400000 * interval '1 millisecond'
        AND (s.worker = $1::text OR NOT EXISTS (SELECT FROM "perdure"."workers" w WHERE w.id = s.worker))
      ORDER BY s.at LIMIT 100
    )
  ))
), lapsed_workers AS MATERIALIZED (
  SELECT w.id FROM "perdure"."workers" w
  WHERE EXISTS (SELECT FROM inserted_samples) AND w.lease_until <= date_trunc('milliseconds', statement_timestamp()) - 604800000 * interval '1 millisecond'
    AND w.id <> $1::text
  LIMIT 100 FOR UPDATE SKIP LOCKED
), deleted_workers AS (
  DELETE FROM "perdure"."workers" w WHERE w.id IN (SELECT id FROM lapsed_workers)
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, EXISTS (SELECT FROM written_workers) AS renewed,
  (SELECT CASE WHEN ping IS DISTINCT FROM pong THEN ping END FROM written_workers) AS ping,
  coalesce((SELECT lease_until <= date_trunc('milliseconds', statement_timestamp()) FROM lease_snapshot), false) AS lapsed,
  (SELECT m.id FROM "perdure"."migrations" m WHERE m.breaking ORDER BY m.id DESC LIMIT 1) AS breaking;
