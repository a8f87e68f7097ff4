/* perdure:reap:8b5136fc */
WITH RECURSIVE holders AS (
  (
    SELECT r.queue, r.worker, r.incarnation FROM "perdure"."runs" r WHERE r.worker IS NOT NULL
    ORDER BY r.queue, r.worker, r.incarnation LIMIT 1
  )
  UNION ALL
  SELECT next.queue, next.worker, next.incarnation
  FROM holders h
  CROSS JOIN LATERAL (
    SELECT r.queue, r.worker, r.incarnation FROM "perdure"."runs" r
    WHERE r.worker IS NOT NULL AND (r.queue, r.worker, r.incarnation) > (h.queue, h.worker, h.incarnation)
    ORDER BY r.queue, r.worker, r.incarnation LIMIT 1
  ) next
), orphan_runs AS MATERIALIZED (
  SELECT r.id, h.worker, h.incarnation,
    r.crashes = 0 OR r.claimed_at = max(CASE WHEN r.crashes > 0 THEN r.claimed_at END)
      OVER (PARTITION BY h.worker, h.incarnation) AS blamed
  FROM holders h
  CROSS JOIN LATERAL (
    SELECT r.id, r.crashes, r.claimed_at FROM "perdure"."runs" r
    WHERE r.queue = h.queue AND r.worker = h.worker AND r.incarnation = h.incarnation
    ORDER BY r.id
  ) r
  WHERE NOT EXISTS (
    SELECT FROM "perdure"."workers" w
    WHERE w.id = h.worker AND w.incarnation = h.incarnation AND w.lease_until > date_trunc('milliseconds', statement_timestamp())
  )
  ORDER BY r.claimed_at, r.id
  LIMIT $1::int
), locked_runs AS MATERIALIZED (
  SELECT r.*, n.parent_id, n.parent_token
  FROM orphan_runs o
  CROSS JOIN LATERAL (
    SELECT r.id, r.queue, r.key, r.inbox_seq, r.waiting, r.closed, r.awaited, r.worker, r.incarnation, r.pause, r.crashes,
      r.crashes + o.blamed::int AS crashes_now, o.blamed AND r.crashes + 1 >= $2::int AS ends
    FROM "perdure"."runs" r WHERE r.id = o.id
    FOR UPDATE SKIP LOCKED OFFSET 0
  ) r
  CROSS JOIN LATERAL (
    SELECT n.parent_id, n.parent_token FROM "perdure"."inputs" n WHERE n.run = r.id OFFSET 0
  ) n
  WHERE r.worker = o.worker AND r.incarnation = o.incarnation
), locked_parents AS MATERIALIZED (
  SELECT r.*
  FROM (
    SELECT DISTINCT x.parent_id AS id FROM locked_runs x WHERE x.ends AND x.parent_id IS NOT NULL ORDER BY 1
  ) p
  CROSS JOIN LATERAL (
    SELECT r.id, r.queue, r.inbox_seq, r.status, r.waiting, r.closed, r.worker, r.pause, r.fresh, r.key FROM "perdure"."runs" r WHERE r.id = p.id FOR UPDATE SKIP LOCKED
  ) r
), reaped_runs AS MATERIALIZED (
  SELECT x.*, CASE WHEN x.crashes > 0 AND NOT x.ends THEN least(
    row_number() OVER (PARTITION BY x.crashes > 0 AND NOT x.ends ORDER BY x.id)
      * power(2, least(x.crashes - 1, 5)) * 1000,
    600000
  ) * interval '1 millisecond' ELSE interval '0' END AS pause_for
  FROM locked_runs x
  LEFT JOIN locked_parents p ON p.id = x.parent_id
  LEFT JOIN LATERAL (
    SELECT true AS found FROM "perdure"."runs" r WHERE r.id = x.parent_id OFFSET 0
  ) stored_parent ON true
  WHERE NOT x.ends OR p.id IS NOT NULL OR stored_parent.found IS NULL
), outgoing_messages AS MATERIALIZED (
  SELECT 0, row_number() OVER (ORDER BY x.id),
    x.parent_id, 'child', x.parent_token, 'child:' || x.id,
      NULL, NULL, NULL, x.id, 'exhausted', NULL, NULL, x.crashes + 1, x.worker
  FROM reaped_runs x
  WHERE x.ends AND x.parent_id IS NOT NULL
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
    SELECT p.id, p.queue, p.inbox_seq, CASE WHEN x.id IS NULL THEN p.status WHEN x.ends THEN 'exhausted'
        WHEN x.pause = 'asked' THEN 'paused' ELSE 'pending' END AS status, p.waiting, p.closed,
      CASE WHEN x.id IS NULL THEN p.worker END AS worker, CASE WHEN x.id IS NULL THEN p.pause ELSE 'pending' END AS pause,
      p.fresh, p.key
    FROM locked_parents p
    LEFT JOIN reaped_runs x ON x.id = p.id
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
        SELECT x.queue, x.key FROM reaped_runs x WHERE x.ends AND x.key IS NOT NULL
      ) x
    ) k
  ) k
  GROUP BY k.queue, k.part
), run_changes AS MATERIALIZED (
  SELECT coalesce(x.id, a.run) AS id, x.id IS NOT NULL AS reaped, coalesce(x.ends, false) AS ends, x.crashes_now,
    x.pause_for, a.ordinal, a.count, a.is_due, 1 AS few
  FROM reaped_runs x
  FULL JOIN inbox_arrivals a ON a.run = x.id
), updated_runs AS (
  UPDATE "perdure"."runs" r
  SET status = CASE WHEN x.ends THEN 'exhausted' WHEN x.reaped AND r.pause = 'asked' THEN 'paused'
      WHEN x.reaped THEN 'pending' ELSE r.status END,
    pause = CASE WHEN x.ends THEN NULL WHEN x.reaped AND r.pause = 'asked' THEN 'pending' ELSE r.pause END,
    crashes = CASE WHEN x.reaped THEN x.crashes_now ELSE r.crashes END,
    crashed_worker = CASE WHEN x.ends THEN r.worker ELSE r.crashed_worker END,
    finished_at = CASE WHEN x.ends THEN date_trunc('milliseconds', statement_timestamp()) ELSE r.finished_at END,
    worker = CASE WHEN x.reaped THEN NULL ELSE r.worker END,
    incarnation = CASE WHEN x.reaped THEN NULL ELSE r.incarnation END,
    available_at = CASE WHEN x.reaped AND NOT x.ends THEN date_trunc('milliseconds', statement_timestamp()) + x.pause_for
      WHEN x.is_due THEN least(r.available_at, date_trunc('milliseconds', statement_timestamp())) ELSE r.available_at END,
    inbox_seq = coalesce(x.ordinal, r.inbox_seq),
    unread = r.unread + coalesce(x.count, 0)
  FROM run_changes x
  WHERE r.id = x.id AND x.few = 1
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now,
  (SELECT count(*)::int FROM reaped_runs WHERE NOT ends) AS released,
  (SELECT count(*)::int FROM reaped_runs WHERE ends) AS exhausted,
  (
    SELECT json_agg(DISTINCT x.queue)::text
    FROM (
      SELECT queue FROM reaped_runs UNION ALL SELECT queue FROM inbox_arrivals WHERE wakes
    ) x
  ) AS ready,
  (
    SELECT json_agg(json_build_array(a.worker, a.run))::text FROM inbox_arrivals a WHERE a.worker IS NOT NULL
  ) AS held,
  (SELECT json_agg(x.id)::text FROM reaped_runs x WHERE x.ends AND x.awaited) AS changed;
