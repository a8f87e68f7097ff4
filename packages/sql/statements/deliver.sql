/* perdure:deliver:1233e810 */
WITH outgoing_messages AS MATERIALIZED (
  SELECT 0 AS c, m.*
  FROM json_to_recordset($1::json) AS m(
    k int, run text, kind text, name text, id text,
    payload text, requested_by text, reason text, child text, status text, exit_kind text, exit_value text, crashes int, crashed_worker text
  )
), locked_runs AS MATERIALIZED (
  SELECT r.*
  FROM (SELECT DISTINCT m.run COLLATE "C" AS id FROM outgoing_messages m ORDER BY 1) target
  CROSS JOIN LATERAL (
    SELECT r.id, r.queue, r.inbox_seq, r.status, r.waiting, r.closed, r.worker, r.pause, r.fresh, r.key
    FROM "perdure"."runs" r WHERE r.id = target.id FOR UPDATE
  ) r
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
    SELECT * FROM locked_runs
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
), run_changes AS MATERIALIZED (
  SELECT a.*, 1 AS few FROM inbox_arrivals a
), updated_runs AS (
  UPDATE "perdure"."runs" r
  SET inbox_seq = a.ordinal,
    unread = r.unread + a.count,
    available_at = CASE WHEN a.is_due THEN least(r.available_at, date_trunc('milliseconds', statement_timestamp())) ELSE r.available_at END,
    status = CASE WHEN a.cancels AND r.status = 'paused' THEN r.pause ELSE r.status END,
    pause = CASE WHEN a.cancels THEN 'cancelled' ELSE r.pause END
  FROM run_changes a
  WHERE r.id = a.run AND a.few = 1
), notifications AS MATERIALIZED (
  SELECT pg_notify('perdure', payload)
  FROM (
    SELECT json_build_array('Ready', $2::text, q.queue)::text AS payload
    FROM (
      SELECT DISTINCT a.queue FROM inbox_arrivals a WHERE a.wakes
    ) q
    WHERE EXISTS (
      SELECT FROM "perdure"."workers" w
      WHERE w.idle AND w.lease_until > date_trunc('milliseconds', statement_timestamp()) AND q.queue = ANY (w.queues)
        AND NOT w.id IN (SELECT json_array_elements_text($3::json))
    )
  ) notification
  WHERE octet_length(payload) < 8000
  UNION ALL
  SELECT pg_notify('perdure', payload)
  FROM (
    SELECT json_build_array('Inbox', $2::text, h.worker, h.run)::text AS payload
    FROM (
      SELECT a.worker, a.run FROM inbox_arrivals a WHERE a.worker IS NOT NULL
    ) h
    WHERE NOT h.worker IN (SELECT json_array_elements_text($3::json))
  ) notification
  WHERE octet_length(payload) < 8000
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now,
  (
    SELECT string_agg(
      CASE
        WHEN s.run IS NOT NULL THEN CASE WHEN n.wakes THEN 'D' ELSE 'B' END
        WHEN n.run IS NOT NULL OR twin.found THEN '2'
        WHEN r.id IS NOT NULL THEN 'E'
        ELSE 'N'
      END, '' ORDER BY m.k
    )
    FROM outgoing_messages m
    LEFT JOIN locked_runs r ON r.id = m.run
    LEFT JOIN numbered_messages n ON (n.c::bigint * 4294967296 + n.k) = (m.c::bigint * 4294967296 + m.k)
    LEFT JOIN inserted_messages s ON (s.run || ' ' || s.ordinal) = (n.run || ' ' || n.ordinal)
    LEFT JOIN LATERAL (
      SELECT true AS found FROM "perdure"."inbox" d WHERE n.run IS NULL AND d.run = m.run AND d.id = m.id OFFSET 0
    ) twin ON true
  ) AS letters,
  (SELECT json_agg(DISTINCT a.queue)::text FROM inbox_arrivals a WHERE a.wakes) AS ready,
  (
    SELECT json_agg(json_build_array(a.worker, a.run))::text FROM inbox_arrivals a WHERE a.worker IS NOT NULL
  ) AS held,
  (SELECT count(*)::int FROM notifications) AS notified;
