/* perdure:committefk:f2caf2f8 */
WITH commits AS MATERIALIZED (
  SELECT * FROM json_to_recordset($1::json) AS c(
    i int, run text, epoch int, "from" int, n int, seen int, must boolean, mark bigint, closes text[],
    move text, until float8, waiting text[], exit_kind text, exit_value text, error_code text, detail text, payload text, read int[]
  ), set_config('lock_timeout', CASE WHEN $1::json -> 1 IS NULL THEN '2s' ELSE '200ms' END, true) AS lock_timeout
), parents AS MATERIALIZED (
  SELECT a.i, n.parent_id, n.parent_token
  FROM commits a
  CROSS JOIN LATERAL (
    SELECT n.parent_id, n.parent_token FROM "perdure"."inputs" n WHERE n.run = a.run OFFSET 0
  ) n
  WHERE coalesce(a.move IN ('completed', 'failed', 'cancelled'), false) AND n.parent_id IS NOT NULL
), locked_runs AS MATERIALIZED (
  SELECT r.*, target.i
  FROM (
    SELECT each.id COLLATE "C" AS id, max(each.i) AS i
    FROM (
      SELECT a.run AS id, a.i FROM commits a
      UNION ALL SELECT p.parent_id, NULL FROM parents p
    ) each
    GROUP BY 1
    ORDER BY 1
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
), outgoing_messages AS MATERIALIZED (
  SELECT p.i, 2147483647, p.parent_id, 'child', p.parent_token, 'child:' || s.id,
    NULL, NULL, NULL, s.id, s.status, s.exit_kind, s.exit_value, NULL::int, NULL
  FROM parents p
  JOIN run_states s ON s.i = p.i AND s.applies
), numbered_messages AS MATERIALIZED (
  SELECT m.*, r.inbox_seq + row_number() OVER w AS ordinal, r.queue, r.worker,
    CASE
      WHEN r.status = 'paused' AND m.kind = 'cancel' THEN true
      WHEN CASE WHEN r.status = 'paused' AND bool_or(m.kind = 'cancel') OVER w THEN r.pause ELSE r.status END = 'suspended'
        THEN m.kind || ':' || m.name = ANY (r.waiting)
      WHEN CASE WHEN r.status = 'paused' AND bool_or(m.kind = 'cancel') OVER w THEN r.pause ELSE r.status END = 'pending'
        THEN m.kind = 'cancel'
      ELSE false
    END AS wakes,
    CASE
      WHEN CASE WHEN r.status = 'paused' AND bool_or(m.kind = 'cancel') OVER w THEN r.pause ELSE r.status END = 'paused'
        AND r.pause = 'suspended' THEN m.kind || ':' || m.name = ANY (r.waiting)
      ELSE false
    END AS is_due,
    CASE WHEN r.status = 'paused' AND r.pause = 'pending' AND r.fresh THEN r.key END AS key
  FROM outgoing_messages AS m(c, k, run, kind, name, id, payload, requested_by, reason, child, status, exit_kind, exit_value, crashes, crashed_worker)
  JOIN (
    SELECT s.id, s.queue, s.inbox_seq, s.status, s.waiting, s.closed, s.worker, s.pause, s.fresh, s.key FROM run_states s
  ) r ON r.id = m.run
  WHERE r.status NOT IN ('completed', 'failed', 'cancelled', 'terminated', 'expired', 'exhausted')
    AND NOT (m.kind = 'signal' AND m.name = ANY (r.closed))
  WINDOW w AS (PARTITION BY r.id ORDER BY m.c, m.k)
), inserted_messages AS (
  INSERT INTO "perdure"."inbox" (at, ordinal, run, id, kind, name,
    payload, requested_by, reason, child, status, exit_kind, exit_value, crashes, crashed_worker)
  SELECT date_trunc('milliseconds', statement_timestamp()), m.ordinal, m.run, m.id, m.kind, m.name,
    m.payload, m.requested_by, m.reason, m.child, m.status, m.exit_kind, m.exit_value, m.crashes, m.crashed_worker
  FROM numbered_messages m
  ORDER BY m.run COLLATE "C", m.ordinal
  ON CONFLICT (run, id) DO NOTHING
  RETURNING run, ordinal
), inbox_arrivals AS MATERIALIZED (
  SELECT s.run, max(s.ordinal)::int AS ordinal, count(*)::int AS count, bool_or(m.wakes) AS wakes,
    bool_or(m.wakes OR m.is_due) AS is_due, bool_or(m.kind = 'cancel') AS cancels, min(m.queue) AS queue,
    min(m.worker) AS worker, min(m.key) AS key
  FROM inserted_messages s
  JOIN numbered_messages m ON (m.run || ' ' || m.ordinal) = (s.run || ' ' || s.ordinal)
  GROUP BY s.run
), pause_key_notices AS (
  INSERT INTO "perdure"."key_notices" (at, freed, size, queue, keys)
  SELECT date_trunc('milliseconds', statement_timestamp()), false, count(*), k.queue, array_agg(k.key)
  FROM (
    SELECT k.queue, k.key, (row_number() OVER (PARTITION BY k.queue) - 1) / 100 AS part
    FROM (
      SELECT DISTINCT x.queue, x.key FROM (
        SELECT a.queue, a.key FROM inbox_arrivals a WHERE a.cancels AND a.key IS NOT NULL
      ) x
    ) k
  ) k
  GROUP BY k.queue, k.part
), end_key_notices AS (
  INSERT INTO "perdure"."key_notices" (at, freed, size, queue, keys)
  SELECT date_trunc('milliseconds', statement_timestamp()), true, count(*), k.queue, array_agg(k.key)
  FROM (
    SELECT k.queue, k.key, (row_number() OVER (PARTITION BY k.queue) - 1) / 100 AS part
    FROM (
      SELECT DISTINCT x.queue, x.key FROM (
        SELECT s.queue, s.key FROM run_states s WHERE s.applies AND s.key IS NOT NULL AND s.move IN ('completed', 'failed', 'cancelled')
      ) x
    ) k
  ) k
  GROUP BY k.queue, k.part
), run_changes AS MATERIALIZED (
  SELECT s.*, v.ordinal, v.count, v.is_due, v.cancels,
    CASE WHEN s.applies OR v.run IS NOT NULL THEN 1 ELSE 0 END AS few
  FROM run_states s
  LEFT JOIN inbox_arrivals v ON v.run = s.id
), updated_runs AS (
  UPDATE "perdure"."runs" r
  SET
    next_seq = s.next_seq,
    closed = s.closed,
    crashes = CASE WHEN s.applies THEN 0 ELSE r.crashes END,
    last_from = CASE WHEN s.applies THEN s."from" ELSE r.last_from END,
    last_mark = CASE WHEN s.applies THEN s.mark ELSE r.last_mark END,
    worker = s.worker,
    incarnation = s.incarnation,
    waiting = s.waiting,
    finished_at = s.finished_at,
    exit_kind = CASE WHEN s.applies THEN s.exit_kind ELSE r.exit_kind END,
    exit_value = CASE WHEN s.applies THEN s.exit_value ELSE r.exit_value END,
    error_code = CASE WHEN s.applies THEN s.error_code ELSE r.error_code END,
    detail = CASE WHEN s.applies THEN s.detail ELSE r.detail END,
    status = CASE WHEN s.cancels AND s.status = 'paused' THEN s.pause ELSE s.status END,
    pause = CASE WHEN s.cancels THEN 'cancelled' ELSE s.pause END,
    inbox_seq = coalesce(s.ordinal, r.inbox_seq),
    available_at = CASE WHEN s.is_due THEN least(s.available_at, date_trunc('milliseconds', statement_timestamp())) ELSE s.available_at END,
    unread = r.unread + coalesce(s.count, 0)
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
      SELECT v.queue FROM inbox_arrivals v WHERE v.wakes
      UNION ALL
      SELECT s.queue FROM run_states s WHERE s.applies AND s.move = 'pending'
      UNION ALL
      SELECT s.queue FROM run_states s WHERE s.applies AND s.key IS NOT NULL AND s.move IN ('completed', 'failed', 'cancelled')
    ) x
  ) AS ready,
  (
    SELECT json_agg(DISTINCT x.queue)::text FROM (
      SELECT s.queue FROM run_states s WHERE s.applies AND s.move = 'suspended' AND s.until < 'Infinity'
    ) x
  ) AS asleep,
  (SELECT json_agg(json_build_array(v.worker, v.run))::text FROM inbox_arrivals v WHERE v.worker IS NOT NULL) AS held,
  (SELECT json_agg(s.id)::text FROM run_states s WHERE s.applies AND s.awaited AND s.move IN ('completed', 'failed', 'cancelled')) AS changed,
  (
    SELECT bool_or(true) FROM "perdure"."workers" w
    WHERE w.idle AND w.lease_until > date_trunc('milliseconds', statement_timestamp()) AND w.id <> $3::text
  ) AS idle;
