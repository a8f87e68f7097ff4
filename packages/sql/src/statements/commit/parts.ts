/** Parts of both commit statements: what is written beside the run's own row. They read the part `verdicts`. */
import type { Words } from "../../Verb.js"
import { instant } from "../shared/expressions.js"
import { keyArrivals } from "../shared/keyNotices.js"
import { insertInputs, newRunColumns } from "../shared/newRuns.js"
import { expectHalf } from "../shared/planner.js"
import { change, part, sql } from "../sql.js"
import { APPLIED, type Shape } from "./shape.js"

/**
 * Row `row` of a list is of a commit that is applied. Reads an array of verdicts by the index of the commit: that takes
 * no join, so the planner cannot choose a bad one. The planner expects few rows: for lists that are joined with tables.
 */
export const isApplied = (row: string): string => `(SELECT verdicts FROM verdicts)[${row}.c + 1] = ${APPLIED}`

/** The same for lists that are joined with other lists, which must be hashed: the planner expects half of the rows. */
export const isAppliedList = (row: string): string => expectHalf(isApplied(row))

/**
 * How long commits wait for a locked row before those of other runs are applied without it; longer if there are no
 * others.
 */
const LOCK_TIMEOUT = "CASE WHEN $1::json -> 1 IS NULL THEN '2s' ELSE '200ms' END"

/** A part of FROM, read before any row is locked: the time limit for locks, for this statement only. */
export const lockTimeout = ({ locked }: Shape): string =>
  locked === "wait" ? "" : `, set_config('lock_timeout', ${LOCK_TIMEOUT}, true) AS lock_timeout`

export const insertedEntries = (t: Words): string =>
  change(
    "inserted_entries",
    sql`
      INSERT INTO ${t.journal} (at, seq, op, epoch, run, worker, kind, name, exit_kind, exit_value)
      SELECT ${instant("e.at")}, e.seq, e.op, e.epoch, e.run, $3::text, e.kind, e.name, e.exit, e.value
      FROM json_to_recordset($2::json) AS e(c int, run text, epoch int, seq int, op int, kind text, name text, exit text,
        value text, at float8)
      WHERE ${isAppliedList("e")}
    `
  )

export const consumedMessages = (t: Words, rows: string): string =>
  change(
    "consumed_messages",
    sql`
      UPDATE ${t.inbox} m
      SET consumed = true
      FROM json_to_recordset(${rows}) AS x(c int, run text, ordinal int)
      -- Not the predicate of inbox_unread: the planner would walk that index while it seems to be empty.
      WHERE ${isApplied("x")} AND m.run = x.run AND m.ordinal = x.ordinal AND m.consumed IS NOT TRUE
      RETURNING m.run
    `
  )

export const writtenValues = (t: Words, rows: string): string =>
  change(
    "written_values",
    sql`
      INSERT INTO ${t.published} (at, version, run, key, value)
      SELECT ${t.now}, p.count, p.run, p.key, p.value
      FROM json_to_recordset(${rows}) AS p(c int, run text, key text, value text, count int)
      WHERE ${isAppliedList("p")}
      ORDER BY p.run COLLATE "C", p.key COLLATE "C"
      ON CONFLICT (run, key) DO UPDATE
      SET value = excluded.value, version = published.version + excluded.version, at = excluded.at
    `
  )

/** `children`: the children to start. `inserted_inputs`: those that are new. */
export const children = (t: Words, rows: string, { keyed }: Shape): ReadonlyArray<string> => [
  part(
    "children",
    sql`
      SELECT DISTINCT ON (a.id) a.*,
        coalesce(${instant("a.available")}, ${t.now}) AS at
      FROM json_to_recordset(${rows}) AS a(
        c int,
        ${newRunColumns}
      )
      WHERE ${isAppliedList("a")}
      ORDER BY a.id, a.i
    `
  ),
  change("inserted_inputs", insertInputs(t, "children")),
  ...(keyed
    ? keyArrivals(
      t,
      "SELECT a.queue, a.key FROM children a JOIN inserted_inputs b ON b.run = a.id WHERE a.key IS NOT NULL"
    )
    : [])
]

/** `pausing_commits`: the commits of a part or query whose runs are paused, or are to be. */
export const pausingCommits = (from: string): string =>
  part(
    "pausing_commits",
    `SELECT array_agg(s.i) AS commits FROM ${from} s WHERE s.pause = 'asked' OR s.status = 'paused'`
  )

/** Whether a child `a` starts paused, because its parent is or will be. */
export const startsPaused = "coalesce(a.attached AND a.c = ANY ((SELECT commits FROM pausing_commits)::int[]), false)"

/** The rows of the children in `runs`. `hasArrivals`: messages of the same statement may be for them. */
export const insertedRuns = (t: Words, hasArrivals: boolean): string => {
  const inbox = hasArrivals
    ? {
      at: `CASE WHEN v.wakes THEN least(a.at, ${t.now}) ELSE a.at END`,
      counts: "coalesce(v.ordinal, 0), coalesce(v.count, 0)",
      isPaused: `${startsPaused} AND v.cancels IS NOT TRUE`,
      pause: "WHEN v.cancels THEN 'cancelled' ",
      join: "LEFT JOIN inbox_arrivals v ON v.run = a.id"
    }
    : { at: "a.at", counts: "0, 0", isPaused: startsPaused, pause: "", join: "" }
  return change(
    "inserted_runs",
    sql`
      INSERT INTO ${t.runs} (available_at, priority, epoch, inbox_seq, unread, expires_at, id, status, pause, queue,
        workflow, version, key)
      SELECT ${inbox.at},
        a.priority, 0, ${inbox.counts}, ${instant("a.expires")}, a.id,
        CASE WHEN ${inbox.isPaused} THEN 'paused' ELSE 'pending' END,
        CASE ${inbox.pause}WHEN ${startsPaused} THEN 'pending' END,
        a.queue, a.workflow, a.version, a.key
      FROM children a
      JOIN inserted_inputs b ON b.run = a.id
      ${inbox.join}
    `
  )
}

/** The queue of each new child. */
export const childQueues = "SELECT a.queue FROM children a JOIN inserted_inputs b ON b.run = a.id"
