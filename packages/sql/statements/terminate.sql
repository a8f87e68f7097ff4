/* perdure:terminate:75c8cefb */
WITH RECURSIVE named_runs AS MATERIALIZED (
  SELECT DISTINCT x.id COLLATE "C" AS id, 1 AS few FROM json_array_elements_text($1::json) AS x(id)
), family_runs AS (
  SELECT n.run, n.run AS named
  FROM named_runs x
  CROSS JOIN LATERAL (
    SELECT n.run FROM "perdure"."inputs" n WHERE n.run = x.id OFFSET 0
  ) n
  WHERE x.few = 1
  UNION ALL
  SELECT n.run, f.named
  FROM family_runs f
  CROSS JOIN LATERAL (
    SELECT n.run FROM "perdure"."inputs" n WHERE n.parent_id = f.run AND n.attached OFFSET 0
  ) n
), family_members AS MATERIALIZED (
  SELECT f.run, CASE WHEN bool_or(f.run = f.named) THEN f.run ELSE min(f.named) END AS named
  FROM family_runs f
  GROUP BY f.run
), locked_runs AS MATERIALIZED (
  SELECT r.*, target.member, target.named
  FROM (
    SELECT each.id COLLATE "C" AS id, bool_or(each.member) AS member, min(each.named) AS named
    FROM (
      SELECT m.run AS id, true AS member, m.named FROM family_members m
      UNION ALL
      SELECT n.parent_id, false, NULL FROM family_members m
      CROSS JOIN LATERAL (
        SELECT n.parent_id FROM "perdure"."inputs" n WHERE n.run = m.run OFFSET 0
      ) n
      WHERE m.run = m.named AND n.parent_id IS NOT NULL
    ) each
    GROUP BY 1
    ORDER BY 1
  ) target
  CROSS JOIN LATERAL (
    SELECT r.id, r.queue, r.inbox_seq, r.status, r.waiting, r.closed, r.worker, r.pause, r.fresh, r.key, r.awaited FROM "perdure"."runs" r WHERE r.id = target.id FOR UPDATE
  ) r
), ended_runs AS MATERIALIZED (
  SELECT r.*
  FROM locked_runs r
  WHERE r.member AND r.status NOT IN ('completed', 'failed', 'cancelled', 'terminated', 'expired', 'exhausted')
), outgoing_messages AS MATERIALIZED (
  SELECT 0, row_number() OVER (ORDER BY e.id),
    n.parent_id, 'child', n.parent_token, 'child:' || e.id,
      NULL, $2::text, $3::text, e.id, 'terminated', NULL, NULL, NULL::int, NULL
  FROM ended_runs e
  CROSS JOIN LATERAL (
    SELECT n.parent_id, n.parent_token FROM "perdure"."inputs" n WHERE n.run = e.id OFFSET 0
  ) n
  WHERE e.id = e.named AND n.parent_id IS NOT NULL
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
    SELECT r.id, r.queue, r.inbox_seq, r.status, r.waiting, r.closed, r.worker, r.pause, r.fresh, r.key FROM locked_runs r WHERE NOT r.member
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
        SELECT e.queue, e.key FROM ended_runs e WHERE e.key IS NOT NULL AND NOT e.fresh
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
        SELECT e.queue, e.key FROM ended_runs e WHERE e.key IS NOT NULL AND e.fresh
      ) x
    ) k
  ) k
  GROUP BY k.queue, k.part
), run_changes AS MATERIALIZED (
  SELECT e.id, true AS ends, NULL::int AS ordinal, 0 AS count, false AS is_due, 1 AS few FROM ended_runs e
  UNION ALL
  SELECT a.run, false, a.ordinal, a.count, a.is_due, 1 FROM inbox_arrivals a
), updated_runs AS (
  UPDATE "perdure"."runs" r
  SET status = CASE WHEN x.ends THEN 'terminated' ELSE r.status END,
    pause = CASE WHEN x.ends THEN NULL ELSE r.pause END,
    ended_by = CASE WHEN x.ends THEN $2::text ELSE r.ended_by END,
    end_reason = CASE WHEN x.ends THEN $3::text ELSE r.end_reason END,
    detail = CASE WHEN x.ends THEN NULL ELSE r.detail END,
    finished_at = CASE WHEN x.ends THEN date_trunc('milliseconds', statement_timestamp()) ELSE r.finished_at END,
    worker = CASE WHEN x.ends THEN NULL ELSE r.worker END,
    incarnation = CASE WHEN x.ends THEN NULL ELSE r.incarnation END,
    available_at = CASE WHEN x.is_due THEN least(r.available_at, date_trunc('milliseconds', statement_timestamp())) ELSE r.available_at END,
    inbox_seq = coalesce(x.ordinal, r.inbox_seq),
    unread = r.unread + x.count
  FROM run_changes x
  WHERE r.id = x.id AND x.few = 1
), inserted_controls AS (
  INSERT INTO "perdure"."controls" (at, run, action, requested_by, reason, detail)
  SELECT date_trunc('milliseconds', statement_timestamp()), d.id, 'terminate', $2::text, $3::text, nullif(d.named, d.id) FROM ended_runs d
)
SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now,
  (SELECT count(*)::int FROM ended_runs) AS all,
  (SELECT count(*)::int FROM ended_runs e WHERE e.id = e.named) AS named,
  (
    SELECT json_agg(DISTINCT x.queue)::text
    FROM (
      SELECT a.queue FROM inbox_arrivals a WHERE a.wakes
      UNION ALL
      -- A place in the queue's limits is free.
      SELECT e.queue FROM ended_runs e WHERE e.key IS NOT NULL OR NOT e.fresh
    ) x
  ) AS ready,
  (
    SELECT json_agg(json_build_array(a.worker, a.run))::text FROM inbox_arrivals a WHERE a.worker IS NOT NULL
  ) AS held,
  (SELECT json_agg(e.id)::text FROM ended_runs e WHERE e.awaited) AS changed;
