/**
 * Applies commits that write only to rows of their own runs, and new rows: no messages are sent or consumed, no
 * generation starts, no parent is notified. Most commits are like that, and this is half the work of `commit`.
 *
 * Indexes: `runs_pkey`; `published_pkey` by ON CONFLICT.
 * Locks: the rows of the commits' own runs, in order of id: the update takes them from a sorted list, one by one by
 * index (a test pins that plan). It fails if a row stays locked; then `commit` leaves that row out. New rows (children)
 * are inserted in the order of `insertInputs`.
 *
 * The update is the fence: its conditions are checked on the current version of each row. `commitVerdicts`, a second
 * statement, explains why a commit was not applied, which is rare.
 */
import type { Verb, Words } from "../../Verb.js"
import { finishes, instant, millis } from "../shared/expressions.js"
import { keyNotices } from "../shared/keyNotices.js"
import { expectFew, few } from "../shared/planner.js"
import { change, part, sql, withParts } from "../sql.js"
import { hasSeen, newsColumn } from "./judgment.js"
import {
  childQueues,
  children,
  insertedEntries,
  insertedRuns,
  lockTimeout,
  pausingCommits,
  writtenValues
} from "./parts.js"
import { moveColumns, placeColumns } from "./request.js"
import { idleColumn, queuesColumn, verdictsColumn } from "./result.js"
import { APPLIED, LOST, parameterCount, parameterOf, type Shape, suffix } from "./shape.js"

/** The commit lets go of a run that is to be paused. */
const pauses = "r.pause = 'asked' AND a.move IN ('suspended', 'pending')"

const transition = (t: Words): ReadonlyArray<string> => [
  `status = CASE WHEN ${pauses} THEN 'paused' ELSE coalesce(a.move, r.status) END`,
  `pause = CASE WHEN ${pauses} THEN a.move WHEN a.move IN ${finishes} THEN NULL ELSE r.pause END`,
  "worker = CASE WHEN a.move IS NULL THEN r.worker END",
  "incarnation = CASE WHEN a.move IS NULL THEN r.incarnation END",
  `available_at = CASE WHEN a.move IN ('suspended', 'pending') THEN ${instant("a.until")} ELSE r.available_at END`,
  "waiting = coalesce(a.waiting, r.waiting)",
  `finished_at = CASE WHEN a.move IN ${finishes} THEN ${t.now} END`,
  "exit_kind = a.exit_kind",
  "exit_value = a.exit_value",
  "error_code = a.error_code",
  "detail = a.detail"
]

const updatedRuns = (t: Words, { moves }: Shape): string => {
  const set = [
    `next_seq = a."from" + a.n`,
    "crashes = 0",
    `last_from = a."from"`,
    "last_mark = a.mark",
    "closed = CASE WHEN a.closes IS NULL THEN r.closed ELSE r.closed || a.closes END",
    ...(moves ? transition(t) : [])
  ]
  return change(
    "updated_runs",
    sql`
      UPDATE ${t.runs} r
      SET
        ${set.join(",\n")}
      FROM (SELECT * FROM commits c WHERE ${expectFew("c")} ORDER BY run COLLATE "C") a
      WHERE r.id = a.run AND r.status = 'running' AND r.epoch = a.epoch AND r.next_seq = a."from"
        AND ${hasSeen(moves)}
      RETURNING a.i, a.seen, r.inbox_seq, r.id, r.queue, r.key, r.awaited, r.status, r.pause${
      moves ? ", a.move, a.until" : ""
    }
    `
  )
}

/** The queues and keys of runs that end. */
const endedKeys = `SELECT u.queue, u.key FROM updated_runs u WHERE u.key IS NOT NULL AND u.move IN ${finishes}`

const parts = (t: Words, shape: Shape): ReadonlyArray<string> => {
  const { frees, moves, published } = shape
  return [
    part(
      "commits",
      sql`
        SELECT *, ${few} FROM json_to_recordset($1::json) AS c(
          ${[placeColumns, ...(moves ? [moveColumns] : [])].join(",\n")}
        )${lockTimeout(shape)}
      `
    ),
    updatedRuns(t, shape),
    part(
      "verdicts",
      sql`
        SELECT array_agg(CASE WHEN u.i IS NULL THEN ${LOST} ELSE ${APPLIED} END ORDER BY a.i) AS verdicts
        FROM commits a
        LEFT JOIN updated_runs u ON u.i = a.i
      `
    ),
    insertedEntries(t),
    ...(published ? [writtenValues(t, parameterOf(shape, "published"))] : []),
    ...(frees ? [keyNotices(t, "end_key_notices", endedKeys, true)] : []),
    ...(shape.children
      ? [
        pausingCommits("updated_runs"),
        ...children(t, parameterOf(shape, "children"), shape),
        insertedRuns(t, false)
      ]
      : [])
  ]
}

/** The columns of the result: verdicts, and what follows for hints. */
const columns = (t: Words, shape: Shape): ReadonlyArray<string> => {
  const { finishes: ends, frees, moves, published } = shape
  const ready = [
    ...(shape.children ? [childQueues] : []),
    ...(moves ? ["SELECT u.queue FROM updated_runs u WHERE u.move = 'pending'"] : []),
    ...(frees ? [`SELECT x.queue FROM (${endedKeys}) x`] : [])
  ]
  const asleep = "SELECT u.queue FROM updated_runs u WHERE u.move = 'suspended' AND u.until < 'Infinity'"
  const changed = published ? "u.awaited" : `u.awaited AND u.move IN ${finishes}`
  return [
    `${millis(t.now)} AS now`,
    verdictsColumn,
    newsColumn(`updated_runs x WHERE ${moves ? "x.move IS NULL" : "true"}`),
    ...queuesColumn("ready", ready),
    ...queuesColumn("asleep", moves ? [asleep] : []),
    ...(ends || published ? [`(SELECT json_agg(u.id)::text FROM updated_runs u WHERE ${changed}) AS changed`] : []),
    ...(ready.length > 0 ? [idleColumn(t)] : [])
  ]
}

/** $1 commits, $2 entries, $3 worker, then the lists of the shape */
export const commitOwn = (shape: Shape): Verb => ({
  name: `commit_own${suffix(shape)}`,
  parameters: parameterCount(shape),
  text: (t) =>
    withParts(
      parts(t, shape),
      sql`
        SELECT
          ${columns(t, shape).join(",\n")}
      `
    )
})
