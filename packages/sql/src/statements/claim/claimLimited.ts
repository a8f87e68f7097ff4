/**
 * Claims due runs from queues of which some have limits, or runs with keys. Limits are exact by one lock: the row of
 * each limited queue. A claim that does not get the lock at once leaves the queue out and is repeated (`more`); so is a
 * claim that gets the lock but has an older snapshot than the claim before it (`stamp`). So all that the statement
 * reads of a limited queue is as the claim before left it, except for ends of runs, which only make room.
 *
 * What a run occupies follows from its state: held runs are in `runs_holder`, started runs with a key in
 * `runs_holding`, other started runs in one of `runs_holder`, `runs_claim` and `runs_parked`. Counts stop at the limit.
 *
 * Keys: `turns` has the keys that can start a run, in key order, each priority by itself. Key notices name the keys to
 * check again. The claim then decides from the runs, so an extra notice does no harm. No notice is missing: the
 * transaction that makes a run with a key wait, or ends such a run, writes it.
 *
 * Rates are a token bucket, in the form of the generic cell rate algorithm (ITU-T I.371): `arrival` is when the bucket
 * will be full, in milliseconds.
 *
 * Indexes: as `claim`, and `runs_holder`, `runs_holding`, `runs_waiting`, `runs_parked`, `turns_order`, `turns_pkey`,
 * `key_notices_order`.
 * Locks: rows of limited queues, then rows of the claimed runs, all with SKIP LOCKED: it never waits. Rows of `turns`
 * and old key notices are changed only by the owner of the queue's lock.
 */
import type { Verb, Words } from "../../Verb.js"
import { instant, millis } from "../shared/expressions.js"
import { sql, withRecursive } from "../sql.js"
import { keyedRuns, keyPlaces, nextPlace } from "./keyedRuns.js"
import { NOTICE_WINDOW, keyChecks } from "./keyNotices.js"
import {
  candidateLimit,
  candidateLimits,
  claimResult,
  claims,
  dueRuns,
  hasTurnedIdle,
  isLevel,
  isLimited,
  lockedRuns,
  nextDue,
  priorityLevels,
  queueKinds,
  queueRules,
  runKinds
} from "./parts.js"
import { lockedQueues, queueBudgets, queueClaims, updatedQueues } from "./queueBudgets.js"

/** Candidates of queues without limits, and of those with limits as far as their budgets allow. */
const candidates = (t: Words): string =>
  sql`
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
              ${dueRuns(t)}
            ) r
            WHERE ${isLevel}
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
    LIMIT ${candidateLimit}
  `

/** When the next token will come, of queues whose budgets this claim has used up. */
const nextToken = (t: Words): string => {
  const at = sql`
    ceil(
      CASE WHEN s.started > 0
        THEN greatest(s.arrival, ${millis(t.now)}) + s.started * s.interval
        ELSE s.arrival END
      - (s.rate_burst - 1) * s.interval
    )
  `
  return sql`
    SELECT min(${instant(at)})
    FROM queue_claims s JOIN queue_budgets g ON g.queue = s.queue
    WHERE s.started >= g.tokens
  `
}

const nextClaim = (t: Words): string =>
  sql`
    least((
      ${nextDue(t)}
    ), (
      ${nextPlace(t)}
    ), (
      SELECT min(n.at) FROM key_places n JOIN run_kinds k ON k.workflow = n.workflow AND k.version = n.version
      WHERE n.at > ${t.now}
    ), (
      ${nextToken(t)}
    ))
  `

/** The budget of queue `s` would allow this claim more runs. */
const hasBudgetLeft = `s.all < coalesce(g.capacity, $3::int) AND s.started < coalesce(g.fresh, $3::int)`

/** Whether the claim should be repeated: a queue or key notices were left out, or keys can start more runs. */
const hasMore = (t: Words): string =>
  sql`
    (
      EXISTS (
        SELECT FROM queue_rules r WHERE r.limited AND NOT r.paused AND ${candidateLimit} > 0
          AND NOT r.queue IN (SELECT q.queue FROM locked_queues q)
      )
      OR (SELECT count(*) FROM edge_notices) > (SELECT count(*) FROM deleted_notices)
      OR EXISTS (SELECT FROM deleted_notices d GROUP BY d.queue HAVING sum(d.size) >= ${NOTICE_WINDOW})
      OR (SELECT count(*) FROM locked_runs) < $3::int AND (
        EXISTS (
          SELECT FROM key_places n
          JOIN run_kinds k ON k.workflow = n.workflow AND k.version = n.version
          JOIN queue_claims s ON s.queue = n.queue
          JOIN queue_budgets g ON g.queue = n.queue
          WHERE n.at <= ${t.now}
            AND ${hasBudgetLeft}
        )
        OR EXISTS (
          SELECT FROM (SELECT f.queue FROM key_heads f GROUP BY f.queue, f.priority HAVING count(*) >= $3::int) f
          JOIN queue_claims s ON s.queue = f.queue
          JOIN queue_budgets g ON g.queue = f.queue
          WHERE ${hasBudgetLeft}
        )
      )
    )
  `

const isCapped = "EXISTS (SELECT FROM locked_queues q WHERE q.concurrency IS NOT NULL OR q.admission IS NOT NULL)"

/** $1 workflows, $2 queues, $3 limit, $4 worker, $5 incarnation */
export const claimLimited: Verb = {
  name: "claim_limited",
  parameters: 5,
  text: (t) =>
    withRecursive(
      [
        queueRules(t),
        runKinds(t),
        candidateLimits(t),
        lockedQueues(t),
        queueKinds("(NOT r.limited OR r.queue IN (SELECT q.queue FROM locked_queues q))"),
        priorityLevels(t),
        queueBudgets(t),
        ...keyChecks(t),
        ...keyedRuns(t),
        lockedRuns(t, candidates(t)),
        ...claims(t),
        queueClaims,
        ...keyPlaces(t),
        updatedQueues(t)
      ],
      claimResult(
        t,
        sql`
          SELECT ${millis(t.now)} AS now,
            ${hasTurnedIdle},
            ${millis(nextClaim(t))} AS next_due,
            ${hasMore(t)} AS more,
            ${isCapped} AS capped,
            ${isLimited}
        `
      )
    )
}
