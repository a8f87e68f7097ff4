/* perdure:expire:925862b8 */
WITH overdue_runs AS MATERIALIZED (
  SELECT r.id FROM "perdure"."runs" r
  WHERE r.expires_at IS NOT NULL AND r.fresh AND r.status NOT IN ('completed', 'failed', 'cancelled', 'terminated', 'expired', 'exhausted') AND r.expires_at <= date_trunc('milliseconds', statement_timestamp())
  ORDER BY r.expires_at, r.id
  LIMIT $1::int
), locked_runs AS MATERIALIZED (
  SELECT r.*, n.parent_id, n.parent_token
  FROM (SELECT o.id FROM overdue_runs o ORDER BY o.id) o
  CROSS JOIN LATERAL (
    SELECT r.id, r.status, r.fresh, r.queue, r.key, r.awaited FROM "perdure"."runs" r WHERE r.id = o.id
    FOR UPDATE SKIP LOCKED OFFSET 0
  ) r
  CROSS JOIN LATERAL (
    SELECT n.parent_id, n.parent_token FROM "perdure"."inputs" n WHERE n.run = r.id OFFSET 0
  ) n
  WHERE r.fresh AND r.status IN ('pending', 'paused')
), locked_parents AS MATERIALIZED (
  SELECT r.*
  FROM (SELECT DISTINCT x.parent_id AS id FROM locked_runs x WHERE x.parent_id IS NOT NULL ORDER BY 1) p
  CROSS JOIN LATERAL (
    SELECT r.id, r.queue, r.inbox_seq, r.status, r.waiting, r.closed, r.worker, r.pause, r.fresh, r.key FROM "perdure"."runs" r WHERE r.id = p.id FOR UPDATE SKIP LOCKED
  ) r
), expired_runs AS MATERIALIZED (
  SELECT x.*
  FROM locked_runs x
  LEFT JOIN locked_parents p ON p.id = x.parent_id
  LEFT JOIN LATERAL (
    SELECT true AS found FROM "perdure"."runs" r WHERE r.id = x.parent_id OFFSET 0
  ) stored_parent ON true
  WHERE p.id IS NOT NULL OR stored_parent.found IS NULL
), outgoing_messages AS MATERIALIZED (
  SELECT 0, row_number() OVER (ORDER BY x.id),
    x.parent_id, 'child', x.parent_token, 'child:' || x.id,
      NULL, NULL, NULL, x.id, 'expired', NULL, NULL, NULL::int, NULL
  FROM expired_runs x
  WHERE x.parent_id IS NOT NULL
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
    SELECT p.id, p.queue, p.inbox_seq, p.status, p.waiting, p.closed, p.worker, p.pause, p.fresh, p.key FROM locked_parents p LEFT JOIN expired_runs x ON x.id = p.id WHERE x.id IS NULL
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
), departure_key_notices AS (
  INSERT INTO "perdure"."key_notices" (at, freed, size, queue, keys)
  SELECT date_trunc('milliseconds', statement_timestamp()), false, count(*), k.queue, array_agg(k.key)
  FROM (
    SELECT k.queue, k.key, (row_number() OVER (PARTITION BY k.queue) - 1) / 100 AS part
    FROM (
      SELECT DISTINCT x.queue, x.key FROM (
        SELECT x.queue, x.key FROM expired_runs x WHERE x.key IS NOT NULL
      ) x
    ) k
  ) k
  GROUP BY k.queue, k.part
), run_changes AS MATERIALIZED (
  SELECT x.id, true AS ends, NULL::int AS ordinal, 0 AS count, false AS is_due, 1 AS few FROM expired_runs x
  UNION ALL
  SELECT a.run, false, a.ordinal, a.count, a.is_due, 1 FROM inbox_arrivals a
), updated_runs AS (
  UPDATE "perdure"."runs" r
  SET status = CASE WHEN x.ends THEN 'expired' ELSE r.status END,
    pause = CASE WHEN x.ends THEN NULL ELSE r.pause END,
    finished_at = CASE WHEN x.ends THEN date_trunc('milliseconds', statement_timestamp()) ELSE r.finished_at END,
    available_at = CASE WHEN x.is_due THEN least(r.available_at, date_trunc('milliseconds', statement_timestamp())) ELSE r.available_at END,
    inbox_seq = coalesce(x.ordinal, r.inbox_seq),
    unread = r.unread + x.count
  FROM run_changes x
  WHERE r.id = x.id AND x.few = 1
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now, (SELECT count(*)::int FROM expired_runs) AS expired,
  (
    SELECT json_agg(DISTINCT x.queue)::text
    FROM (
      SELECT a.queue FROM inbox_arrivals a WHERE a.wakes
      UNION ALL
      SELECT e.queue FROM expired_runs e WHERE e.key IS NOT NULL
    ) x
  ) AS ready,
  (
    SELECT json_agg(json_build_array(a.worker, a.run))::text FROM inbox_arrivals a WHERE a.worker IS NOT NULL
  ) AS held,
  (SELECT json_agg(x.id)::text FROM expired_runs x WHERE x.awaited) AS changed;
