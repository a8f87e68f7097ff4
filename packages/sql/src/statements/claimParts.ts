/**
 * What the two claim statements share: the queues asked for and what their rows say, the kinds of run that the worker
 * knows, the priorities in use, and what is done with the runs that were picked.
 *
 * Comparisons of `one` with 1 are always true: they make the planner expect few rows, as there are, where it would
 * expect a hundred of any JSON and ten times as many of any recursion. Costs would go through the roof, and the
 * server would compile the statement (JIT) for half a second each time.
 */
import type { Words } from "../Verb.js"
import { claimable, millis, part } from "./words.js"

/** How much wider than the limit the window of candidates is at most. */
const widest = 8

/** Candidates at most. A constant in the text, so that no plan is costed as if it read all that is due. */
export const most = 10_000

/**
 * `rule`: the queues asked for, by position, and what this snapshot says of them. A queue is limited if it has limits, or
 * if runs with keys may wait in it.
 */
export const rules = (t: Words): string =>
  part(
    "rule",
    `SELECT s.queue COLLATE "C" AS queue, s.i, coalesce(k.priority, 0) AS rank, k.stamp,
      coalesce(k.paused OR k.concurrency = 0, false) AS paused,
      coalesce(k.concurrency IS NOT NULL OR k.admission IS NOT NULL OR k.rate_limit IS NOT NULL, false)
        -- In order, so that the first one is found by the index and not by reading the table until one comes.
        OR (SELECT true FROM ${t.keyNotices} n WHERE n.queue = s.queue ORDER BY n.at LIMIT 1) IS NOT NULL
        OR (SELECT true FROM ${t.turns} u WHERE u.queue = s.queue ORDER BY u.key LIMIT 1) IS NOT NULL AS limited
    FROM (
      SELECT s.queue, min(s.i) AS i FROM json_to_recordset($2::json) AS s(queue text, i int, one int)
      WHERE s.one = 1 GROUP BY 1
    ) s
    LEFT JOIN LATERAL (SELECT k.* FROM ${t.queues} k WHERE k.name = s.queue OFFSET 0) k ON true`
  )

/** `kind`: the workflows that the worker has, but those that are paused. */
export const kinds = (t: Words): string =>
  part(
    "kind",
    `SELECT DISTINCT w.name COLLATE "C" AS workflow, w.version COLLATE "C" AS version
    FROM json_to_recordset($1::json) AS w(name text, version text, one int)
    WHERE w.one = 1 AND NOT EXISTS (SELECT FROM ${t.held} h WHERE h.workflow = w.name)`
  )

/** Run row `r` waits to be claimed, and is of the queue and kind of row `of`, which also says whether it is fresh. */
export const ofKind = (r: string, of: string): string =>
  `${r}.status IN ${claimable} AND (${r}.key IS NULL OR NOT ${r}.fresh) AND ${r}.queue = ${of}.queue
          AND ${r}.fresh = ${of}.fresh AND ${r}.workflow = ${of}.workflow AND ${r}.version = ${of}.version`

/** A fresh run that is past its deadline is not to be claimed. */
export const inTime = (t: Words, r: string): string =>
  `(${r}.expires_at IS NULL OR NOT ${r}.fresh OR ${r}.expires_at > ${t.now})`

/** `level`: the priorities in use of each row of `known`, by a skip scan. Part of a recursive WITH. */
export const levels = (t: Words): string =>
  `level AS (
    SELECT k.queue, k.i, k.rank, k.workflow, k.version, k.fresh, 1 AS one, (
      SELECT r.priority FROM ${t.runs} r WHERE ${ofKind("r", "k")} ORDER BY r.priority LIMIT 1
    ) AS priority
    FROM known k
    UNION ALL
    SELECT l.queue, l.i, l.rank, l.workflow, l.version, l.fresh, 1, (
      SELECT r.priority FROM ${t.runs} r
      WHERE ${ofKind("r", "l")} AND r.priority > l.priority ORDER BY r.priority LIMIT 1
    )
    FROM level l
    WHERE l.priority IS NOT NULL
  )`

/**
 * The limit of a claim as no plan knows it. If a plan for the number that is given seemed cheaper than one for any number,
 * the server would plan each claim anew, which takes longer than the claim.
 */
export const atMost = "SELECT $3::int"

/** `breadth`: how many candidates to look at; none for a worker whose own lease has run out. */
export const breadth = (t: Words): string =>
  part(
    "breadth",
    `SELECT CASE WHEN bool_or(w.id = $4::text AND w.incarnation = $5::text)
      THEN least(${most}, $3::int * least(${widest}, count(*)))::int ELSE 0 END AS candidates
    FROM ${t.workers} w WHERE w.lease_until > ${t.now}`
  )

/** The runs of level `l` that are due, in order, as many as the query `limit` says. */
export const dueOf = (t: Words, limit: string): string =>
  `SELECT r.id, r.available_at
        FROM (
          SELECT r.id, r.available_at FROM ${t.runs} r
          WHERE ${ofKind("r", "l")} AND r.priority = l.priority AND r.available_at <= ${t.now} AND ${inTime(t, "r")}
          ORDER BY r.available_at, r.id
          LIMIT ${most}
        ) r
        LIMIT (${limit})`

/** When the next run of `level` that is not due yet will be. */
export const nextDue = (t: Words): string =>
  `SELECT min(d.available_at)
      FROM level l
      CROSS JOIN LATERAL (
        SELECT r.available_at FROM ${t.runs} r
        WHERE ${ofKind("r", "l")} AND r.priority = l.priority AND r.available_at > ${t.now}
          AND r.available_at < 'infinity'
        ORDER BY r.available_at
        LIMIT 1
      ) d
      WHERE l.one = 1 AND l.priority IS NOT NULL`

/** `picked`: up to the limit of `candidate` (a query of rank, priority, place, i and id, in order), locked. */
export const picked = (t: Words, candidate: string): string =>
  part(
    "picked",
    `SELECT candidate.*, 1 AS touched
    FROM (
      ${candidate}
    ) candidate
    CROSS JOIN LATERAL (
      SELECT r.status, r.available_at FROM ${t.runs} r WHERE r.id = candidate.id
      -- Without OFFSET the conditions below would be part of this, and an index on them might be chosen.
      FOR UPDATE SKIP LOCKED OFFSET 0
    ) locked
    WHERE locked.status IN ${claimable} AND locked.available_at <= ${t.now}
    LIMIT (${atMost})`
  )

/** `claimed`: the picked runs, taken. `noted`: the worker's row says whether it is idle, and for which queues. */
export const taking = (t: Words): ReadonlyArray<string> => [
  `claimed AS (
    UPDATE ${t.runs} r
    SET status = 'running', epoch = r.epoch + 1, worker = $4::text, incarnation = $5::text, claimed_at = ${t.now},
      started_at = coalesce(r.started_at, ${t.now}), fresh = false
    FROM picked p
    -- The second condition is always true. It makes the planner expect few rows and use the index, whatever the
    -- statistics are.
    WHERE r.id = p.id AND p.touched = 1
    RETURNING r.id, r.queue, r.workflow, r.version, r.priority, r.key, r.epoch, r.generation, r.first_seq, r.next_seq,
      r.inbox_seq, r.unread, r.crashes, r.started_at, p.rank, p.place, p.i
  )`,
  `noted AS (
    UPDATE ${t.workers} w
    SET idle = n.idle, queues = n.queues
    FROM (
      SELECT (SELECT count(*) FROM picked) < $3::int AS idle, ARRAY(SELECT r.queue FROM rule r ORDER BY r.queue) AS queues
    ) n
    WHERE w.id = $4::text AND w.incarnation = $5::text AND (w.idle, w.queues) IS DISTINCT FROM (n.idle, n.queues)
    RETURNING w.idle
  )`
]

/** The answer: a row for each claimed run, at least one, each with the columns of the query `about`. */
export const answering = (t: Words, about: string): string =>
  `SELECT answer.*, c.id, c.queue, c.workflow, c.version, c.priority, c.key, c.epoch,
    c.generation, c.first_seq, c.next_seq, c.inbox_seq, c.unread, c.crashes, ${millis("c.started_at")} AS started_at,
    ${millis("n.created_at")} AS created_at, n.generation AS payload_generation, n.payload, n.idempotency_key,
    n.parent_id, n.parent_token, n.attached, n.root, n.depth, coalesce(n.seed, c.id) AS seed,
    coalesce(n.source_seq, 0) AS inherited
  FROM (${about}) answer
  LEFT JOIN claimed c ON true
  LEFT JOIN LATERAL (
    SELECT * FROM ${t.inputs} n WHERE n.run = c.id OFFSET 0
  ) n ON true
  ORDER BY c.rank, c.priority, c.place, c.i`
