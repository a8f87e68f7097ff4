/**
 * What the two claim statements share: the requested queues and their settings, the kinds of runs that the worker has,
 * the priorities in use, and the update of the runs that were locked.
 */
import type { Words } from "../../Verb.js"
import { claimable, millis } from "../shared/expressions.js"
import { anyLimit, byIndexIfAny, expectFew } from "../shared/planner.js"
import { part, change, recursion, sql, unionAll } from "../sql.js"

/** Candidates for each run of the limit, at most. */
const MAX_CANDIDATE_FACTOR = "8"

/** Candidates, at most. A constant in the text, so that no plan is costed as if it read all due runs. */
const MAX_CANDIDATES = "10000"

/** The limit of a claim. */
export const claimLimit = anyLimit("$3")

/**
 * `queue_rules`: the requested queues, by position, and their settings in this snapshot. A queue is limited if it has
 * limits, or if runs with keys may wait in it.
 */
export const queueRules = (t: Words): string => {
  const requested = sql`
    SELECT s.queue, min(s.i) AS i FROM json_to_recordset($2::json) AS s(queue text, i int, few int)
    WHERE ${expectFew("s")} GROUP BY 1
  `
  return part(
    "queue_rules",
    sql`
      SELECT s.queue COLLATE "C" AS queue, s.i, coalesce(k.priority, 0) AS rank, k.stamp,
        coalesce(k.paused OR k.concurrency = 0, false) AS paused,
        coalesce(k.concurrency IS NOT NULL OR k.admission IS NOT NULL OR k.rate_limit IS NOT NULL, false)
          -- Ordered, so that the index finds the first row and the table is not read until one comes.
          OR (SELECT true FROM ${t.keyNotices} n WHERE n.queue = s.queue ORDER BY n.at LIMIT 1) IS NOT NULL
          OR (SELECT true FROM ${t.turns} u WHERE u.queue = s.queue ORDER BY u.key LIMIT 1) IS NOT NULL AS limited
      FROM (
        ${requested}
      ) s
      ${byIndexIfAny(`SELECT k.* FROM ${t.queues} k WHERE k.name = s.queue`, "k")}
    `
  )
}

/** `run_kinds`: the workflows that the worker has and that are not paused. */
export const runKinds = (t: Words): string =>
  part(
    "run_kinds",
    sql`
      SELECT DISTINCT w.name COLLATE "C" AS workflow, w.version COLLATE "C" AS version
      FROM json_to_recordset($1::json) AS w(name text, version text, few int)
      WHERE ${expectFew("w")} AND NOT EXISTS (SELECT FROM ${t.held} h WHERE h.workflow = w.name)
    `
  )

/**
 * `queue_kinds`: the kinds of runs that this statement may claim from each queue; fresh runs are a kind of their own.
 */
export const queueKinds = (isServed: string): string =>
  part(
    "queue_kinds",
    sql`
      SELECT r.queue, r.i, r.rank, k.workflow, k.version, f.fresh
      FROM queue_rules r CROSS JOIN run_kinds k CROSS JOIN (VALUES (true), (false)) AS f(fresh)
      WHERE NOT r.paused AND ${isServed}
    `
  )

/** Run `r` waits for a claim, and is of the queue and kind of row `of`. All of it is in the index `runs_claim`. */
const isOfKind = (of: string): string =>
  sql`
    r.status IN ${claimable} AND (r.key IS NULL OR NOT r.fresh)
      AND r.queue = ${of}.queue AND r.fresh = ${of}.fresh AND r.workflow = ${of}.workflow AND r.version = ${of}.version
  `

/** A fresh run past its deadline must not be claimed. */
export const isInTime = (t: Words): string => `(r.expires_at IS NULL OR NOT r.fresh OR r.expires_at > ${t.now})`

/** `priority_levels`: the priorities in use of each row of `queue_kinds`, by a skip scan. */
export const priorityLevels = (t: Words): string =>
  recursion(
    "priority_levels",
    unionAll([
      sql`
        SELECT k.queue, k.i, k.rank, k.workflow, k.version, k.fresh, 1 AS few, (
          SELECT r.priority FROM ${t.runs} r
          WHERE ${isOfKind("k")}
          ORDER BY r.priority LIMIT 1
        ) AS priority
        FROM queue_kinds k
      `,
      sql`
        SELECT l.queue, l.i, l.rank, l.workflow, l.version, l.fresh, 1, (
          SELECT r.priority FROM ${t.runs} r
          WHERE ${isOfKind("l")}
            AND r.priority > l.priority
          ORDER BY r.priority LIMIT 1
        )
        FROM priority_levels l
        WHERE l.priority IS NOT NULL
      `
    ])
  )

/** Row `l` of `priority_levels` is a level, and not the end of its recursion. */
export const isLevel = `${expectFew("l")} AND l.priority IS NOT NULL`

/** `candidate_limits`: how many candidates to read; none for a worker whose own lease has run out. */
export const candidateLimits = (t: Words): string =>
  part(
    "candidate_limits",
    sql`
      SELECT CASE WHEN bool_or(w.id = $4::text AND w.incarnation = $5::text)
        THEN least(${MAX_CANDIDATES}, $3::int * least(${MAX_CANDIDATE_FACTOR}, count(*)))::int ELSE 0 END AS candidates
      FROM ${t.workers} w WHERE w.lease_until > ${t.now}
    `
  )

export const candidateLimit = "(SELECT candidates FROM candidate_limits)"

/** The first due runs of level `l`, in order. */
export const dueRuns = (t: Words): string =>
  sql`
    SELECT r.id, r.available_at
    FROM (
      SELECT r.id, r.available_at FROM ${t.runs} r
      WHERE ${isOfKind("l")}
        AND r.priority = l.priority AND r.available_at <= ${t.now}
        AND ${isInTime(t)}
      ORDER BY r.available_at, r.id
      LIMIT ${MAX_CANDIDATES}
    ) r
    LIMIT ${candidateLimit}
  `

/** When the next run of any level will be due. */
export const nextDue = (t: Words): string =>
  sql`
    SELECT min(d.available_at)
    FROM priority_levels l
    CROSS JOIN LATERAL (
      SELECT r.available_at FROM ${t.runs} r
      WHERE ${isOfKind("l")}
        AND r.priority = l.priority AND r.available_at > ${t.now}
        AND r.available_at < 'infinity'
      ORDER BY r.available_at
      LIMIT 1
    ) d
    WHERE ${isLevel}
  `

/**
 * `locked_runs`: candidates (rank, priority, place, i, id, in order), up to the limit, without those that others
 * locked.
 */
export const lockedRuns = (t: Words, candidates: string): string =>
  part(
    "locked_runs",
    sql`
      SELECT candidate.*, 1 AS few
      FROM (
        ${candidates}
      ) candidate
      CROSS JOIN LATERAL (
        SELECT r.status, r.available_at FROM ${t.runs} r WHERE r.id = candidate.id
        FOR UPDATE SKIP LOCKED OFFSET 0
      ) locked
      WHERE locked.status IN ${claimable} AND locked.available_at <= ${t.now}
      LIMIT ${claimLimit}
    `
  )

/** `claimed_runs`: the locked runs, claimed. `updated_workers`: whether the worker is idle, and for which queues. */
export const claims = (t: Words): ReadonlyArray<string> => [
  change(
    "claimed_runs",
    sql`
      UPDATE ${t.runs} r
      SET status = 'running', epoch = r.epoch + 1, worker = $4::text, incarnation = $5::text, fresh = false,
        claimed_at = ${t.now},
        started_at = coalesce(r.started_at, ${t.now})
      FROM locked_runs p
      WHERE r.id = p.id AND ${expectFew("p")}
      RETURNING r.id, r.queue, r.workflow, r.version, r.priority, r.key, r.epoch, r.generation, r.first_seq, r.next_seq,
        r.inbox_seq, r.unread, r.crashes, r.started_at, p.rank, p.place, p.i
    `
  ),
  change(
    "updated_workers",
    sql`
      UPDATE ${t.workers} w
      SET idle = n.idle, queues = n.queues
      FROM (
        SELECT (SELECT count(*) FROM locked_runs) < $3::int AS idle,
          ARRAY(SELECT r.queue FROM queue_rules r ORDER BY r.queue) AS queues
      ) n
      WHERE w.id = $4::text AND w.incarnation = $5::text AND (w.idle, w.queues) IS DISTINCT FROM (n.idle, n.queues)
      RETURNING w.idle
    `
  )
]

/** The columns of the result that both statements have. */
export const hasTurnedIdle = "EXISTS (SELECT FROM updated_workers WHERE idle) AS turned_idle"
export const isLimited = "coalesce((SELECT bool_or(limited) FROM queue_rules), false) AS limited"

/**
 * The result: a row for each claimed run, at least one row, each with the columns of the query `summary`.
 */
export const claimResult = (t: Words, summary: string): string =>
  sql`
    SELECT summary.*, c.id, c.queue, c.workflow, c.version, c.priority, c.key, c.epoch,
      c.generation, c.first_seq, c.next_seq, c.inbox_seq, c.unread, c.crashes,
      ${millis("c.started_at")} AS started_at,
      ${millis("n.created_at")} AS created_at, n.generation AS payload_generation, n.payload, n.idempotency_key,
      n.parent_id, n.parent_token, n.attached, n.root, n.depth, coalesce(n.seed, c.id) AS seed,
      coalesce(n.source_seq, 0) AS inherited
    FROM (
      ${summary}
    ) summary
    LEFT JOIN claimed_runs c ON true
    ${byIndexIfAny(`SELECT * FROM ${t.inputs} n WHERE n.run = c.id`, "n")}
    ORDER BY c.rank, c.priority, c.place, c.i
  `
