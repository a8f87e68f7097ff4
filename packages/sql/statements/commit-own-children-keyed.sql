/* perdure:commit_owncq:c179e9a5 */
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
), pausing_commits AS MATERIALIZED (
  SELECT array_agg(s.i) AS commits FROM updated_runs s WHERE s.pause = 'asked' OR s.status = 'paused'
), children AS MATERIALIZED (
  SELECT DISTINCT ON (a.id) a.*,
    coalesce(to_timestamp(a.available / 1000.0::float8), date_trunc('milliseconds', statement_timestamp())) AS at
  FROM json_to_recordset($4::json) AS a(
    c int,
    i int, id text, workflow text, version text, queue text, priority int, payload text, idem text, available float8,
    parent text, token text, attached boolean, root text, depth int, key text, expires float8, tags text[],
    attributes jsonb
  )
  WHERE coalesce((SELECT verdicts FROM verdicts)[a.c + 1] = 1, false)
  ORDER BY a.id, a.i
), inserted_inputs AS (
  INSERT INTO "perdure"."inputs" (created_at, depth, attached, run, workflow, idempotency_key, parent_id, parent_token, root,
    payload, tags, attributes)
  SELECT date_trunc('milliseconds', statement_timestamp()), a.depth, a.attached, a.id, a.workflow, a.idem,
    a.parent, a.token, a.root, a.payload, a.tags, a.attributes
  FROM children a
  ORDER BY a.workflow COLLATE "C", a.idem COLLATE "C" NULLS FIRST, a.id COLLATE "C"
  ON CONFLICT DO NOTHING
  RETURNING run
), arrival_key_notices AS (
  INSERT INTO "perdure"."key_notices" (at, freed, size, queue, keys)
  SELECT date_trunc('milliseconds', statement_timestamp()), false, count(*), k.queue, array_agg(k.key)
  FROM (
    SELECT k.queue, k.key, (row_number() OVER (PARTITION BY k.queue) - 1) / 100 AS part
    FROM (
      SELECT DISTINCT x.queue, x.key FROM (
        SELECT a.queue, a.key FROM children a JOIN inserted_inputs b ON b.run = a.id WHERE a.key IS NOT NULL
      ) x
    ) k
  ) k
  GROUP BY k.queue, k.part
), inserted_queues AS (
  INSERT INTO "perdure"."queues" (name)
  SELECT DISTINCT a.queue COLLATE "C" FROM (
    SELECT a.queue, a.key FROM children a JOIN inserted_inputs b ON b.run = a.id WHERE a.key IS NOT NULL
  ) a
  WHERE NOT EXISTS (SELECT FROM "perdure"."queues" k WHERE k.name = a.queue)
  ORDER BY 1
  ON CONFLICT DO NOTHING
), inserted_runs AS (
  INSERT INTO "perdure"."runs" (available_at, priority, epoch, inbox_seq, unread, expires_at, id, status, pause, queue,
    workflow, version, key)
  SELECT a.at,
    a.priority, 0, 0, 0, to_timestamp(a.expires / 1000.0::float8), a.id,
    CASE WHEN coalesce(a.attached AND a.c = ANY ((SELECT commits FROM pausing_commits)::int[]), false) THEN 'paused' ELSE 'pending' END,
    CASE WHEN coalesce(a.attached AND a.c = ANY ((SELECT commits FROM pausing_commits)::int[]), false) THEN 'pending' END,
    a.queue, a.workflow, a.version, a.key
  FROM children a
  JOIN inserted_inputs b ON b.run = a.id
)
SELECT
  date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now,
  coalesce(array_to_string((SELECT verdicts FROM verdicts), ''), '') AS verdicts,
  (
    SELECT json_agg(json_build_array(x.i, x.inbox_seq, coalesce(x.pause = 'asked', false)))::text
    FROM updated_runs x WHERE true AND (x.inbox_seq > x.seen OR x.pause = 'asked')
  ) AS news,
  (
    SELECT json_agg(DISTINCT x.queue)::text FROM (
      SELECT a.queue FROM children a JOIN inserted_inputs b ON b.run = a.id
    ) x
  ) AS ready,
  (
    SELECT bool_or(true) FROM "perdure"."workers" w
    WHERE w.idle AND w.lease_until > date_trunc('milliseconds', statement_timestamp()) AND w.id <> $3::text
  ) AS idle;
