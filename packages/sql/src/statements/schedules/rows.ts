/** Rows of schedules, as parameters and as results. */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Words } from "../../Verb.js"
import { millis } from "../shared/expressions.js"
import { few } from "../shared/planner.js"
import { part, sql } from "../sql.js"

/** The record of a schedule `s`, and of the run `r` that it started last. */
export const record = sql`
  json_build_array(
    s.name, s.needs, ${millis("s.due_at")}, s.run, s.waits, s.settings, s.state, s.definition, s.revision,
    ${millis("s.seen_at")}, r.status
  )
`

/** The status of the run that a schedule `s` started last, as `r`. A LATERAL with a limit goes by index. */
export const runOfSchedule = (t: Words): string =>
  `LEFT JOIN LATERAL (SELECT r.status FROM ${t.runs} r WHERE r.id = s.run LIMIT 1) r ON true`

/** A schedule of a name, as `s`. */
export const scheduleOf = (t: Words, name: string): string =>
  `CROSS JOIN LATERAL (SELECT s.* FROM ${t.schedules} s WHERE s.name = ${name} LIMIT 1) s`

/** The schedules of a query, in order of name. */
export const selectSchedules = (t: Words, schedules: string): string =>
  sql`
    SELECT ${millis(t.now)} AS now, (
      SELECT json_agg(${record} ORDER BY s.name)::text
      FROM (
        ${schedules}
      ) s
      ${runOfSchedule(t)}
    ) AS schedules
  `

/** A part with the strings of $1, each once. */
export const requested = (name: string, column: string): string =>
  part(
    name,
    `SELECT DISTINCT n.text COLLATE "C" AS ${column}, ${few} FROM json_array_elements_text($1::json) AS n(text)`
  )

/** `locked_rows`: the requested rows of their revisions, locked unless another transaction has locked them. */
export const lockedRows = (t: Words): string =>
  part(
    "locked_rows",
    sql`
      SELECT g.*, ${few}
      FROM (SELECT g.* FROM requested_rows g WHERE g.revision > 0 ORDER BY g.name) g
      CROSS JOIN LATERAL (
        SELECT s.revision FROM ${t.schedules} s WHERE s.name = g.name FOR UPDATE SKIP LOCKED OFFSET 0
      ) s
      WHERE s.revision = g.revision
    `
  )

const schedule = (row: Row.Fields): Driver.ScheduleRecord => ({
  name: Row.text(row, 0),
  needs: Row.text(row, 1),
  dueAt: Row.instant(row, 2),
  run: Row.textOrNull(row, 3),
  waits: Row.flag(row, 4),
  settings: Row.text(row, 5),
  state: Row.text(row, 6),
  definition: Row.textOrNull(row, 7),
  revision: Row.integer(row, 8),
  seenAt: Row.instant(row, 9),
  runStatus: row[10] === null ? null : Row.status(row, 10)
})

export const decodeSchedules = (
  rows: ReadonlyArray<Row.Fields>
): Driver.Answer<ReadonlyArray<Driver.ScheduleRecord>> => {
  const row = Row.first(rows)
  return { now: Row.instant(row, "now"), value: Row.list(row, "schedules").map(schedule) }
}
