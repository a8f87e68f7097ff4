/* perdure:commit_ownp:b2c8eb73 */
WITH commits AS MATERIALIZED (
  SELECT *, 1 AS few FROM json_to_recordset($1::json) AS c(
    i int, run text, epoch int, "from" int, n int, seen int, must boolean, mark bigint, closes text[]
  ), set_config('lock_timeout', CASE WHEN $1::json -> 1 IS NULL THEN '2s' ELSE '200ms' END, true) AS lock_timeout
), updated_runs AS (
  UPDATE "perdure"."runs" r
  SET
    next_seq = a."from" + a.n,
    crashes = 0,
    last_from = a."from",
    last_mark = a.mark,
    closed = CASE WHEN a.closes IS NULL THEN r.closed ELSE r.closed || a.closes END
  FROM (SELECT * FROM commits c WHERE c.few = 1 ORDER BY run COLLATE "C") a
  WHERE r.id = a.run AND r.status = 'running' AND r.epoch = a.epoch AND r.next_seq = a."from"
    AND (NOT a.must OR r.inbox_seq = a.seen)
  RETURNING a.i, a.seen, r.inbox_seq, r.id, r.queue, r.key, r.awaited, r.status, r.pause
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
), written_values AS (
  INSERT INTO "perdure"."published" (at, version, run, key, value)
  SELECT date_trunc('milliseconds', statement_timestamp()), p.count, p.run, p.key, p.value
  FROM json_to_recordset($4::json) AS p(c int, run text, key text, value text, count int)
  WHERE coalesce((SELECT verdicts FROM verdicts)[p.c + 1] = 1, false)
  ORDER BY p.run COLLATE "C", p.key COLLATE "C"
  ON CONFLICT (run, key) DO UPDATE
  SET value = excluded.value, version = published.version + excluded.version, at = excluded.at
)
SELECT
  date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now,
  coalesce(array_to_string((SELECT verdicts FROM verdicts), ''), '') AS verdicts,
  (
    SELECT json_agg(json_build_array(x.i, x.inbox_seq, coalesce(x.pause = 'asked', false)))::text
    FROM updated_runs x WHERE true AND (x.inbox_seq > x.seen OR x.pause = 'asked')
  ) AS news,
  (SELECT json_agg(u.id)::text FROM updated_runs u WHERE u.awaited) AS changed;
