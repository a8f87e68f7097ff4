/**
 * Take runs that are available, from queues without limits. If one of them has limits, nothing is taken, and the answer says
 * so: that is for `claimLimited`, which costs more.
 *
 * Index: `runs_claim` (queue, fresh, workflow, version, priority, available_at, id) over pending and suspended runs. For each
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
import type { Verb, Words } from "../Verb.js"
import { answering, breadth, dueOf, kinds, levels, nextDue, picked, rules, taking } from "./claimParts.js"
import { millis, part } from "./words.js"

export const encodeWorkflows = (workflows: Parameters<Driver.JournalDriver["claim"]>[0]["workflows"]): string =>
  JSON.stringify(workflows.map(({ name, version }) => ({ name, version, one: 1 })))

export const encodeQueues = (queues: ReadonlyArray<string>): string =>
  JSON.stringify(queues.map((queue, i) => ({ queue, i, one: 1 })))

/** The front of each queue's part of a priority; one from each queue in turn. */
const candidates = (t: Words): string =>
  `SELECT p.rank, p.priority, c.place, c.i, c.id
      FROM (
        SELECT DISTINCT rank, priority FROM level WHERE one = 1 AND priority IS NOT NULL ORDER BY rank, priority
      ) p
      CROSS JOIN LATERAL (
        SELECT r.id, l.i, row_number() OVER (PARTITION BY l.i ORDER BY r.available_at, r.id) AS place
        FROM level l
        CROSS JOIN LATERAL (
          ${dueOf(t, "SELECT candidates FROM breadth")}
        ) r
        WHERE l.rank = p.rank AND l.priority = p.priority
        ORDER BY place, l.i
        LIMIT (SELECT candidates FROM breadth)
      ) c`

/** $1 workflows, $2 queues, $3 limit, $4 worker, $5 incarnation */
export const claim: Verb = {
  name: "claim",
  parameters: 5,
  text: (t) =>
    `WITH RECURSIVE ${
      [
        rules(t),
        kinds(t),
        part(
          "known",
          `SELECT r.queue, r.i, r.rank, k.workflow, k.version, f.fresh
    FROM rule r CROSS JOIN kind k CROSS JOIN (VALUES (true), (false)) AS f(fresh)
    WHERE NOT r.paused AND NOT EXISTS (SELECT FROM rule x WHERE x.limited)`
        ),
        levels(t),
        breadth(t),
        picked(t, candidates(t)),
        ...taking(t)
      ].join(", ")
    }
  ${
      answering(
        t,
        `SELECT ${millis(t.now)} AS now, EXISTS (SELECT FROM noted WHERE idle) AS turned_idle,
      (SELECT ${millis("d.due")} FROM (${nextDue(t)}) AS d(due)) AS next_due, false AS more, false AS capped,
      coalesce((SELECT bool_or(limited) FROM rule), false) AS limited`
      )
    }`
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
  /** There may be more that could be claimed now. */
  readonly more: boolean
  /** Runs that are due wait for others to end. */
  readonly capped: boolean
  /** A queue has limits, so this is for the other statement. */
  readonly limited: boolean
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
      inherited: Row.integer(row, "inherited"),
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
    more: Row.flag(row, "more"),
    capped: Row.flag(row, "capped"),
    limited: Row.flag(row, "limited"),
    turnedIdle: Row.flag(row, "turned_idle"),
    taken: rows.filter((each) => each["id"] !== null).map(taken)
  }
}
