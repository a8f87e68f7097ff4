/**
 * Messages into inboxes, as parts of a statement that has locked the target runs: deliveries, commits, ends of runs.
 *
 * Index: `inbox_id` finds duplicates, by ON CONFLICT.
 */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Words } from "../../Verb.js"
import { change, part, sql } from "../sql.js"
import { finals } from "./expressions.js"
import { keyNotices } from "./keyNotices.js"
import { contentColumns, contentOf } from "./messages.js"
import { byIndexIfAny } from "./planner.js"

/** The columns of `outgoing_messages`: the commit (0 outside of commits), the position in it, and the message. */
const outgoingColumns = `c, k, run, kind, name, id, ${contentColumns}`

/**
 * A message's place in the inboxes, and its position in the request, each as one value. Joined by two columns, the
 * planner might join by the first one and filter by the second: then all messages of one run are compared with each
 * other.
 */
const place = (m: string): string => `(${m}.run || ' ' || ${m}.ordinal)`
const position = (m: string): string => `(${m}.c::bigint * 4294967296 + ${m}.k)`

/** The columns of a target run that a delivery needs. */
export const targetColumns = (r: string): string =>
  ["id", "queue", "inbox_seq", "status", "waiting", "closed", "worker", "pause", "fresh", "key"]
    .map((column) => `${r}.${column}`).join(", ")

/**
 * The message that a run's end is to its parent: the columns of `outgoing_messages` after the position. Each value is
 * an expression; `parent` is a row with the parent link.
 */
export const endMessage = (
  {
    by = "NULL",
    crashedWorker = "NULL",
    crashes = "NULL::int",
    exitKind = "NULL",
    exitValue = "NULL",
    parent,
    reason = "NULL",
    run,
    status
  }: {
    readonly parent: string
    readonly run: string
    readonly status: string
    readonly exitKind?: string
    readonly exitValue?: string
    readonly by?: string
    readonly reason?: string
    readonly crashes?: string
    readonly crashedWorker?: string
  }
): string =>
  sql`
    ${parent}.parent_id, 'child', ${parent}.parent_token, 'child:' || ${run},
      NULL, ${by}, ${reason}, ${run}, ${status}, ${exitKind}, ${exitValue}, ${crashes}, ${crashedWorker}
  `

/** The state in which a message finds its run `r`: an earlier cancel of the same request has lifted a pause. */
const state = "CASE WHEN r.status = 'paused' AND bool_or(m.kind = 'cancel') OVER w THEN r.pause ELSE r.status END"

/** Whether run `r` waits for message `m`. */
const isAwaited = "m.kind || ':' || m.name = ANY (r.waiting)"

/**
 * Parts that read `outgoing_messages` (columns above) and `targets`, a query of `targetColumns`: locked rows, as they
 * are when the messages arrive. They define
 *
 * - `numbered_messages`: the messages that may be stored, with their ordinals; `wakes`: the message makes its run
 *   claimable; `is_due`: it is what a paused run waits for, so the run is claimable once it is resumed;
 * - `inserted_messages`: run and ordinal of the messages that were stored, which are not duplicates;
 * - `inbox_arrivals`: a row for each run that got a message: its newest ordinal, how many messages, and what they
 *   cause.
 *
 * A cancel lifts a pause; a run that has not started returns to the line of its key by a key notice.
 */
export const delivery = (t: Words, targets: string): ReadonlyArray<string> => [
  part(
    "numbered_messages",
    sql`
      SELECT m.*, r.inbox_seq + row_number() OVER w AS ordinal, r.queue, r.worker,
        CASE
          WHEN r.status = 'paused' AND m.kind = 'cancel' THEN true
          WHEN ${state} = 'suspended'
            THEN ${isAwaited}
          WHEN ${state} = 'pending'
            THEN m.kind = 'cancel'
          ELSE false
        END AS wakes,
        CASE
          WHEN ${state} = 'paused'
            AND r.pause = 'suspended' THEN ${isAwaited}
          ELSE false
        END AS is_due,
        CASE WHEN r.status = 'paused' AND r.pause = 'pending' AND r.fresh THEN r.key END AS key
      FROM outgoing_messages AS m(${outgoingColumns})
      JOIN (
        ${targets}
      ) r ON r.id = m.run
      WHERE r.status NOT IN ${finals}
        AND NOT (m.kind = 'signal' AND m.name = ANY (r.closed))
      WINDOW w AS (PARTITION BY r.id ORDER BY m.c, m.k)
    `
  ),
  change(
    "inserted_messages",
    sql`
      INSERT INTO ${t.inbox} (at, ordinal, run, id, kind, name,
        ${contentColumns})
      SELECT ${t.now}, m.ordinal, m.run, m.id, m.kind, m.name,
        ${contentOf("m")}
      FROM numbered_messages m
      ORDER BY m.run COLLATE "C", m.ordinal
      ON CONFLICT (run, id) DO NOTHING
      RETURNING run, ordinal
    `
  ),
  part(
    "inbox_arrivals",
    sql`
      SELECT s.run, max(s.ordinal)::int AS ordinal, count(*)::int AS count, bool_or(m.wakes) AS wakes,
        bool_or(m.wakes OR m.is_due) AS is_due, bool_or(m.kind = 'cancel') AS cancels, min(m.queue) AS queue,
        min(m.worker) AS worker, min(m.key) AS key
      FROM inserted_messages s
      JOIN numbered_messages m ON ${place("m")} = ${place("s")}
      GROUP BY s.run
    `
  ),
  keyNotices(
    t,
    "pause_key_notices",
    "SELECT a.queue, a.key FROM inbox_arrivals a WHERE a.cancels AND a.key IS NOT NULL",
    false
  )
]

/** The values of `status`, `pause` and `available_at` of a run row after the messages that arrived (row `a`). */
export const statusAfter = (status: string, pause: string, a: string): string =>
  `CASE WHEN ${a}.cancels AND ${status} = 'paused' THEN ${pause} ELSE ${status} END`
export const pauseAfter = (pause: string, a: string): string =>
  `CASE WHEN ${a}.cancels THEN 'cancelled' ELSE ${pause} END`
export const availableAfter = (t: Words, availableAt: string, a: string): string =>
  `CASE WHEN ${a}.is_due THEN least(${availableAt}, ${t.now}) ELSE ${availableAt} END`

/**
 * The disposition of a message `m`, as a letter: Delivered, Buffered, 2 for Duplicate, Expired, No such run. Needs the
 * joins below.
 */
export const letter = sql`
  CASE
    WHEN s.run IS NOT NULL THEN CASE WHEN n.wakes THEN 'D' ELSE 'B' END
    WHEN n.run IS NOT NULL OR twin.found THEN '2'
    WHEN r.id IS NOT NULL THEN 'E'
    ELSE 'N'
  END
`

/** `targets` has the target runs; a run that the statement itself inserts is in `numbered_messages` at least. */
export const letterJoins = (t: Words, targets: string): string => {
  const twin = `SELECT true AS found FROM ${t.inbox} d WHERE n.run IS NULL AND d.run = m.run AND d.id = m.id`
  return sql`
    LEFT JOIN ${targets} r ON r.id = m.run
    LEFT JOIN numbered_messages n ON ${position("n")} = ${position("m")}
    LEFT JOIN inserted_messages s ON ${place("s")} = ${place("n")}
    ${byIndexIfAny(twin, "twin")}
  `
}

const byLetter: Readonly<Record<string, Driver.Disposition>> = {
  D: "Delivered",
  B: "Buffered",
  2: "Duplicate",
  E: "Expired",
  N: "NoSuchRun"
}

/** Dispositions, a letter each. */
export const decodeLetters = (letters: string): ReadonlyArray<Driver.Disposition> =>
  Array.from(letters, (each) => Row.meaning(byLetter, each))
