/**
 * Take runs that are available, from queues of which some have limits or runs with keys. Exact by one lock: the row of
 * each limited queue. Who cannot have it at once leaves that queue out and is told to come again (`more`); so is who got it
 * but has an older snapshot than the claim before it (`stamp`). So everything else that the statement reads of a limited
 * queue is as the claim before it left it, but for ends of runs, which only make room.
 *
 * What a run occupies follows from its state: `running` ones are in `runs_holder`, begun ones with a key in `runs_holding`,
 * other begun ones in one of `runs_holder`, `runs_claim` and `runs_parked`. Counting stops at the limit.
 *
 * Keys: `turns` has the keys that may start a run, each priority by itself, in the order of their turns. Notices say which
 * keys to look at anew; a key that is served, or has nothing to serve, is looked at anew too. What comes of that is
 * decided from the runs themselves: so a notice too many does no harm, and there is never one too few, for whoever makes
 * a keyed run wait, or ends one, leaves it in the same transaction.
 *
 * Rates are a token bucket in the form of the generic cell rate algorithm (ITU-T I.371): `arrival` is when the bucket
 * will be full again, in milliseconds.
 *
 * Indexes: as `claim`, and `runs_holder`, `runs_holding`, `runs_waiting`, `runs_parked`, `turns_order`, `turns_pkey`,
 * `key_notices_order`. Locks: rows of limited queues and claimed run rows, all with SKIP LOCKED: it never waits. Rows of
 * `turns` and seen notices are changed only under the queue's lock.
 */
import type { Verb, Words } from "../Verb.js"
import {
  answering,
  atMost,
  breadth,
  dueOf,
  inTime,
  kinds,
  levels,
  nextDue,
  picked,
  rules,
  taking
} from "./claimParts.js"
import { together } from "./keyed.js"
import { change, finals, instant, millis, part } from "./words.js"

/** Keys that one claim looks at for their notices, about: one for each start and each end, and more to catch up. */
const mostKeys = `greatest(${2 * together}, 4 * $3::int)`

/** `taken`: the limited queues that are locked, as the claim before this left them. */
const taken = (t: Words): string =>
  part(
    "taken",
    `SELECT r.i, r.rank, k.name AS queue, k.stamp, k.arrival, k.concurrency, k.admission, k.key_concurrency,
      k.rate_burst, k.rate_millis / k.rate_limit AS interval
    FROM rule r
    CROSS JOIN LATERAL (
      SELECT k.* FROM ${t.queues} k WHERE k.name = r.queue FOR UPDATE SKIP LOCKED OFFSET 0
    ) k
    WHERE r.limited AND NOT r.paused AND k.stamp = r.stamp AND (SELECT candidates FROM breadth) > 0`
  )

/** What is left of a limit, null for none, with the rows of a query; they are counted up to the limit. */
const left = (limit: string, query: string): string =>
  `CASE WHEN ${limit} IS NOT NULL THEN ${limit} - (SELECT count(*) FROM (${query} LIMIT ${limit}) x)::int END`

/** `budget`: how many runs of a queue may be taken, and how many of them may be fresh. */
const budget = (t: Words): string =>
  part(
    "budget",
    `SELECT q.queue, least($3::int, ${
      left("q.concurrency", `SELECT FROM ${t.runs} r WHERE r.queue = q.queue AND r.worker IS NOT NULL`)
    }) AS slots, q.tokens, least($3::int, q.tokens, ${
      left(
        "q.admission",
        `SELECT FROM (
          SELECT FROM ${t.runs} r WHERE r.queue = q.queue AND r.worker IS NOT NULL
          UNION ALL
          SELECT FROM ${t.runs} r
          WHERE r.status IN ('pending', 'suspended') AND (r.key IS NULL OR NOT r.fresh) AND r.queue = q.queue AND r.fresh = false
          UNION ALL
          SELECT FROM ${t.runs} r
          WHERE r.status IN ('paused', 'diverged') AND NOT r.fresh AND r.queue = q.queue
        ) begun`
      )
    }) AS fresh
    FROM (
      SELECT q.*, least($3::int, floor(q.rate_burst - greatest(q.arrival - n.now, 0) / q.interval)) AS tokens
      FROM taken q CROSS JOIN (SELECT ${millis(t.now)} AS now) n
    ) q`
  )

/** Keys of the oldest notices, and as many of the newest, from among which a claim chooses. */
const window = 5_000

/** Notices of queue `q` from one end, with their positions there and none at the other end. */
const nearest = (t: Words, order: "ASC" | "DESC", positions: string): string =>
  `SELECT n.place, n.keys, ${positions}
        FROM (
          SELECT n.*, row_number() OVER near AS pos, sum(n.size) OVER near - n.size AS before
          FROM (
            SELECT n.ctid AS place, n.at, n.size, n.keys FROM ${t.keyNotices} n
            WHERE n.queue = q.queue ORDER BY n.at ${order} LIMIT ${window}
          ) n
          WINDOW near AS (ORDER BY n.at ${order} ROWS UNBOUNDED PRECEDING)
        ) n
        WHERE n.before < ${window}`

/**
 * - `near`: the oldest and the newest notices. With both, neither does a key that was noticed just now wait for those of a
 *   long time, nor an old one for new ones.
 * - `chosen`: those nearest to each end, whole, and at least one of each; notices of the same keys are one.
 * - `noticed`: keys to be looked at, and when a run of theirs ended last. Their notices are gone, however many they were.
 */
const notices = (t: Words): ReadonlyArray<string> => [
  part(
    "near",
    `SELECT q.queue, n.place, n.keys, min(n.old) AS old, min(n.new) AS new
    FROM taken q
    CROSS JOIN LATERAL (
      (${nearest(t, "ASC", "n.pos AS old, NULL::bigint AS new")})
      UNION ALL
      (${nearest(t, "DESC", "NULL, n.pos")})
    ) n
    GROUP BY 1, 2, 3`
  ),
  part(
    "chosen",
    `SELECT c.queue, c.keys
    FROM (
      SELECT g.queue, g.keys, least(
        sum(g.size) OVER (PARTITION BY g.queue ORDER BY g.old, g.keys ROWS UNBOUNDED PRECEDING) - g.size,
        sum(g.size) OVER (PARTITION BY g.queue ORDER BY g.new, g.keys ROWS UNBOUNDED PRECEDING) - g.size
      ) AS before
      FROM (
        SELECT e.queue, e.keys, cardinality(e.keys) AS size, min(e.old) AS old, min(e.new) AS new
        FROM near e GROUP BY 1, 2
      ) g
    ) c
    WHERE c.before < ${mostKeys} / 2`
  ),
  change(
    "removed",
    `DELETE FROM ${t.keyNotices} n
    WHERE n.ctid = ANY (ARRAY(SELECT e.place FROM near e WHERE (e.queue, e.keys) IN (SELECT c.queue, c.keys FROM chosen c)))
    RETURNING n.queue, n.keys, n.at, n.freed, n.size`
  ),
  part(
    "noticed",
    `SELECT d.queue, k.key, max(d.at) FILTER (WHERE d.freed) AS freed, 1 AS one
    FROM removed d CROSS JOIN LATERAL unnest(d.keys) AS k(key) GROUP BY 1, 2`
  )
]

/** A run row `r` that waits for its key's turn, of the queue and key of row `of`. */
const ofKey = (t: Words, r: string, of: string): string =>
  `${r}.key IS NOT NULL AND ${r}.fresh AND ${r}.status = 'pending' AND ${r}.queue = ${of}.queue AND ${r}.key = ${of}.key
          AND ${inTime(t, r)}`

/** Whether this worker can run `r`. */
const isKnown = (r: string): string =>
  `EXISTS (SELECT FROM kind k WHERE k.workflow = ${r}.workflow AND k.version = ${r}.version)`

/** Joins the runs of the queue, key and priority of row `of` that could start now, in order. */
const dueOfKey = (t: Words, of: string, rest: string): string =>
  `CROSS JOIN LATERAL (
      SELECT r.id, r.available_at, r.workflow, r.version FROM ${t.runs} r
      WHERE ${ofKey(t, "r", of)} AND r.priority = ${of}.priority AND r.available_at <= ${t.now}
      ORDER BY r.available_at, r.id
      ${rest}
    ) r`

/** The priorities of the runs that wait for the turn of key `of`: a skip scan. */
const prioritiesOf = (t: Words, of: string): string =>
  `(
      WITH RECURSIVE step AS (
        SELECT 1 AS one, (
          SELECT r.priority FROM ${t.runs} r WHERE ${ofKey(t, "r", of)} ORDER BY r.priority LIMIT 1
        ) AS priority
        UNION ALL
        SELECT 1, (
          SELECT r.priority FROM ${t.runs} r WHERE ${ofKey(t, "r", of)} AND r.priority > s.priority
          ORDER BY r.priority LIMIT 1
        )
        FROM step s WHERE s.priority IS NOT NULL
      )
      SELECT s.priority FROM step s WHERE s.one = 1 AND s.priority IS NOT NULL
    )`

/**
 * - `front`: the keys whose turn has come, of each kind and priority, but those that are noticed.
 * - `waiting`: those and the noticed ones in all their priorities, each by itself, with when the key was served last.
 * - `room`: how many runs more a key may have.
 * - `first`: of each key and priority its share of what this claim would start if there were no other priority.
 * - `others`: the runs behind those, where the shares of a priority do not make up a claim. So no run is taken before one of a
 *   higher priority.
 * - `keyed`: the runs to start, each key's in order, and in which round of turns each is.
 */
const keys = (t: Words): ReadonlyArray<string> => [
  `turn_level AS (
    SELECT q.queue, k.workflow, k.version, 1 AS one, (
      SELECT u.priority FROM ${t.turns} u
      WHERE u.queue = q.queue AND u.workflow = k.workflow AND u.version = k.version ORDER BY u.priority LIMIT 1
    ) AS priority
    FROM taken q CROSS JOIN kind k
    UNION ALL
    SELECT l.queue, l.workflow, l.version, 1, (
      SELECT u.priority FROM ${t.turns} u
      WHERE u.queue = l.queue AND u.workflow = l.workflow AND u.version = l.version AND u.priority > l.priority
      ORDER BY u.priority LIMIT 1
    )
    FROM turn_level l
    WHERE l.priority IS NOT NULL
  )`,
  part(
    "front",
    `SELECT l.queue, u.key, l.priority, u.served
    FROM turn_level l
    CROSS JOIN LATERAL (
      SELECT u.key, u.served FROM ${t.turns} u
      WHERE u.queue = l.queue AND u.workflow = l.workflow AND u.version = l.version AND u.priority = l.priority
        AND u.at <= ${t.now} AND NOT (u.queue, u.key) IN (SELECT n.queue, n.key FROM noticed n)
      ORDER BY u.at, u.key LIMIT (${atMost})
    ) u
    WHERE l.one = 1 AND l.priority IS NOT NULL`
  ),
  part(
    "waiting",
    `SELECT f.queue, f.key, u.priority, u.served, u.at <= ${t.now} AS due, false AS noticed
    FROM (SELECT DISTINCT f.queue, f.key FROM front f) f
    CROSS JOIN LATERAL (
      SELECT u.priority, u.served, u.at FROM ${t.turns} u WHERE u.queue = f.queue AND u.key = f.key OFFSET 0
    ) u
    UNION ALL
    SELECT n.queue, n.key, s.priority, coalesce(
      (SELECT max(u.served) FROM ${t.turns} u WHERE u.queue = n.queue AND u.key = n.key), n.freed, '-infinity'
    ), true, true
    FROM noticed n
    CROSS JOIN LATERAL ${prioritiesOf(t, "n")} s
    WHERE n.one = 1`
  ),
  part(
    "room",
    `SELECT w.queue, w.key, w.priorities, w.due, w.served, w.noticed, coalesce(${
      left(
        "q.key_concurrency",
        `SELECT FROM ${t.runs} r WHERE r.key IS NOT NULL AND NOT r.fresh AND r.status NOT IN ${finals} AND r.queue = w.queue
          AND r.key = w.key`
      )
    }, 2147483647) AS room
    FROM (
      SELECT w.queue, w.key, array_agg(w.priority) AS priorities, count(*) FILTER (WHERE w.due) AS due,
        max(w.served) AS served, bool_or(w.noticed) AS noticed
      FROM waiting w GROUP BY 1, 2
    ) w
    JOIN taken q ON q.queue = w.queue`
  ),
  part(
    "first",
    `SELECT x.*, bool_and(x.known) OVER (PARTITION BY x.queue, x.key ORDER BY x.priority, x.available_at, x.id) AS clear
    FROM (
      SELECT l.queue, l.key, l.priority, l.room, l.served, l.share, r.id, r.available_at, ${isKnown("r")} AS known
      FROM (
        SELECT m.queue, m.key, m.room, m.served, p.priority,
          least(m.room, ceil($3::float8 / count(*) OVER (PARTITION BY m.queue, p.priority))::int) AS share
        FROM room m CROSS JOIN LATERAL unnest(m.priorities) AS p(priority)
      ) l
      ${dueOfKey(t, "l", "LIMIT greatest(0, l.share)")}
    ) x`
  ),
  part(
    "others",
    `SELECT f.queue, f.key, f.priority, f.room, f.served, r.id, r.available_at, ${isKnown("r")} AS known
    FROM (
      SELECT f.queue, f.key, f.priority, f.room, f.served, f.share, count(*) AS found,
        sum(count(*) FILTER (WHERE f.clear)) OVER (PARTITION BY f.queue, f.priority) AS all
      FROM first f GROUP BY 1, 2, 3, 4, 5, 6
    ) f
    ${dueOfKey(t, "f", "OFFSET f.share LIMIT least(f.room, $3::int) - f.share")}
    WHERE f.all < $3::int AND f.found = f.share AND f.share < least(f.room, $3::int)`
  ),
  part(
    "keyed",
    `SELECT * FROM (
      SELECT h.queue, h.key, h.id, h.priority, greatest(h.available_at, h.served) AS at, h.room,
        row_number() OVER turn AS round, bool_and(h.known) OVER turn AS known
      FROM (
        SELECT f.queue, f.key, f.priority, f.room, f.served, f.id, f.available_at, f.known FROM first f
        UNION ALL
        SELECT o.* FROM others o
      ) h
      WINDOW turn AS (PARTITION BY h.queue, h.key ORDER BY h.priority, h.available_at, h.id)
    ) h
    WHERE h.known AND h.round <= h.room`
  )
]

/** Candidates of queues without limits and of those with them, as far as their budgets go. */
const candidates = (t: Words): string =>
  `SELECT c.rank, c.priority, c.place, c.i, c.id, c.queue, c.key, c.fresh
      FROM (
        SELECT a.*, row_number() OVER (PARTITION BY a.i, a.priority ORDER BY a.round, a.at, a.id) AS place
        FROM (
          SELECT b.*, row_number() OVER (PARTITION BY b.i ORDER BY b.priority, b.round, b.at, b.id) AS slot
          FROM (
            SELECT e.*, row_number() OVER (PARTITION BY e.i, e.fresh ORDER BY e.priority, e.round, e.at, e.id) AS start
            FROM (
              SELECT l.queue, l.i, l.rank, l.priority, l.fresh, r.id, NULL AS key, r.available_at AS at, 1 AS round
              FROM level l
              CROSS JOIN LATERAL (
                ${dueOf(t, "SELECT candidates FROM breadth")}
              ) r
              WHERE l.one = 1 AND l.priority IS NOT NULL
              UNION ALL
              SELECT k.queue, q.i, q.rank, k.priority, true, k.id, k.key, k.at, k.round
              FROM keyed k JOIN taken q ON q.queue = k.queue
            ) e
          ) b
          LEFT JOIN budget g ON g.queue = b.queue
          WHERE NOT b.fresh OR g.fresh IS NULL OR b.start <= g.fresh
        ) a
        LEFT JOIN budget g ON g.queue = a.queue
        WHERE g.slots IS NULL OR a.slot <= g.slots
      ) c
      ORDER BY c.rank, c.priority, c.place, c.i
      LIMIT (SELECT candidates FROM breadth)`

/**
 * - `spent`: what was taken of each limited queue.
 * - `touched`: keys to be written anew: served, noticed, or with nothing to serve.
 * - `turn`: what they are to be.
 */
const writing = (t: Words): ReadonlyArray<string> => [
  part(
    "spent",
    `SELECT q.*, coalesce(p.taken, 0) AS all, coalesce(p.fresh, 0) AS started
    FROM taken q
    LEFT JOIN (
      SELECT p.queue, count(*)::int AS taken, (count(*) FILTER (WHERE p.fresh))::int AS fresh FROM picked p GROUP BY 1
    ) p ON p.queue = q.queue`
  ),
  part(
    "touched",
    // By grouping and not by joins: expecting few rows, the planner would compare all keys with each other.
    `SELECT e.queue, e.key, coalesce(e.ids, '{}') AS ids, e.room - coalesce(cardinality(e.ids), 0) AS room,
      -- One that was looked at in vain has had its turn, too: it must not keep others from theirs.
      CASE WHEN e.ids IS NULL AND (e.noticed OR e.heads > 0) THEN e.served ELSE ${t.now} END AS served, 1 AS one,
      e.priorities
    FROM (
      SELECT e.queue, e.key, array_agg(e.id) FILTER (WHERE e.id IS NOT NULL) AS ids, max(e.room) AS room,
        max(e.served) AS served, bool_or(e.noticed) AS noticed, max(e.priorities) AS priorities, max(e.due) AS due,
        count(DISTINCT e.priority) AS heads
      FROM (
        SELECT m.queue, m.key, NULL AS id, m.room, m.served, m.noticed, m.priorities, m.due, NULL::int AS priority FROM room m
        UNION ALL
        SELECT k.queue, k.key, NULL, NULL, NULL, NULL, NULL, NULL, k.priority FROM keyed k
        UNION ALL
        SELECT p.queue, p.key, p.id, NULL, NULL, NULL, NULL, NULL, NULL FROM picked p WHERE p.key IS NOT NULL
      ) e
      GROUP BY 1, 2
    ) e
    WHERE e.ids IS NOT NULL OR e.noticed OR e.heads < e.due
    UNION ALL
    -- Keys that no run waits for any more.
    SELECT n.queue, n.key, '{}', 0, '-infinity', 1, '{}' FROM noticed n
    WHERE NOT (n.queue, n.key) IN (SELECT m.queue, m.key FROM room m)`
  ),
  part(
    "turn",
    `SELECT x.queue, x.key, s.priority, greatest(r.available_at, x.served) AS at, x.served, r.workflow, r.version
    FROM touched x
    CROSS JOIN LATERAL (SELECT x.queue, x.key, p.priority FROM unnest(x.priorities) AS p(priority)) s
    CROSS JOIN LATERAL (
      SELECT r.available_at, r.workflow, r.version FROM ${t.runs} r
      WHERE ${ofKey(t, "r", "x")} AND r.priority = s.priority AND r.id <> ALL (x.ids)
      ORDER BY r.available_at, r.id LIMIT 1
    ) r
    WHERE x.room > 0 AND r.available_at < 'infinity'`
  ),
  change(
    "closed",
    `DELETE FROM ${t.turns} u USING touched x
    WHERE u.queue = x.queue AND u.key = x.key AND x.one = 1
      AND NOT (u.queue, u.key, u.priority) IN (SELECT n.queue, n.key, n.priority FROM turn n)`
  ),
  change(
    "opened",
    `INSERT INTO ${t.turns} AS u (at, served, priority, queue, key, workflow, version)
    SELECT n.at, n.served, n.priority, n.queue, n.key, n.workflow, n.version FROM turn n
    ON CONFLICT (queue, key, priority) DO UPDATE
    SET at = excluded.at, served = excluded.served, workflow = excluded.workflow, version = excluded.version`
  ),
  change(
    "counted",
    `UPDATE ${t.queues} k
    SET stamp = k.stamp + 1,
      arrival = CASE WHEN s.started > 0 AND s.interval IS NOT NULL
        THEN greatest(k.arrival, ${millis(t.now)}) + s.started * s.interval ELSE k.arrival END
    FROM spent s
    WHERE k.name = s.queue
      AND (s.all > 0 OR EXISTS (SELECT FROM touched x WHERE x.queue = s.queue))`
  )
]

/** Of a limited queue: it could give more to this claim, as far as its budgets go. */
const roomLeft = `s.all < coalesce(g.slots, $3::int) AND s.started < coalesce(g.fresh, $3::int)`

const about = (t: Words): string =>
  `SELECT ${millis(t.now)} AS now, EXISTS (SELECT FROM noted WHERE idle) AS turned_idle,
      ${
    millis(`least((${nextDue(t)}), (
        SELECT min(d.at)
        FROM turn_level l
        CROSS JOIN LATERAL (
          SELECT u.at FROM ${t.turns} u
          WHERE u.queue = l.queue AND u.workflow = l.workflow AND u.version = l.version AND u.priority = l.priority
            AND u.at > ${t.now} AND NOT (u.queue, u.key) IN (SELECT x.queue, x.key FROM touched x)
          ORDER BY u.at LIMIT 1
        ) d
        WHERE l.one = 1 AND l.priority IS NOT NULL
      ), (
        SELECT min(n.at) FROM turn n JOIN kind k ON k.workflow = n.workflow AND k.version = n.version WHERE n.at > ${t.now}
      ), (
        SELECT min(${
      instant(
        `ceil(CASE WHEN s.started > 0 THEN greatest(s.arrival, ${
          millis(t.now)
        }) + s.started * s.interval ELSE s.arrival END
          - (s.rate_burst - 1) * s.interval)`
      )
    })
        FROM spent s JOIN budget g ON g.queue = s.queue
        WHERE s.started >= g.tokens
      ))`)
  } AS next_due,
      (
        EXISTS (SELECT FROM rule r WHERE r.limited AND NOT r.paused AND (SELECT candidates FROM breadth) > 0
          AND NOT r.queue IN (SELECT q.queue FROM taken q))
        OR (SELECT count(*) FROM near) > (SELECT count(*) FROM removed)
        OR EXISTS (SELECT FROM removed d GROUP BY d.queue HAVING sum(d.size) >= ${window})
        OR (SELECT count(*) FROM picked) < $3::int AND (
          EXISTS (
            SELECT FROM turn n
            JOIN kind k ON k.workflow = n.workflow AND k.version = n.version
            JOIN spent s ON s.queue = n.queue
            JOIN budget g ON g.queue = n.queue
            WHERE n.at <= ${t.now} AND ${roomLeft}
          )
          OR EXISTS (
            SELECT FROM (SELECT f.queue FROM front f GROUP BY f.queue, f.priority HAVING count(*) >= $3::int) f
            JOIN spent s ON s.queue = f.queue
            JOIN budget g ON g.queue = f.queue
            WHERE ${roomLeft}
          )
        )
      ) AS more,
      EXISTS (SELECT FROM taken q WHERE q.concurrency IS NOT NULL OR q.admission IS NOT NULL) AS capped,
      coalesce((SELECT bool_or(limited) FROM rule), false) AS limited`

/** $1 workflows, $2 queues, $3 limit, $4 worker, $5 incarnation */
export const claimLimited: Verb = {
  name: "claim_limited",
  parameters: 5,
  text: (t) =>
    `WITH RECURSIVE ${
      [
        rules(t),
        kinds(t),
        breadth(t),
        taken(t),
        part(
          "known",
          `SELECT r.queue, r.i, r.rank, k.workflow, k.version, f.fresh
    FROM rule r CROSS JOIN kind k CROSS JOIN (VALUES (true), (false)) AS f(fresh)
    WHERE NOT r.paused AND (NOT r.limited OR r.queue IN (SELECT q.queue FROM taken q))`
        ),
        levels(t),
        budget(t),
        ...notices(t),
        ...keys(t),
        picked(t, candidates(t)),
        ...taking(t),
        ...writing(t)
      ].join(", ")
    }
  ${answering(t, about(t))}`
}
