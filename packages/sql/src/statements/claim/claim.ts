/**
 * Claims due runs from queues without limits. If a requested queue has limits, it claims nothing and reports that:
 * `claimLimited`, which costs more, is for those.
 *
 * Index: `runs_claim` (queue, fresh, workflow, version, priority, available_at, id) over pending and suspended runs.
 * For each kind of run that the worker has, a skip scan finds the priorities in use, one descent each, and of each
 * priority only the first due runs are read: neither sleeping runs nor runs of other workers' workflows. The candidates
 * are locked by `runs_pkey`.
 * Locks: the rows of the claimed runs, with SKIP LOCKED, so it never waits. Workers that claim at the same time read
 * the same first runs, so the number of candidates grows with the number of live workers.
 *
 * It also writes to the worker's row whether the worker is idle, and for which queues: others hint idle workers.
 */
import * as Either from "effect/Either"
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Verb, Words } from "../../Verb.js"
import { millis } from "../shared/expressions.js"
import { sql, withRecursive } from "../sql.js"
import {
  candidateLimit,
  candidateLimits,
  claimResult,
  claims,
  dueRuns,
  hasTurnedIdle,
  isLimited,
  lockedRuns,
  nextDue,
  priorityLevels,
  queueKinds,
  queueRules,
  runKinds
} from "./parts.js"

type Request = Parameters<Driver.JournalDriver["claim"]>[0]

/** The parameters of both claim statements. */
export const encode = ({ limit, queues, worker, workflows }: Request): ReadonlyArray<unknown> => [
  JSON.stringify(workflows.map(({ name, version }) => ({ name, version, few: 1 }))),
  JSON.stringify(queues.map((queue, i) => ({ queue, i, few: 1 }))),
  Math.max(0, limit),
  worker.id,
  worker.incarnation
]

/** The first due runs of each queue and priority; one of each queue in turn. */
const candidates = (t: Words): string =>
  sql`
    SELECT p.rank, p.priority, c.place, c.i, c.id
    FROM (
      SELECT DISTINCT rank, priority FROM priority_levels
      WHERE few = 1 AND priority IS NOT NULL ORDER BY rank, priority
    ) p
    CROSS JOIN LATERAL (
      SELECT r.id, l.i, row_number() OVER (PARTITION BY l.i ORDER BY r.available_at, r.id) AS place
      FROM priority_levels l
      CROSS JOIN LATERAL (
        ${dueRuns(t)}
      ) r
      WHERE l.rank = p.rank AND l.priority = p.priority
      ORDER BY place, l.i
      LIMIT ${candidateLimit}
    ) c
  `

/** $1 workflows, $2 queues, $3 limit, $4 worker, $5 incarnation */
export const claim: Verb = {
  name: "claim",
  parameters: 5,
  text: (t) =>
    withRecursive(
      [
        queueRules(t),
        runKinds(t),
        queueKinds("NOT EXISTS (SELECT FROM queue_rules x WHERE x.limited)"),
        priorityLevels(t),
        candidateLimits(t),
        lockedRuns(t, candidates(t)),
        ...claims(t)
      ],
      claimResult(
        t,
        sql`
          SELECT ${millis(t.now)} AS now,
            ${hasTurnedIdle},
            (
              SELECT ${millis("d.due")} FROM (
                ${nextDue(t)}
              ) AS d(due)
            ) AS next_due,
            false AS more, false AS capped, ${isLimited}
        `
      )
    )
}

/** A claimed run, before its journal and inbox are read. */
export interface ClaimRow {
  readonly run: Driver.ClaimedRun
  /** A continue-as-new has replaced the payload, and this statement could not see it. */
  readonly stale: boolean
  readonly firstSeq: number
  readonly unread: number
}

export interface ClaimRows {
  readonly now: Driver.Millis
  readonly nextDue: Driver.Millis | null
  /** There may be more runs that could be claimed now. */
  readonly more: boolean
  /** Due runs wait until others end. */
  readonly capped: boolean
  /** A requested queue has limits: the claim is for the other statement. */
  readonly limited: boolean
  /** The worker has become idle by this claim. */
  readonly turnedIdle: boolean
  readonly rows: ReadonlyArray<ClaimRow>
  readonly unreadable: ReadonlyArray<Driver.UnreadableRun>
}

const parent = (row: Row.Fields): Driver.ParentLink | null => {
  const id = Row.textOrNull(row, "parent_id")
  return id === null ? null : { id, token: Row.text(row, "parent_token"), attached: Row.flag(row, "attached") }
}

const claimRow = (row: Row.Fields): ClaimRow => {
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

export const decode = (rows: ReadonlyArray<Row.Fields>): ClaimRows => {
  const row = Row.first(rows)
  const unreadable: Array<Driver.UnreadableRun> = []
  const claimed = rows.filter((each) => each["id"] !== null).flatMap((each) => {
    const found = Row.attempt(() => claimRow(each))
    if (Either.isRight(found)) return [found.right]
    unreadable.push({
      id: Row.text(each, "id"),
      epoch: Row.integer(each, "epoch"),
      nextSeq: Row.integer(each, "next_seq"),
      detail: found.left
    })
    return []
  })
  return {
    now: Row.instant(row, "now"),
    nextDue: Row.instantOrNull(row, "next_due"),
    more: Row.flag(row, "more"),
    capped: Row.flag(row, "capped"),
    limited: Row.flag(row, "limited"),
    turnedIdle: Row.flag(row, "turned_idle"),
    rows: claimed,
    unreadable
  }
}
