/* perdure:claim:0975ffef */
WITH RECURSIVE queue_rules AS MATERIALIZED (
  SELECT s.queue COLLATE "C" AS queue, s.i, coalesce(k.priority, 0) AS rank, k.stamp,
    coalesce(k.paused OR k.concurrency = 0, false) AS paused,
    coalesce(k.concurrency IS NOT NULL OR k.admission IS NOT NULL OR k.rate_limit IS NOT NULL, false)
      -- Ordered, so that the index finds the first row and the table is not read until one comes.
      OR (SELECT true FROM "perdure"."key_notices" n WHERE n.queue = s.queue ORDER BY n.at LIMIT 1) IS NOT NULL
      OR (SELECT true FROM "perdure"."turns" u WHERE u.queue = s.queue ORDER BY u.key LIMIT 1) IS NOT NULL AS limited
  FROM (
    SELECT s.queue, min(s.i) AS i FROM json_to_recordset($2::json) AS s(queue text, i int, few int)
    WHERE s.few = 1 GROUP BY 1
  ) s
  LEFT JOIN LATERAL (
    SELECT k.* FROM "perdure"."queues" k WHERE k.name = s.queue OFFSET 0
  ) k ON true
), run_kinds AS MATERIALIZED (
  SELECT DISTINCT w.name COLLATE "C" AS workflow, w.version COLLATE "C" AS version
  FROM json_to_recordset($1::json) AS w(name text, version text, few int)
  WHERE w.few = 1 AND NOT EXISTS (SELECT FROM "perdure"."held" h WHERE h.workflow = w.name)
), queue_kinds AS MATERIALIZED (
  SELECT r.queue, r.i, r.rank, k.workflow, k.version, f.fresh
  FROM queue_rules r CROSS JOIN run_kinds k CROSS JOIN (VALUES (true), (false)) AS f(fresh)
  WHERE NOT r.paused AND NOT EXISTS (SELECT FROM queue_rules x WHERE x.limited)
), priority_levels AS (
  SELECT k.queue, k.i, k.rank, k.workflow, k.version, k.fresh, 1 AS few, (
    SELECT r.priority FROM "perdure"."runs" r
    WHERE r.status IN ('pending', 'suspended') AND (r.key IS NULL OR NOT r.fresh)
      AND r.queue = k.queue AND r.fresh = k.fresh AND r.workflow = k.workflow AND r.version = k.version
    ORDER BY r.priority LIMIT 1
  ) AS priority
  FROM queue_kinds k
  UNION ALL
  SELECT l.queue, l.i, l.rank, l.workflow, l.version, l.fresh, 1, (
    SELECT r.priority FROM "perdure"."runs" r
    WHERE r.status IN ('pending', 'suspended') AND (r.key IS NULL OR NOT r.fresh)
      AND r.queue = l.queue AND r.fresh = l.fresh AND r.workflow = l.workflow AND r.version = l.version
      AND r.priority > l.priority
    ORDER BY r.priority LIMIT 1
  )
  FROM priority_levels l
  WHERE l.priority IS NOT NULL
), candidate_limits AS MATERIALIZED (
  SELECT CASE WHEN bool_or(w.id = $4::text AND w.incarnation = $5::text)
    THEN least(10000, $3::int * least(8, count(*)))::int ELSE 0 END AS candidates
  FROM "perdure"."workers" w WHERE w.lease_until > date_trunc('milliseconds', statement_timestamp())
), locked_runs AS MATERIALIZED (
  SELECT candidate.*, 1 AS few
  FROM (
    SELECT p.rank, p.priority, c.place, c.i, c.id
    FROM (
      SELECT DISTINCT rank, priority FROM priority_levels
      WHERE few = 1 AND priority IS NOT NULL ORDER BY rank, priority
    ) p
    CROSS JOIN LATERAL (
      SELECT r.id, l.i, row_number() OVER (PARTITION BY l.i ORDER BY r.available_at, r.id) AS place
      FROM priority_levels l
      CROSS JOIN LATERAL (
        SELECT r.id, r.available_at
        FROM (
          SELECT r.id, r.available_at FROM "perdure"."runs" r
          WHERE r.status IN ('pending', 'suspended') AND (r.key IS NULL OR NOT r.fresh)
            AND r.queue = l.queue AND r.fresh = l.fresh AND r.workflow = l.workflow AND r.version = l.version
            AND r.priority = l.priority AND r.available_at <= date_trunc('milliseconds', statement_timestamp())
            AND (r.expires_at IS NULL OR NOT r.fresh OR r.expires_at > date_trunc('milliseconds', statement_timestamp()))
          ORDER BY r.available_at, r.id
          LIMIT 10000
        ) r
        LIMIT (SELECT candidates FROM candidate_limits)
      ) r
      WHERE l.rank = p.rank AND l.priority = p.priority
      ORDER BY place, l.i
      LIMIT (SELECT candidates FROM candidate_limits)
    ) c
  ) candidate
  CROSS JOIN LATERAL (
    SELECT r.status, r.available_at FROM "perdure"."runs" r WHERE r.id = candidate.id
    FOR UPDATE SKIP LOCKED OFFSET 0
  ) locked
  WHERE locked.status IN ('pending', 'suspended') AND locked.available_at <= date_trunc('milliseconds', statement_timestamp())
  LIMIT (SELECT $3::int)
), claimed_runs AS (
  UPDATE "perdure"."runs" r
  SET status = 'running', epoch = r.epoch + 1, worker = $4::text, incarnation = $5::text, fresh = false,
    claimed_at = date_trunc('milliseconds', statement_timestamp()),
    started_at = coalesce(r.started_at, date_trunc('milliseconds', statement_timestamp()))
  FROM locked_runs p
  WHERE r.id = p.id AND p.few = 1
  RETURNING r.id, r.queue, r.workflow, r.version, r.priority, r.key, r.epoch, r.generation, r.first_seq, r.next_seq,
    r.inbox_seq, r.unread, r.crashes, r.started_at, p.rank, p.place, p.i
), updated_workers AS (
  UPDATE "perdure"."workers" w
  SET idle = n.idle, queues = n.queues
  FROM (
    SELECT (SELECT count(*) FROM locked_runs) < $3::int AS idle,
      ARRAY(SELECT r.queue FROM queue_rules r ORDER BY r.queue) AS queues
  ) n
  WHERE w.id = $4::text AND w.incarnation = $5::text AND (w.idle, w.queues) IS DISTINCT FROM (n.idle, n.queues)
  RETURNING w.idle
)
SELECT summary.*, c.id, c.queue, c.workflow, c.version, c.priority, c.key, c.epoch,
  c.generation, c.first_seq, c.next_seq, c.inbox_seq, c.unread, c.crashes,
  date_part('epoch', c.started_at) * 1000 AS started_at,
  date_part('epoch', n.created_at) * 1000 AS created_at, n.generation AS payload_generation, n.payload, n.idempotency_key,
  n.parent_id, n.parent_token, n.attached, n.root, n.depth, coalesce(n.seed, c.id) AS seed,
  coalesce(n.source_seq, 0) AS inherited
FROM (
  SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now,
    EXISTS (SELECT FROM updated_workers WHERE idle) AS turned_idle,
    (
      SELECT date_part('epoch', d.due) * 1000 FROM (
        SELECT min(d.available_at)
        FROM priority_levels l
        CROSS JOIN LATERAL (
          SELECT r.available_at FROM "perdure"."runs" r
          WHERE r.status IN ('pending', 'suspended') AND (r.key IS NULL OR NOT r.fresh)
            AND r.queue = l.queue AND r.fresh = l.fresh AND r.workflow = l.workflow AND r.version = l.version
            AND r.priority = l.priority AND r.available_at > date_trunc('milliseconds', statement_timestamp())
            AND r.available_at < 'infinity'
          ORDER BY r.available_at
          LIMIT 1
        ) d
        WHERE l.few = 1 AND l.priority IS NOT NULL
      ) AS d(due)
    ) AS next_due,
    false AS more, false AS capped, coalesce((SELECT bool_or(limited) FROM queue_rules), false) AS limited
) summary
LEFT JOIN claimed_runs c ON true
LEFT JOIN LATERAL (
  SELECT * FROM "perdure"."inputs" n WHERE n.run = c.id OFFSET 0
) n ON true
ORDER BY c.rank, c.priority, c.place, c.i;
