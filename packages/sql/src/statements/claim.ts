/**
 * Take runs that are available.
 *
 * Index: `runs_claim` (queue, workflow, version, priority, available_at, id) over pending and suspended runs. For each
 * kind of run that the worker knows, the priorities in use are found by a skip scan (one descent each), and of each
 * priority only the front of what is due is read: neither sleeping runs nor other workers' kinds are walked over.
 * Candidates are then locked by `runs_pkey`.
 * Locks: the claimed run rows; rows locked by others are skipped, so it never waits. Several workers that claim at the
 * same time see the same front, so the window of candidates grows with the number of live workers. It is empty for a
 * worker whose own lease has run out: whatever it took would be taken from it at once.
 *
 * Also keeps the worker's row: whether it is idle, and for which queues, so that others know whom to notify.
 */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../internal/Row.js"
import type { Verb } from "../Verb.js"
import { claimable, millis } from "./words.js"

/** How much wider than the limit the window of candidates is at most. */
const widest = 8

/** Candidates at most. A constant in the text, so that no plan is costed as if it read all that is due. */
const most = 10_000

export const encodeWorkflows = (workflows: Parameters<Driver.JournalDriver["claim"]>[0]["workflows"]): string =>
  JSON.stringify(workflows.map(({ name, version }) => ({ name, version, one: 1 })))

export const encodeQueues = (queues: ReadonlyArray<string>): string =>
  JSON.stringify(queues.map((queue) => ({ queue, one: 1 })))

/**
 * Comparisons of `one` with 1 are always true: they make the planner expect few rows, as there are, where it would
 * expect a hundred of any JSON and ten times as many of any recursion. Costs would go through the roof, and the
 * server would compile the statement (JIT) for half a second each time.
 *
 * $1 workflows, $2 queues, $3 limit, $4 worker, $5 incarnation
 */
export const claim: Verb = {
  name: "claim",
  parameters: 5,
  text: (t) => {
    const kind = (r: string, of: string) =>
      `${r}.status IN ${claimable} AND (${r}.key IS NULL OR NOT ${r}.fresh) AND ${r}.queue = ${of}.queue
          AND ${r}.fresh = ${of}.fresh AND ${r}.workflow = ${of}.workflow AND ${r}.version = ${of}.version`
    return `WITH RECURSIVE known AS MATERIALIZED (
    SELECT DISTINCT q.queue COLLATE "C" AS queue, w.name COLLATE "C" AS workflow, w.version COLLATE "C" AS version, f.fresh
    FROM json_to_recordset($2::json) AS q(queue text, one int),
      json_to_recordset($1::json) AS w(name text, version text, one int),
      (VALUES (true), (false)) AS f(fresh)
    WHERE q.one = 1 AND w.one = 1
  ), level AS (
    SELECT k.queue, k.workflow, k.version, k.fresh, 1 AS one, (
      SELECT r.priority FROM ${t.runs} r WHERE ${kind("r", "k")} ORDER BY r.priority LIMIT 1
    ) AS priority
    FROM known k
    UNION ALL
    SELECT l.queue, l.workflow, l.version, l.fresh, 1, (
      SELECT r.priority FROM ${t.runs} r
      WHERE ${kind("r", "l")} AND r.priority > l.priority ORDER BY r.priority LIMIT 1
    )
    FROM level l
    WHERE l.priority IS NOT NULL
  ), breadth AS MATERIALIZED (
    SELECT CASE WHEN bool_or(w.id = $4::text AND w.incarnation = $5::text)
      THEN least(${most}, $3::int * least(${widest}, count(*)))::int ELSE 0 END AS candidates
    FROM ${t.workers} w WHERE w.lease_until > ${t.now}
  ), picked AS MATERIALIZED (
    SELECT candidate.id, 1 AS touched
    FROM (SELECT DISTINCT priority FROM level WHERE one = 1 AND priority IS NOT NULL ORDER BY priority) p
    CROSS JOIN LATERAL (
      SELECT r.id, r.available_at
      FROM level l
      CROSS JOIN LATERAL (
        SELECT r.id, r.available_at
        FROM (
          SELECT r.id, r.available_at FROM ${t.runs} r
          WHERE ${kind("r", "l")} AND r.priority = l.priority AND r.available_at <= ${t.now}
          ORDER BY r.available_at, r.id
          LIMIT ${most}
        ) r
        LIMIT (SELECT candidates FROM breadth)
      ) r
      WHERE l.priority = p.priority
      ORDER BY r.available_at, r.id
      LIMIT (SELECT candidates FROM breadth)
    ) candidate
    CROSS JOIN LATERAL (
      SELECT r.status, r.available_at FROM ${t.runs} r WHERE r.id = candidate.id
      -- Without OFFSET the conditions below would be part of this, and an index on them might be chosen.
      FOR UPDATE SKIP LOCKED OFFSET 0
    ) locked
    WHERE locked.status IN ${claimable} AND locked.available_at <= ${t.now}
    LIMIT $3::int
  ), claimed AS (
    UPDATE ${t.runs} r
    SET status = 'running', epoch = r.epoch + 1, worker = $4::text, incarnation = $5::text, claimed_at = ${t.now},
      started_at = coalesce(r.started_at, ${t.now}), fresh = false
    FROM picked p
    -- The second condition is always true. It makes the planner expect few rows and use the index, whatever the
    -- statistics are.
    WHERE r.id = p.id AND p.touched = 1
    RETURNING r.id, r.queue, r.workflow, r.version, r.priority, r.key, r.available_at, r.epoch, r.generation, r.first_seq,
      r.next_seq, r.inbox_seq, r.unread, r.crashes, r.started_at
  ), noted AS (
    UPDATE ${t.workers} w
    SET idle = n.idle, queues = n.queues
    FROM (
      SELECT (SELECT count(*) FROM picked) < $3::int AS idle,
        ARRAY(SELECT q.queue FROM json_to_recordset($2::json) AS q(queue text)) AS queues
    ) n
    WHERE w.id = $4::text AND w.incarnation = $5::text AND (w.idle, w.queues) IS DISTINCT FROM (n.idle, n.queues)
    RETURNING w.idle
  ), answer AS MATERIALIZED (
    SELECT ${millis(t.now)} AS now, EXISTS (SELECT FROM noted WHERE idle) AS turned_idle, (
      SELECT ${millis("min(d.available_at)")}
      FROM level l
      CROSS JOIN LATERAL (
        SELECT r.available_at FROM ${t.runs} r
        WHERE ${kind("r", "l")} AND r.priority = l.priority AND r.available_at > ${t.now}
          AND r.available_at < 'infinity'
        ORDER BY r.available_at
        LIMIT 1
      ) d
      WHERE l.priority IS NOT NULL
    ) AS next_due
  )
  SELECT answer.now, answer.turned_idle, answer.next_due, c.id, c.queue, c.workflow, c.version, c.priority, c.key, c.epoch,
    c.generation, c.first_seq, c.next_seq, c.inbox_seq, c.unread, c.crashes, ${millis("c.started_at")} AS started_at,
    ${millis("n.created_at")} AS created_at, n.generation AS payload_generation, n.payload, n.idempotency_key,
    n.parent_id, n.parent_token, n.attached, n.root, n.depth, coalesce(n.seed, c.id) AS seed
  FROM answer
  LEFT JOIN claimed c ON true
  LEFT JOIN LATERAL (
    SELECT * FROM ${t.inputs} n WHERE n.run = c.id OFFSET 0
  ) n ON true
  ORDER BY c.priority, c.available_at, c.id`
  }
}

/** A claimed run before its journal and inbox are there. */
export interface Taken {
  readonly run: Driver.ClaimedRun
  /** Its payload was replaced by a continue-as-new that this statement could not see. */
  readonly stale: boolean
  readonly firstSeq: number
  readonly unread: number
}

export interface Claimed {
  readonly now: Driver.Millis
  readonly nextDue: Driver.Millis | null
  /** The worker has become idle by this claim. */
  readonly turnedIdle: boolean
  readonly taken: ReadonlyArray<Taken>
}

const parent = (row: Row.Fields): Driver.ParentLink | null => {
  const id = Row.textOrNull(row, "parent_id")
  return id === null ? null : { id, token: Row.text(row, "parent_token"), attached: Row.flag(row, "attached") }
}

const taken = (row: Row.Fields): Taken => {
  const generation = Row.integer(row, "generation")
  return {
    run: {
      id: Row.text(row, "id"),
      workflow: Row.text(row, "workflow"),
      version: Row.text(row, "version"),
      queue: Row.text(row, "queue"),
      priority: Row.integer(row, "priority"),
      payload: Row.text(row, "payload"),
      idempotencyKey: Row.textOrNull(row, "idempotency_key"),
      parent: parent(row),
      root: Row.text(row, "root"),
      depth: Row.integer(row, "depth"),
      key: Row.textOrNull(row, "key"),
      seed: Row.text(row, "seed"),
      epoch: Row.integer(row, "epoch"),
      generation,
      nextSeq: Row.integer(row, "next_seq"),
      createdAt: Row.instant(row, "created_at"),
      startedAt: Row.instant(row, "started_at"),
      seen: Row.integer(row, "inbox_seq"),
      crashes: Row.integer(row, "crashes"),
      journal: [],
      inbox: []
    },
    stale: Row.integer(row, "payload_generation") !== generation,
    firstSeq: Row.integer(row, "first_seq"),
    unread: Row.integer(row, "unread")
  }
}

export const decode = (rows: ReadonlyArray<Row.Fields>): Claimed => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    nextDue: Row.instantOrNull(row, "next_due"),
    turnedIdle: Row.flag(row, "turned_idle"),
    taken: rows.filter((each) => each["id"] !== null).map(taken)
  }
}
