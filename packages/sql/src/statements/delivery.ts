/**
 * Messages into inboxes, as parts of a statement that has locked their targets: deliveries, commits, ends of runs.
 *
 * Index: `inbox_id` finds duplicates, by ON CONFLICT.
 */
import type * as Driver from "perdure/JournalDriver"
import type { Words } from "../Verb.js"
import { finals } from "./words.js"
import { notice } from "./keyed.js"

/** The columns of what a message says, and the same with their types. */
export const contentColumns = "payload, requested_by, reason, child, status, exit_kind, exit_value, detail"
export const contentFields = contentColumns.split(", ").map((column) => `${column} text`).join(", ")

export const contentOf = (m: string): string => contentColumns.split(", ").map((column) => `${m}.${column}`).join(", ")

/** What a message says, as parameters. */
export const encodeContent = (content: Driver.MessageContent) => {
  switch (content.kind) {
    case "signal":
    case "callback":
    case "defect":
      return { payload: content.payload }
    case "cancel":
      return { requested_by: content.by, reason: content.reason }
    case "child": {
      const { child, ending: { detail, exit, status } } = content
      return { child, status, exit_kind: exit?.kind, exit_value: exit?.value, detail }
    }
  }
}

/**
 * The message that a run's end is to its parent: the columns of `outgoing` after the position. Each value is an
 * expression; `parent` is a row with the link to the parent.
 */
export const endMessage = (
  { detail = "NULL", exitKind = "NULL", exitValue = "NULL", parent, run, status }: {
    readonly parent: string
    readonly run: string
    readonly status: string
    readonly exitKind?: string
    readonly exitValue?: string
    readonly detail?: string
  }
): string =>
  `${parent}.parent_id, 'child', ${parent}.parent_token, 'child:' || ${run}, NULL, NULL, NULL, ${run}, ${status}, ${exitKind},
      ${exitValue}, ${detail}`

/** The columns of `outgoing`: which commit, which position in it, and the message. */
export const outgoingColumns = `c, k, run, kind, name, id, ${contentColumns}`

/**
 * A message's place in the inboxes, and its position in the request, each as one value: joined by two columns, all
 * messages to one run might be compared with each other, if the planner joined by the first one and filtered by the second.
 */
const place = (m: string): string => `(${m}.run || ' ' || ${m}.ordinal)`
const position = (m: string): string => `(${m}.c::bigint * 4294967296 + ${m}.k)`

/** The columns of `target`. */
export const targetColumns = (r: string): string =>
  ["id", "queue", "inbox_seq", "status", "waiting", "closed", "worker", "pause", "fresh", "key"]
    .map((column) => `${r}.${column}`).join(", ")

/** The state in which a message finds its run `r`: a cancel before it has lifted a pause. */
const state = "CASE WHEN r.status = 'paused' AND bool_or(m.kind = 'cancel') OVER w THEN r.pause ELSE r.status END"

/**
 * Parts that read `outgoing` (columns above) and `target` (a query of `targetColumns`: locked rows, as they are when the
 * messages come), and give
 *
 * - `numbered`: messages that may be stored, with ordinal, and whether they wake their run,
 * - `stored`: run and ordinal of those that were,
 * - `arrived`: a row for each run that got any: newest ordinal, count, whether it is woken, whether it is to be
 *   available (`stirs`: also when it is paused and awaits what came), whether it is cancelled, queue and holder.
 *
 * A cancel lifts a pause; a run that has not begun gets back into the line of its key by a notice.
 */
export const delivery = (t: Words, target: string): ReadonlyArray<string> => [
  `numbered AS MATERIALIZED (
    SELECT m.*, r.inbox_seq + row_number() OVER w AS ordinal, r.queue, r.worker,
      CASE
        WHEN r.status = 'paused' AND m.kind = 'cancel' THEN true
        WHEN ${state} = 'suspended' THEN m.kind || ':' || m.name = ANY (r.waiting)
        WHEN ${state} = 'pending' THEN m.kind = 'cancel'
        ELSE false
      END AS wakes,
      CASE WHEN ${state} = 'paused' AND r.pause = 'suspended' THEN m.kind || ':' || m.name = ANY (r.waiting)
        ELSE false END AS stirs,
      CASE WHEN r.status = 'paused' AND r.pause = 'pending' AND r.fresh THEN r.key END AS key
    FROM outgoing AS m(${outgoingColumns})
    JOIN (
      ${target}
    ) r ON r.id = m.run
    WHERE r.status NOT IN ${finals} AND NOT (m.kind = 'signal' AND m.name = ANY (r.closed))
    WINDOW w AS (PARTITION BY r.id ORDER BY m.c, m.k)
  )`,
  `stored AS (
    INSERT INTO ${t.inbox} (at, ordinal, run, id, kind, name, ${contentColumns})
    SELECT ${t.now}, m.ordinal, m.run, m.id, m.kind, m.name, ${contentOf("m")}
    FROM numbered m
    ORDER BY m.run COLLATE "C", m.ordinal
    ON CONFLICT (run, id) DO NOTHING
    RETURNING run, ordinal
  )`,
  `arrived AS MATERIALIZED (
    SELECT s.run, max(s.ordinal)::int AS ordinal, count(*)::int AS count, bool_or(m.wakes) AS wakes,
      bool_or(m.wakes OR m.stirs) AS stirs, bool_or(m.kind = 'cancel') AS cancels, min(m.queue) AS queue,
      min(m.worker) AS worker, min(m.key) AS key
    FROM stored s
    JOIN numbered m ON ${place("m")} = ${place("s")}
    GROUP BY s.run
  )`,
  notice(t, "lifted", "SELECT a.queue, a.key FROM arrived a WHERE a.cancels AND a.key IS NOT NULL", false)
]

/** What the messages that arrived (row `a`) make of a run row: values of `status`, `pause` and `available_at`. */
export const statusAfter = (status: string, pause: string, a: string): string =>
  `CASE WHEN ${a}.cancels AND ${status} = 'paused' THEN ${pause} ELSE ${status} END`
export const pauseAfter = (pause: string, a: string): string =>
  `CASE WHEN ${a}.cancels THEN 'cancelled' ELSE ${pause} END`
export const availableAfter = (t: Words, availableAt: string, a: string): string =>
  `CASE WHEN ${a}.stirs THEN least(${availableAt}, ${t.now}) ELSE ${availableAt} END`

/**
 * What became of a message `m` of `outgoing`, a letter: Delivered, Buffered, 2 for Duplicate, Expired, No such run. Goes
 * with the joins below.
 */
export const letter = `CASE
        WHEN s.run IS NOT NULL THEN CASE WHEN n.wakes THEN 'D' ELSE 'B' END
        WHEN n.run IS NOT NULL OR twin.there THEN '2'
        WHEN r.id IS NOT NULL THEN 'E'
        ELSE 'N'
      END`

/** `rows` is where the targets' rows are; a run that was not there before the statement is in `numbered` at least. */
export const letterJoins = (t: Words, rows: string): string =>
  `LEFT JOIN ${rows} r ON r.id = m.run
    LEFT JOIN numbered n ON ${position("n")} = ${position("m")}
    LEFT JOIN stored s ON ${place("s")} = ${place("n")}
    LEFT JOIN LATERAL (
      SELECT true AS there FROM ${t.inbox} d WHERE n.run IS NULL AND d.run = m.run AND d.id = m.id OFFSET 0
    ) twin ON true`
