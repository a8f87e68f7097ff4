/**
 * Apply commits that touch no rows but those of their own runs, and new ones: no messages, none consumed, no new
 * generation, no parent to be told. Most commits are like that, and this is half the work of `commit`.
 *
 * Indexes: `runs_pkey`; `published_pkey` by ON CONFLICT.
 * Locks: the commits' own run rows, in order of id: the update takes them from a sorted list, one by one by index (a
 * test pins that plan). New rows (children) are inserted in the order of `enqueue`.
 *
 * The update is the fence: its conditions are checked on the current version of each row. Why a commit does not pass is
 * rare to be asked, and is the business of `judge`, a second statement.
 */
import * as Row from "../internal/Row.js"
import type { Verb, Words } from "../Verb.js"
import {
  again,
  applied,
  births,
  bornQueues,
  ended,
  idleElsewhere,
  lost,
  moveColumns,
  parameter,
  parameters,
  pausing,
  placeColumns,
  publication,
  queuesOf,
  scalars,
  type Shape,
  started,
  suffix,
  unseen,
  written
} from "./commitParts.js"
import { freed } from "./keyed.js"
import { change, instant, millis, part } from "./words.js"

/** That a run which is to be paused is let go of. */
const pauses = "r.pause = 'asked' AND a.move IN ('suspended', 'pending')"

const updated = (t: Words, { moves }: Shape): string => {
  const set = [
    `next_seq = a."from" + a.n`,
    "crashes = 0",
    `last_from = a."from"`,
    "last_mark = a.mark",
    "closed = CASE WHEN a.closes IS NULL THEN r.closed ELSE r.closed || a.closes END",
    ...(moves
      ? [
        `status = CASE WHEN ${pauses} THEN 'paused' ELSE coalesce(a.move, r.status) END`,
        `pause = CASE WHEN ${pauses} THEN a.move WHEN a.move IN ${ended} THEN NULL ELSE r.pause END`,
        "worker = CASE WHEN a.move IS NULL THEN r.worker END",
        "incarnation = CASE WHEN a.move IS NULL THEN r.incarnation END",
        `available_at = CASE WHEN a.move IN ('suspended', 'pending') THEN ${
          instant("a.until")
        } ELSE r.available_at END`,
        "waiting = coalesce(a.waiting, r.waiting)",
        `finished_at = CASE WHEN a.move IN ${ended} THEN ${t.now} END`,
        "exit_kind = a.exit_kind",
        "exit_value = a.exit_value",
        "detail = a.detail"
      ]
      : [])
  ]
  return change(
    "updated",
    `UPDATE ${t.runs} r
    SET ${set.join(",\n      ")}
    -- The comparison is always true. It makes the planner expect few rows and use the index, whatever the statistics are.
    FROM (SELECT * FROM asked WHERE one = 1 ORDER BY run COLLATE "C") a
    WHERE r.id = a.run AND r.status = 'running' AND r.epoch = a.epoch AND r.next_seq = a."from"
      AND (NOT a.must OR r.inbox_seq = a.seen)
    RETURNING a.i, r.id, r.queue, r.key, r.awaited, r.status, r.pause${moves ? ", a.move, a.until" : ""}`
  )
}

const text = (shape: Shape) => (t: Words): string => {
  const { children, finishes, frees, moves, published } = shape
  const ending = `SELECT u.queue, u.key FROM updated u WHERE u.key IS NOT NULL AND u.move IN ${ended}`
  const ready = [
    ...(children ? [bornQueues] : []),
    ...(moves ? ["SELECT u.queue FROM updated u WHERE u.move = 'pending'"] : []),
    ...(frees ? [`SELECT x.queue FROM (${ending}) x`] : [])
  ]
  const parts = [
    part(
      "asked",
      `SELECT *, 1 AS one FROM json_to_recordset($1::json) AS c(${placeColumns}${moves ? `, ${moveColumns}` : ""})`
    ),
    updated(t, shape),
    part(
      "verdict",
      `SELECT array_agg(CASE WHEN u.i IS NULL THEN ${lost} ELSE ${applied} END ORDER BY a.i) AS verdicts
    FROM asked a
    LEFT JOIN updated u ON u.i = a.i`
    ),
    written(t),
    ...(published ? [publication(t, parameter(shape, "published"))] : []),
    ...(frees ? [freed(t, ending)] : []),
    ...(children ? [pausing("updated"), ...births(t, parameter(shape, "children"), shape), started(t, false)] : [])
  ]
  return `WITH ${parts.join(", ")}
  SELECT ${
    [
      `${millis(t.now)} AS now`,
      "coalesce(array_to_string((SELECT verdicts FROM verdict), ''), '') AS verdicts",
      ...scalars([
        ["ready", queuesOf(ready)],
        [
          "asleep",
          moves ? queuesOf(["SELECT u.queue FROM updated u WHERE u.move = 'suspended' AND u.until < 'Infinity'"]) : null
        ],
        [
          "changed",
          finishes || published
            ? `SELECT json_agg(u.id)::text FROM updated u WHERE u.awaited${published ? "" : ` AND u.move IN ${ended}`}`
            : null
        ],
        ["idle", ready.length > 0 ? idleElsewhere(t) : null]
      ])
    ].join(",\n  ")
  }`
}

/** $1 commits, $2 entries, $3 worker, then the lists of this shape */
export const commitOwn = (shape: Shape): Verb => ({
  name: `commit_own${suffix(shape)}`,
  parameters: parameters(shape),
  text: text(shape)
})

/**
 * Why commits did not pass. Reads what is there now: whatever it was that kept a commit from passing does not go away,
 * so a commit that looks as if it could pass is answered as `Unseen`, that is to say, is to be tried again.
 *
 * Index: `runs_pkey`. Locks: none.
 *
 * $1 commits
 */
export const judge: Verb = {
  name: "commit_judge",
  parameters: 1,
  text: (t) =>
    `SELECT ${millis(t.now)} AS now, (
    SELECT string_agg(
      CASE
        WHEN r.epoch = a.epoch AND r.last_from = a."from" AND r.last_mark = a.mark
          AND (a.n > 0 OR a.move IS NOT NULL) THEN '${again}'
        WHEN r.status = 'running' AND r.epoch = a.epoch AND r.next_seq = a."from" THEN '${unseen}'
        ELSE '${lost}'
      END, '' ORDER BY a.i)
    FROM json_to_recordset($1::json) AS a(${placeColumns}, move text)
    LEFT JOIN LATERAL (
      SELECT r.status, r.epoch, r.next_seq, r.last_from, r.last_mark FROM ${t.runs} r WHERE r.id = a.run OFFSET 0
    ) r ON true
  ) AS verdicts`
}

/** The verdict on each commit, as a digit. */
export const decodeJudgement = (rows: ReadonlyArray<Row.Fields>): string => Row.text(Row.first(rows), "verdicts")
