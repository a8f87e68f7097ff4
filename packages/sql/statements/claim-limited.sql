/* perdure:claim_limited:b9830c66 */
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
), candidate_limits AS MATERIALIZED (
  SELECT CASE WHEN bool_or(w.id = $4::text AND w.incarnation = $5::text)
    THEN least(10000, $3::int * least(8, count(*)))::int ELSE 0 END AS candidates
  FROM "perdure"."workers" w WHERE w.lease_until > date_trunc('milliseconds', statement_timestamp())
), locked_queues AS MATERIALIZED (
  SELECT r.i, r.rank, k.name AS queue, k.stamp, k.arrival, k.concurrency, k.admission, k.key_concurrency,
    k.rate_burst, k.rate_millis / k.rate_limit AS interval
  FROM queue_rules r
  CROSS JOIN LATERAL (
    SELECT k.* FROM "perdure"."queues" k WHERE k.name = r.queue FOR UPDATE SKIP LOCKED OFFSET 0
  ) k
  WHERE r.limited AND NOT r.paused AND k.stamp = r.stamp AND (SELECT candidates FROM candidate_limits) > 0
), queue_kinds AS MATERIALIZED (
  SELECT r.queue, r.i, r.rank, k.workflow, k.version, f.fresh
  FROM queue_rules r CROSS JOIN run_kinds k CROSS JOIN (VALUES (true), (false)) AS f(fresh)
  WHERE NOT r.paused AND (NOT r.limited OR r.queue IN (SELECT q.queue FROM locked_queues q))
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
), queue_budgets AS MATERIALIZED (
  SELECT q.queue,
    least($3::int, CASE WHEN q.concurrency IS NOT NULL THEN q.concurrency - (
      SELECT count(*) FROM (
        SELECT FROM "perdure"."runs" r WHERE r.queue = q.queue AND r.worker IS NOT NULL LIMIT q.concurrency
      ) x
    )::int END) AS capacity,
    q.tokens,
    least($3::int, q.tokens, CASE WHEN q.admission IS NOT NULL THEN q.admission - (
      SELECT count(*) FROM (
        SELECT FROM (
          SELECT FROM "perdure"."runs" r WHERE r.queue = q.queue AND r.worker IS NOT NULL
          UNION ALL
          SELECT FROM "perdure"."runs" r
          WHERE r.status IN ('pending', 'suspended') AND (r.key IS NULL OR NOT r.fresh) AND r.queue = q.queue AND r.fresh = false
          UNION ALL
          SELECT FROM "perdure"."runs" r
          WHERE r.status IN ('paused', 'diverged') AND NOT r.fresh AND r.queue = q.queue
        ) admitted LIMIT q.admission
      ) x
    )::int END) AS fresh
  FROM (
    SELECT q.*, least($3::int, floor(q.rate_burst - greatest(q.arrival - n.now, 0) / q.interval)) AS tokens
    FROM locked_queues q CROSS JOIN (SELECT date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000 AS now) n
  ) q
), edge_notices AS MATERIALIZED (
  SELECT q.queue, n.place, n.keys, min(n.old) AS old, min(n.new) AS new
  FROM locked_queues q
  CROSS JOIN LATERAL (
    (
      SELECT n.place, n.keys, n.pos AS old, NULL::bigint AS new
      FROM (
        SELECT n.*, row_number() OVER notice_order AS pos, sum(n.size) OVER notice_order - n.size AS before
        FROM (
          SELECT n.ctid AS place, n.at, n.size, n.keys FROM "perdure"."key_notices" n
          WHERE n.queue = q.queue ORDER BY n.at ASC LIMIT 5000
        ) n
        WINDOW notice_order AS (ORDER BY n.at ASC ROWS UNBOUNDED PRECEDING)
      ) n
      WHERE n.before < 5000
    )
    UNION ALL
    (
      SELECT n.place, n.keys, NULL, n.pos
      FROM (
        SELECT n.*, row_number() OVER notice_order AS pos, sum(n.size) OVER notice_order - n.size AS before
        FROM (
          SELECT n.ctid AS place, n.at, n.size, n.keys FROM "perdure"."key_notices" n
          WHERE n.queue = q.queue ORDER BY n.at DESC LIMIT 5000
        ) n
        WINDOW notice_order AS (ORDER BY n.at DESC ROWS UNBOUNDED PRECEDING)
      ) n
      WHERE n.before < 5000
    )
  ) n
  GROUP BY 1, 2, 3
), notice_keys AS MATERIALIZED (
  SELECT c.queue, c.keys
  FROM (
    SELECT g.queue, g.keys, least(
      sum(g.size) OVER (PARTITION BY g.queue ORDER BY g.old, g.keys ROWS UNBOUNDED PRECEDING) - g.size,
      sum(g.size) OVER (PARTITION BY g.queue ORDER BY g.new, g.keys ROWS UNBOUNDED PRECEDING) - g.size
    ) AS before
    FROM (
      SELECT e.queue, e.keys, cardinality(e.keys) AS size, min(e.old) AS old, min(e.new) AS new
      FROM edge_notices e GROUP BY 1, 2
    ) g
  ) c
  WHERE c.before < greatest(200, 4 * $3::int) / 2
), deleted_notices AS (
  DELETE FROM "perdure"."key_notices" n
  WHERE n.ctid = ANY (
    ARRAY(SELECT e.place FROM edge_notices e WHERE (e.queue, e.keys) IN (SELECT c.queue, c.keys FROM notice_keys c))
  )
  RETURNING n.queue, n.keys, n.at, n.freed, n.size
), key_checks AS MATERIALIZED (
  SELECT d.queue, k.key, max(d.at) FILTER (WHERE d.freed) AS freed, 1 AS few
  FROM deleted_notices d CROSS JOIN LATERAL unnest(d.keys) AS k(key) GROUP BY 1, 2
), key_levels AS (
  SELECT q.queue, k.workflow, k.version, 1 AS few, (
    SELECT u.priority FROM "perdure"."turns" u
    WHERE u.queue = q.queue AND u.workflow = k.workflow AND u.version = k.version ORDER BY u.priority LIMIT 1
  ) AS priority
  FROM locked_queues q CROSS JOIN run_kinds k
  UNION ALL
  SELECT l.queue, l.workflow, l.version, 1, (
    SELECT u.priority FROM "perdure"."turns" u
    WHERE u.queue = l.queue AND u.workflow = l.workflow AND u.version = l.version AND u.priority > l.priority
    ORDER BY u.priority LIMIT 1
  )
  FROM key_levels l
  WHERE l.priority IS NOT NULL
), key_heads AS MATERIALIZED (
  SELECT l.queue, u.key, l.priority, u.served
  FROM key_levels l
  CROSS JOIN LATERAL (
    SELECT u.key, u.served FROM "perdure"."turns" u
    WHERE u.queue = l.queue AND u.workflow = l.workflow AND u.version = l.version AND u.priority = l.priority
      AND u.at <= date_trunc('milliseconds', statement_timestamp())
      AND NOT (u.queue, u.key) IN (SELECT n.queue, n.key FROM key_checks n)
    ORDER BY u.at, u.key LIMIT (SELECT $3::int)
  ) u
  WHERE l.few = 1 AND l.priority IS NOT NULL
), waiting_keys AS MATERIALIZED (
  SELECT f.queue, f.key, u.priority, u.served, u.at <= date_trunc('milliseconds', statement_timestamp()) AS due, false AS noticed
  FROM (SELECT DISTINCT f.queue, f.key FROM key_heads f) f
  CROSS JOIN LATERAL (
    SELECT u.priority, u.served, u.at FROM "perdure"."turns" u WHERE u.queue = f.queue AND u.key = f.key OFFSET 0
  ) u
  UNION ALL
  SELECT n.queue, n.key, s.priority, coalesce(
    (SELECT max(u.served) FROM "perdure"."turns" u WHERE u.queue = n.queue AND u.key = n.key), n.freed, '-infinity'
  ), true, true
  FROM key_checks n
  CROSS JOIN LATERAL (
    WITH RECURSIVE key_priorities AS (
      SELECT 1 AS few, (
        SELECT r.priority FROM "perdure"."runs" r
        WHERE r.key IS NOT NULL AND r.fresh AND r.status = 'pending' AND r.queue = n.queue AND r.key = n.key
          AND (r.expires_at IS NULL OR NOT r.fresh OR r.expires_at > date_trunc('milliseconds', statement_timestamp()))
        ORDER BY r.priority LIMIT 1
      ) AS priority
      UNION ALL
      SELECT 1, (
        SELECT r.priority FROM "perdure"."runs" r
        WHERE r.key IS NOT NULL AND r.fresh AND r.status = 'pending' AND r.queue = n.queue AND r.key = n.key
          AND (r.expires_at IS NULL OR NOT r.fresh OR r.expires_at > date_trunc('milliseconds', statement_timestamp()))
          AND r.priority > s.priority
        ORDER BY r.priority LIMIT 1
      )
      FROM key_priorities s WHERE s.priority IS NOT NULL
    )
    SELECT s.priority FROM key_priorities s WHERE s.few = 1 AND s.priority IS NOT NULL
  ) s
  WHERE n.few = 1
), key_capacities AS MATERIALIZED (
  SELECT w.queue, w.key, w.priorities, w.due, w.served, w.noticed,
    coalesce(CASE WHEN q.key_concurrency IS NOT NULL THEN q.key_concurrency - (
      SELECT count(*) FROM (
        SELECT FROM "perdure"."runs" r
        WHERE r.key IS NOT NULL AND NOT r.fresh AND r.status NOT IN ('completed', 'failed', 'cancelled', 'terminated', 'expired', 'exhausted')
          AND r.queue = w.queue AND r.key = w.key LIMIT q.key_concurrency
      ) x
    )::int END, 2147483647) AS capacity
  FROM (
    SELECT w.queue, w.key, array_agg(w.priority) AS priorities, count(*) FILTER (WHERE w.due) AS due,
      max(w.served) AS served, bool_or(w.noticed) AS noticed
    FROM waiting_keys w GROUP BY 1, 2
  ) w
  JOIN locked_queues q ON q.queue = w.queue
), first_runs AS MATERIALIZED (
  SELECT x.*,
    bool_and(x.executable) OVER (PARTITION BY x.queue, x.key ORDER BY x.priority, x.available_at, x.id) AS clear
  FROM (
    SELECT l.queue, l.key, l.priority, l.capacity, l.served, l.share, r.id, r.available_at,
      EXISTS (SELECT FROM run_kinds k WHERE k.workflow = r.workflow AND k.version = r.version) AS executable
    FROM (
      SELECT m.queue, m.key, m.capacity, m.served, p.priority,
        least(m.capacity, ceil($3::float8 / count(*) OVER (PARTITION BY m.queue, p.priority))::int) AS share
      FROM key_capacities m CROSS JOIN LATERAL unnest(m.priorities) AS p(priority)
    ) l
    CROSS JOIN LATERAL (
      SELECT r.id, r.available_at, r.workflow, r.version FROM "perdure"."runs" r
      WHERE r.key IS NOT NULL AND r.fresh AND r.status = 'pending' AND r.queue = l.queue AND r.key = l.key
        AND (r.expires_at IS NULL OR NOT r.fresh OR r.expires_at > date_trunc('milliseconds', statement_timestamp()))
        AND r.priority = l.priority AND r.available_at <= date_trunc('milliseconds', statement_timestamp())
      ORDER BY r.available_at, r.id
      LIMIT greatest(0, l.share)
    ) r
  ) x
), later_runs AS MATERIALIZED (
  SELECT f.queue, f.key, f.priority, f.capacity, f.served, r.id, r.available_at,
    EXISTS (SELECT FROM run_kinds k WHERE k.workflow = r.workflow AND k.version = r.version) AS executable
  FROM (
    SELECT f.queue, f.key, f.priority, f.capacity, f.served, f.share, count(*) AS found,
      sum(count(*) FILTER (WHERE f.clear)) OVER (PARTITION BY f.queue, f.priority) AS all
    FROM first_runs f GROUP BY 1, 2, 3, 4, 5, 6
  ) f
  CROSS JOIN LATERAL (
    SELECT r.id, r.available_at, r.workflow, r.version FROM "perdure"."runs" r
    WHERE r.key IS NOT NULL AND r.fresh AND r.status = 'pending' AND r.queue = f.queue AND r.key = f.key
      AND (r.expires_at IS NULL OR NOT r.fresh OR r.expires_at > date_trunc('milliseconds', statement_timestamp()))
      AND r.priority = f.priority AND r.available_at <= date_trunc('milliseconds', statement_timestamp())
    ORDER BY r.available_at, r.id
    OFFSET f.share LIMIT least(f.capacity, $3::int) - f.share
  ) r
  WHERE f.all < $3::int AND f.found = f.share AND f.share < least(f.capacity, $3::int)
), keyed_runs AS MATERIALIZED (
  SELECT * FROM (
    SELECT h.queue, h.key, h.id, h.priority, greatest(h.available_at, h.served) AS at, h.capacity,
      row_number() OVER of_key AS position, bool_and(h.executable) OVER of_key AS executable
    FROM (
      SELECT f.queue, f.key, f.priority, f.capacity, f.served, f.id, f.available_at, f.executable FROM first_runs f
      UNION ALL
      SELECT o.* FROM later_runs o
    ) h
    WINDOW of_key AS (PARTITION BY h.queue, h.key ORDER BY h.priority, h.available_at, h.id)
  ) h
  WHERE h.executable AND h.position <= h.capacity
), locked_runs AS MATERIALIZED (
  SELECT candidate.*, 1 AS few
  FROM (
    SELECT c.rank, c.priority, c.place, c.i, c.id, c.queue, c.key, c.fresh
    FROM (
      SELECT a.*, row_number() OVER (PARTITION BY a.i, a.priority ORDER BY a.position, a.at, a.id) AS place
      FROM (
        SELECT b.*, row_number() OVER (PARTITION BY b.i ORDER BY b.priority, b.position, b.at, b.id) AS number
        FROM (
          SELECT e.*,
            row_number() OVER (PARTITION BY e.i, e.fresh ORDER BY e.priority, e.position, e.at, e.id) AS start
          FROM (
            SELECT l.queue, l.i, l.rank, l.priority, l.fresh, r.id, NULL AS key, r.available_at AS at, 1 AS position
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
            WHERE l.few = 1 AND l.priority IS NOT NULL
            UNION ALL
            SELECT k.queue, q.i, q.rank, k.priority, true, k.id, k.key, k.at, k.position
            FROM keyed_runs k JOIN locked_queues q ON q.queue = k.queue
          ) e
        ) b
        LEFT JOIN queue_budgets g ON g.queue = b.queue
        WHERE NOT b.fresh OR g.fresh IS NULL OR b.start <= g.fresh
      ) a
      LEFT JOIN queue_budgets g ON g.queue = a.queue
      WHERE g.capacity IS NULL OR a.number <= g.capacity
    ) c
    ORDER BY c.rank, c.priority, c.place, c.i
    LIMIT (SELECT candidates FROM candidate_limits)
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
), queue_claims AS MATERIALIZED (
  SELECT q.*, coalesce(p.taken, 0) AS all, coalesce(p.fresh, 0) AS started
  FROM locked_queues q
  LEFT JOIN (
    SELECT p.queue, count(*)::int AS taken, (count(*) FILTER (WHERE p.fresh))::int AS fresh FROM locked_runs p GROUP BY 1
  ) p ON p.queue = q.queue
), changed_keys AS MATERIALIZED (
  -- Grouped and not joined: the planner expects few rows of the join, and would compare all keys with each other.
  SELECT e.queue, e.key, coalesce(e.ids, '{}') AS ids, e.capacity - coalesce(cardinality(e.ids), 0) AS capacity,
    -- A key whose runs were locked by others counts as served, too: it must not keep others from their places.
    CASE WHEN e.ids IS NULL AND (e.noticed OR e.heads > 0) THEN e.served
      ELSE date_trunc('milliseconds', statement_timestamp()) END AS served,
    1 AS few, e.priorities
  FROM (
    SELECT e.queue, e.key, array_agg(e.id) FILTER (WHERE e.id IS NOT NULL) AS ids, max(e.capacity) AS capacity,
      max(e.served) AS served, bool_or(e.noticed) AS noticed, max(e.priorities) AS priorities, max(e.due) AS due,
      count(DISTINCT e.priority) AS heads
    FROM (
      SELECT m.queue, m.key, NULL AS id, m.capacity, m.served, m.noticed, m.priorities, m.due, NULL::int AS priority
      FROM key_capacities m
      UNION ALL
      SELECT k.queue, k.key, NULL, NULL, NULL, NULL, NULL, NULL, k.priority FROM keyed_runs k
      UNION ALL
      SELECT p.queue, p.key, p.id, NULL, NULL, NULL, NULL, NULL, NULL FROM locked_runs p WHERE p.key IS NOT NULL
    ) e
    GROUP BY 1, 2
  ) e
  WHERE e.ids IS NOT NULL OR e.noticed OR e.heads < e.due
  UNION ALL
  -- Noticed keys without waiting runs.
  SELECT n.queue, n.key, '{}', 0, '-infinity', 1, '{}' FROM key_checks n
  WHERE NOT (n.queue, n.key) IN (SELECT m.queue, m.key FROM key_capacities m)
), key_places AS MATERIALIZED (
  SELECT x.queue, x.key, s.priority, greatest(r.available_at, x.served) AS at, x.served, r.workflow, r.version
  FROM changed_keys x
  CROSS JOIN LATERAL (SELECT x.queue, x.key, p.priority FROM unnest(x.priorities) AS p(priority)) s
  CROSS JOIN LATERAL (
    SELECT r.available_at, r.workflow, r.version FROM "perdure"."runs" r
    WHERE r.key IS NOT NULL AND r.fresh AND r.status = 'pending' AND r.queue = x.queue AND r.key = x.key
      AND (r.expires_at IS NULL OR NOT r.fresh OR r.expires_at > date_trunc('milliseconds', statement_timestamp()))
      AND r.priority = s.priority AND r.id <> ALL (x.ids)
    ORDER BY r.available_at, r.id LIMIT 1
  ) r
  WHERE x.capacity > 0 AND r.available_at < 'infinity'
), deleted_places AS (
  DELETE FROM "perdure"."turns" u USING changed_keys x
  WHERE u.queue = x.queue AND u.key = x.key AND x.few = 1
    AND NOT (u.queue, u.key, u.priority) IN (SELECT n.queue, n.key, n.priority FROM key_places n)
), written_places AS (
  INSERT INTO "perdure"."turns" AS u (at, served, priority, queue, key, workflow, version)
  SELECT n.at, n.served, n.priority, n.queue, n.key, n.workflow, n.version FROM key_places n
  ON CONFLICT (queue, key, priority) DO UPDATE
  SET at = excluded.at, served = excluded.served, workflow = excluded.workflow, version = excluded.version
), updated_queues AS (
  UPDATE "perdure"."queues" k
  SET stamp = k.stamp + 1,
    arrival = CASE WHEN s.started > 0 AND s.interval IS NOT NULL
      THEN greatest(k.arrival, date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000) + s.started * s.interval
      ELSE k.arrival END
  FROM queue_claims s
  WHERE k.name = s.queue
    AND (s.all > 0 OR EXISTS (SELECT FROM changed_keys x WHERE x.queue = s.queue))
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
    date_part('epoch', least((
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
    ), (
      SELECT min(d.at)
      FROM key_levels l
      CROSS JOIN LATERAL (
        SELECT u.at FROM "perdure"."turns" u
        WHERE u.queue = l.queue AND u.workflow = l.workflow AND u.version = l.version AND u.priority = l.priority
          AND u.at > date_trunc('milliseconds', statement_timestamp())
          AND NOT (u.queue, u.key) IN (SELECT x.queue, x.key FROM changed_keys x)
        ORDER BY u.at LIMIT 1
      ) d
      WHERE l.few = 1 AND l.priority IS NOT NULL
    ), (
      SELECT min(n.at) FROM key_places n JOIN run_kinds k ON k.workflow = n.workflow AND k.version = n.version
      WHERE n.at > date_trunc('milliseconds', statement_timestamp())
    ), (
      SELECT min(to_timestamp(ceil(
        CASE WHEN s.started > 0
          THEN greatest(s.arrival, date_part('epoch', date_trunc('milliseconds', statement_timestamp())) * 1000) + s.started * s.interval
          ELSE s.arrival END
        - (s.rate_burst - 1) * s.interval
      ) / 1000.0::float8))
      FROM queue_claims s JOIN queue_budgets g ON g.queue = s.queue
      WHERE s.started >= g.tokens
    ))) * 1000 AS next_due,
    (
      EXISTS (
        SELECT FROM queue_rules r WHERE r.limited AND NOT r.paused AND (SELECT candidates FROM candidate_limits) > 0
          AND NOT r.queue IN (SELECT q.queue FROM locked_queues q)
      )
      OR (SELECT count(*) FROM edge_notices) > (SELECT count(*) FROM deleted_notices)
      OR EXISTS (SELECT FROM deleted_notices d GROUP BY d.queue HAVING sum(d.size) >= 5000)
      OR (SELECT count(*) FROM locked_runs) < $3::int AND (
        EXISTS (
          SELECT FROM key_places n
          JOIN run_kinds k ON k.workflow = n.workflow AND k.version = n.version
          JOIN queue_claims s ON s.queue = n.queue
          JOIN queue_budgets g ON g.queue = n.queue
          WHERE n.at <= date_trunc('milliseconds', statement_timestamp())
            AND s.all < coalesce(g.capacity, $3::int) AND s.started < coalesce(g.fresh, $3::int)
        )
        OR EXISTS (
          SELECT FROM (SELECT f.queue FROM key_heads f GROUP BY f.queue, f.priority HAVING count(*) >= $3::int) f
          JOIN queue_claims s ON s.queue = f.queue
          JOIN queue_budgets g ON g.queue = f.queue
          WHERE s.all < coalesce(g.capacity, $3::int) AND s.started < coalesce(g.fresh, $3::int)
        )
      )
    ) AS more,
    EXISTS (SELECT FROM locked_queues q WHERE q.concurrency IS NOT NULL OR q.admission IS NOT NULL) AS capped,
    coalesce((SELECT bool_or(limited) FROM queue_rules), false) AS limited
) summary
LEFT JOIN claimed_runs c ON true
LEFT JOIN LATERAL (
  SELECT * FROM "perdure"."inputs" n WHERE n.run = c.id OFFSET 0
) n ON true
ORDER BY c.rank, c.priority, c.place, c.i;
