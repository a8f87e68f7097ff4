/* perdure:commitrc:5b199881 */
WITH commits AS MATERIALIZED (
  SELECT * FROM json_to_recordset($1::json) AS c(
    i int, run text, epoch int, "from" int, n int, seen int, must boolean, mark bigint, closes text[],
    move text, until float8, waiting text[], exit_kind text, exit_value text, error_code text, detail text, payload text, read int[]
  ), set_config('lock_timeout', CASE WHEN $1::json -> 1 IS NULL THEN '2s' ELSE '200ms' END, true) AS lock_timeout
), locked_runs AS MATERIALIZED (
  SELECT r.*, target.i
  FROM (
    SELECT a.run COLLATE "C" AS id, a.i FROM commits a ORDER BY 1
  ) target
  CROSS JOIN LATERAL (
    SELECT
      r.id, r.status, r.epoch, r.next_seq, r.inbox_seq, r.last_from, r.last_mark, r.queue, r.available_at,
      r.worker, r.incarnation, r.waiting, r.closed, r.awaited, r.generation, r.first_seq, r.started_at,
      r.finished_at, r.last_answer, r.pause, r.fresh, r.key
    FROM "perdure"."runs" r WHERE r.id = target.id FOR UPDATE
  ) r
), judged_runs AS MATERIALIZED (
  SELECT r.*, v.*, coalesce(v.verdict = 1, false) AS applies
  FROM locked_runs r
  LEFT JOIN commits a ON a.i = r.i
  CROSS JOIN LATERAL (
    SELECT a."from", a.n, a.mark, a.seen, a.closes, a.move, a.until, a.waiting AS awaiting, a.exit_kind,
      a.exit_value, a.error_code, a.detail, a.payload, a.read, CASE
        WHEN a.i IS NULL THEN NULL
        WHEN r.epoch = a.epoch AND r.last_from = a."from" AND r.last_mark = a.mark
          AND (a.n > 0 OR a.move IS NOT NULL) THEN 2
        WHEN r.status <> 'running' OR r.epoch <> a.epoch OR r.next_seq <> a."from" THEN 0
        WHEN NOT ((NOT a.must OR r.inbox_seq = a.seen) AND (r.pause IS NULL OR a.move IS NULL OR a.move NOT IN ('completed', 'failed', 'cancelled')
          OR (r.pause = 'cancelled' AND r.inbox_seq = a.seen))) THEN 3
        ELSE 1
      END AS verdict
  ) v
), verdicts AS MATERIALIZED (
  SELECT array_agg(coalesce(j.verdict, 0) ORDER BY a.i) AS verdicts
  FROM commits a
  LEFT JOIN judged_runs j ON j.i = a.i
), run_states AS MATERIALIZED (
  SELECT j.id, j.i, j.applies, j.queue, j.key, j.inbox_seq, j.awaited, j.mark, j."from", j.exit_kind, j.exit_value,
    j.error_code, j.detail, j.move, j.last_answer, j.until,
    CASE WHEN j.applies AND j.pause = 'asked' AND j.move IN ('suspended', 'pending') THEN 'paused'
      WHEN j.applies THEN coalesce(j.move, j.status) ELSE j.status END AS status,
    CASE WHEN j.applies AND j.pause = 'asked' AND j.move IN ('suspended', 'pending') THEN j.move
      WHEN j.applies AND j.move IN ('completed', 'failed', 'cancelled') THEN NULL ELSE j.pause END AS pause,
    j.fresh,
    CASE WHEN j.applies AND j.move IN ('suspended', 'pending') THEN to_timestamp(j.until / 1000.0::float8) ELSE j.available_at END
      AS available_at,
    CASE WHEN j.applies AND j.move = 'suspended' THEN j.awaiting ELSE j.waiting END AS waiting,
    CASE WHEN NOT j.applies THEN j.closed WHEN j.move = 'running' THEN '{}' WHEN j.closes IS NULL THEN j.closed
      ELSE j.closed || j.closes END AS closed,
    CASE WHEN j.applies AND j.move <> 'running' THEN NULL ELSE j.worker END AS worker,
    CASE WHEN j.applies AND j.move <> 'running' THEN NULL ELSE j.incarnation END AS incarnation,
    CASE WHEN j.applies THEN j."from" + j.n ELSE j.next_seq END AS next_seq,
    CASE WHEN j.applies AND j.move = 'running' THEN j."from" + j.n ELSE j.first_seq END AS first_seq,
    CASE WHEN j.applies AND j.move = 'running' THEN j.generation + 1 ELSE j.generation END AS generation,
    CASE WHEN j.applies AND j.move = 'running' THEN to_timestamp(j.until / 1000.0::float8) ELSE j.started_at END AS started_at,
    CASE WHEN j.applies AND j.move IN ('completed', 'failed', 'cancelled') THEN date_trunc('milliseconds', statement_timestamp())
      ELSE j.finished_at END AS finished_at
  FROM judged_runs j
), inserted_entries AS (
  INSERT INTO "perdure"."journal" (at, seq, op, epoch, run, worker, kind, name, exit_kind, exit_value)
  SELECT to_timestamp(e.at / 1000.0::float8), e.seq, e.op, e.epoch, e.run, $3::text, e.kind, e.name, e.exit, e.value
  FROM json_to_recordset($2::json) AS e(c int, run text, epoch int, seq int, op int, kind text, name text, exit text,
    value text, at float8)
  WHERE coalesce((SELECT verdicts FROM verdicts)[e.c + 1] = 1, false)
), consumed_messages AS (
  UPDATE "perdure"."inbox" m
  SET consumed = true
  FROM json_to_recordset($4::json) AS x(c int, run text, ordinal int)
  -- Not the predicate of inbox_unread: the planner would walk that index while it seems to be empty.
  WHERE (SELECT verdicts FROM verdicts)[x.c + 1] = 1 AND m.run = x.run AND m.ordinal = x.ordinal AND m.consumed IS NOT TRUE
  RETURNING m.run
), pausing_commits AS MATERIALIZED (
  SELECT array_agg(s.i) AS commits FROM (SELECT s.* FROM run_states s WHERE s.applies) s WHERE s.pause = 'asked' OR s.status = 'paused'
), children AS MATERIALIZED (
  SELECT DISTINCT ON (a.id) a.*,
    coalesce(to_timestamp(a.available / 1000.0::float8), date_trunc('milliseconds', statement_timestamp())) AS at
  FROM json_to_recordset($5::json) AS a(
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
), run_changes AS MATERIALIZED (
  SELECT s.*, e.read,
    CASE WHEN s.applies THEN 1 ELSE 0 END AS few
  FROM run_states s
  LEFT JOIN (
    SELECT x.run, count(*)::int AS read FROM (
      SELECT run FROM consumed_messages
    ) x GROUP BY 1
  ) e ON e.run = s.id
), updated_runs AS (
  UPDATE "perdure"."runs" r
  SET
    next_seq = s.next_seq,
    closed = s.closed,
    crashes = CASE WHEN s.applies THEN 0 ELSE r.crashes END,
    last_from = CASE WHEN s.applies THEN s."from" ELSE r.last_from END,
    last_mark = CASE WHEN s.applies THEN s.mark ELSE r.last_mark END,
    unread = r.unread - coalesce(s.read, 0)
  FROM run_changes s
  WHERE r.id = s.id AND s.few = 1
)
SELECT
  date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now,
  coalesce(array_to_string((SELECT verdicts FROM verdicts), ''), '') AS verdicts,
  (
    SELECT json_agg(json_build_array(x.i, x.inbox_seq, coalesce(x.pause = 'asked', false)))::text
    FROM judged_runs x WHERE x.applies AND x.move IS NULL AND (x.inbox_seq > x.seen OR x.pause = 'asked')
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
