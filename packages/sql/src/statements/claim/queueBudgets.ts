/** Limited queues in a claim: their locks, and how many runs their limits leave. */
import type { Words } from "../../Verb.js"
import { claimable, finals, millis, halted } from "../shared/expressions.js"
import { change, part, sql, unionAll } from "../sql.js"
import { candidateLimit } from "./parts.js"

/** `locked_queues`: the limited queues that are locked, as the claim before this one left them. */
export const lockedQueues = (t: Words): string =>
  part(
    "locked_queues",
    sql`
      SELECT r.i, r.rank, k.name AS queue, k.stamp, k.arrival, k.concurrency, k.admission, k.key_concurrency,
        k.rate_burst, k.rate_millis / k.rate_limit AS interval
      FROM queue_rules r
      CROSS JOIN LATERAL (
        SELECT k.* FROM ${t.queues} k WHERE k.name = r.queue FOR UPDATE SKIP LOCKED OFFSET 0
      ) k
      WHERE r.limited AND NOT r.paused AND k.stamp = r.stamp AND ${candidateLimit} > 0
    `
  )

/** What the rows of a query leave of a limit; null for no limit. Counting stops at the limit. */
const remainder = (limit: string, query: string): string =>
  sql`
    CASE WHEN ${limit} IS NOT NULL THEN ${limit} - (
      SELECT count(*) FROM (
        ${query} LIMIT ${limit}
      ) x
    )::int END
  `

/** Runs that workers hold: `runs_holder`. */
const heldRuns = (t: Words): string => `SELECT FROM ${t.runs} r WHERE r.queue = q.queue AND r.worker IS NOT NULL`

/** Runs that have started and not ended: `runs_holder`, `runs_claim`, `runs_parked`. */
const admittedRuns = (t: Words): string => {
  const runs = unionAll([
    heldRuns(t),
    sql`
      SELECT FROM ${t.runs} r
      WHERE r.status IN ${claimable} AND (r.key IS NULL OR NOT r.fresh) AND r.queue = q.queue AND r.fresh = false
    `,
    sql`
      SELECT FROM ${t.runs} r
      WHERE r.status IN ${halted} AND NOT r.fresh AND r.queue = q.queue
    `
  ])
  return sql`
    SELECT FROM (
      ${runs}
    ) admitted
  `
}

/** What the live runs of key `w` leave of the queue's limit for a key: `runs_holding`. */
export const keyRemainder = (t: Words): string =>
  remainder(
    "q.key_concurrency",
    sql`
      SELECT FROM ${t.runs} r
      WHERE r.key IS NOT NULL AND NOT r.fresh AND r.status NOT IN ${finals}
        AND r.queue = w.queue AND r.key = w.key
    `
  )

/** `queue_budgets`: how many runs this claim may take from a queue, and how many of them may be fresh. */
export const queueBudgets = (t: Words): string =>
  part(
    "queue_budgets",
    sql`
      SELECT q.queue,
        least($3::int, ${remainder("q.concurrency", heldRuns(t))}) AS capacity,
        q.tokens,
        least($3::int, q.tokens, ${remainder("q.admission", admittedRuns(t))}) AS fresh
      FROM (
        SELECT q.*, least($3::int, floor(q.rate_burst - greatest(q.arrival - n.now, 0) / q.interval)) AS tokens
        FROM locked_queues q CROSS JOIN (SELECT ${millis(t.now)} AS now) n
      ) q
    `
  )

/** When the token bucket of queue `s` will be full, after the starts of this claim. */
export const arrivalAfterClaim = (t: Words, arrival: string): string =>
  sql`
    CASE WHEN s.started > 0 AND s.interval IS NOT NULL
      THEN greatest(${arrival}, ${millis(t.now)}) + s.started * s.interval
      ELSE ${arrival} END
  `

/** `queue_claims`: how many runs were taken from each limited queue. */
export const queueClaims = part(
  "queue_claims",
  sql`
    SELECT q.*, coalesce(p.taken, 0) AS all, coalesce(p.fresh, 0) AS started
    FROM locked_queues q
    LEFT JOIN (
      SELECT p.queue, count(*)::int AS taken, (count(*) FILTER (WHERE p.fresh))::int AS fresh FROM locked_runs p GROUP BY 1
    ) p ON p.queue = q.queue
  `
)

/** `updated_queues`: the stamp shows to other claims that their snapshots are too old. */
export const updatedQueues = (t: Words): string =>
  change(
    "updated_queues",
    sql`
      UPDATE ${t.queues} k
      SET stamp = k.stamp + 1,
        arrival = ${arrivalAfterClaim(t, "k.arrival")}
      FROM queue_claims s
      WHERE k.name = s.queue
        AND (s.all > 0 OR EXISTS (SELECT FROM changed_keys x WHERE x.queue = s.queue))
    `
  )
