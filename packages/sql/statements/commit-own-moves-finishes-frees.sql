/* perdure:commit_owntfk:a82964cc */
WITH commits AS MATERIALIZED (
  SELECT *, 1 AS few FROM json_to_recordset($1::json) AS c(
    i int, run text, epoch int, "from" int, n int, seen int, must boolean, mark bigint, closes text[],
    move text, until float8, waiting text[], exit_kind text, exit_value text, error_code text, detail text
  ), set_config('lock_timeout', CASE WHEN $1::json -> 1 IS NULL THEN '2s' ELSE '200ms' END, true) AS lock_timeout
), updated_runs AS (
  UPDATE "perdure"."runs" r
  SET
    next_seq = a."from" + a.n,
    crashes = 0,
    last_from = a."from",
    last_mark = a.mark,
    closed = CASE WHEN a.closes IS NULL THEN r.closed ELSE r.closed || a.closes END,
    status = CASE WHEN r.pause = 'asked' AND a.move IN ('suspended', 'pending') THEN 'paused' ELSE coalesce(a.move, r.status) END,
    pause = CASE WHEN r.pause = 'asked' AND a.move IN ('suspended', 'pending') THEN a.move WHEN a.move IN ('completed', 'failed', 'cancelled') THEN NULL ELSE r.pause END,
    worker = CASE WHEN a.move IS NULL THEN r.worker END,
    incarnation = CASE WHEN a.move IS NULL THEN r.incarnation END,
    available_at = CASE WHEN a.move IN ('suspended', 'pending') THEN to_timestamp(a.until / 1000.0::float8) ELSE r.available_at END,
    waiting = coalesce(a.waiting, r.waiting),
    finished_at = CASE WHEN a.move IN ('completed', 'failed', 'cancelled') THEN date_trunc('milliseconds', statement_timestamp()) END,
    exit_kind = a.exit_kind,
    exit_value = a.exit_value,
    error_code = a.error_code,
    detail = a.detail
  FROM (SELECT * FROM commits c WHERE c.few = 1 ORDER BY run COLLATE "C") a
  WHERE r.id = a.run AND r.status = 'running' AND r.epoch = a.epoch AND r.next_seq = a."from"
    AND (NOT a.must OR r.inbox_seq = a.seen) AND (r.pause IS NULL OR a.move IS NULL OR a.move NOT IN ('completed', 'failed', 'cancelled')
      OR (r.pause = 'cancelled' AND r.inbox_seq = a.seen))
  RETURNING a.i, a.seen, r.inbox_seq, r.id, r.queue, r.key, r.awaited, r.status, r.pause, a.move, a.until
), verdicts AS MATERIALIZED (
  SELECT array_agg(CASE WHEN u.i IS NULL THEN 0 ELSE 1 END ORDER BY a.i) AS verdicts
  FROM commits a
  LEFT JOIN updated_runs u ON u.i = a.i
), inserted_entries AS (
  INSERT INTO "perdure"."journal" (at, seq, op, epoch, run, worker, kind, name, exit_kind, exit_value)
  SELECT to_timestamp(e.at / 1000.0::float8), e.seq, e.op, e.epoch, e.run, $3::text, e.kind, e.name, e.exit, e.value
  FROM json_to_recordset($2::json) AS e(c int, run text, epoch int, seq int, op int, kind text, name text, exit text,
    value text, at float8)
  WHERE coalesce((SELECT verdicts FROM verdicts)[e.c + 1] = 1, false)
), end_key_notices AS (
  INSERT INTO "perdure"."key_notices" (at, freed, size, queue, keys)
  SELECT date_trunc('milliseconds', statement_timestamp()), true, count(*), k.queue, array_agg(k.key)
  FROM (
    SELECT k.queue, k.key, (row_number() OVER (PARTITION BY k.queue) - 1) / 100 AS part
    FROM (
      SELECT DISTINCT x.queue, x.key FROM (
        SELECT u.queue, u.key FROM updated_runs u WHERE u.key IS NOT NULL AND u.move IN ('completed', 'failed', 'cancelled')
      ) x
    ) k
  ) k
  GROUP BY k.queue, k.part
)
SELECT
  date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now,
  coalesce(array_to_string((SELECT verdicts FROM verdicts), ''), '') AS verdicts,
  (
    SELECT json_agg(json_build_array(x.i, x.inbox_seq, coalesce(x.pause = 'asked', false)))::text
    FROM updated_runs x WHERE x.move IS NULL AND (x.inbox_seq > x.seen OR x.pause = 'asked')
  ) AS news,
  (
    SELECT json_agg(DISTINCT x.queue)::text FROM (
      SELECT u.queue FROM updated_runs u WHERE u.move = 'pending'
      UNION ALL
      SELECT x.queue FROM (SELECT u.queue, u.key FROM updated_runs u WHERE u.key IS NOT NULL AND u.move IN ('completed', 'failed', 'cancelled')) x
    ) x
  ) AS ready,
  (
    SELECT json_agg(DISTINCT x.queue)::text FROM (
      SELECT u.queue FROM updated_runs u WHERE u.move = 'suspended' AND u.until < 'Infinity'
    ) x
  ) AS asleep,
  (SELECT json_agg(u.id)::text FROM updated_runs u WHERE u.awaited AND u.move IN ('completed', 'failed', 'cancelled')) AS changed,
  (
    SELECT bool_or(true) FROM "perdure"."workers" w
    WHERE w.idle AND w.lease_until > date_trunc('milliseconds', statement_timestamp()) AND w.id <> $3::text
  ) AS idle;
