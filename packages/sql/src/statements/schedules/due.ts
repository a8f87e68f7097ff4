/**
 * Finds schedules that are due: at a time, or because the run that they wait for has ended.
 *
 * Indexes: `schedules_due` and `schedules_waiting`, once for each of the requested needs; `schedules_pkey`,
 * `runs_pkey`.
 * Locks: none.
 */
import * as Row from "../../internal/Row.js"
import type { Verb, Words } from "../../Verb.js"
import { finals, millis } from "../shared/expressions.js"
import { anyLimit, expectFew } from "../shared/planner.js"
import { part, sql, withParts } from "../sql.js"
import { decodeSchedules, record, requested, runOfSchedule, scheduleOf } from "./rows.js"

const limit = anyLimit("$2")

/**
 * Rows of schedules for each of the requested needs. A LATERAL with a limit goes by index, whatever the planner
 * expects.
 */
const ofEachNeed = (t: Words, columns: string, where: string, rest: string): string =>
  sql`
    SELECT s.* FROM requested_needs a
    CROSS JOIN LATERAL (
      SELECT ${columns} FROM ${t.schedules} s WHERE s.needs = a.needs AND ${where} ${rest}
    ) s
    WHERE ${expectFew("a")}
  `

const timedSchedules = (t: Words): string =>
  part(
    "timed_schedules",
    sql`
      ${
      ofEachNeed(
        t,
        "s.name, s.due_at",
        `s.due_at < 'infinity' AND s.due_at <= ${t.now}`,
        `ORDER BY s.due_at, s.name LIMIT ${limit}`
      )
    }
      ORDER BY s.due_at, s.name LIMIT ${limit}
    `
  )

/** `waiting_schedules`: schedules that wait for a run; `has_ended`: the run is final, or does not exist. */
const waitingSchedules = (t: Words): string =>
  part(
    "waiting_schedules",
    sql`
      SELECT s.name, s.run, coalesce(r.status IN ${finals}, true) AS has_ended
      FROM (
        ${ofEachNeed(t, "s.name, s.run", "s.waits", "OFFSET 0")}
      ) s
      ${runOfSchedule(t)}
    `
  )

const dueSchedules = part(
  "due_schedules",
  sql`
    SELECT f.name, min(f.class) AS class, min(f.due_at) AS due_at
    FROM (
      SELECT w.name, 0 AS class, '-infinity'::timestamptz AS due_at FROM waiting_schedules w WHERE w.has_ended
      UNION ALL
      SELECT d.name, 1, d.due_at FROM timed_schedules d
    ) f
    GROUP BY f.name
    ORDER BY 2, 3, 1 LIMIT ${limit}
  `
)

/** When the next schedule will be due. */
const nextDue = (t: Words): string =>
  sql`
    (
      SELECT min(l.due_at) FROM (
        ${ofEachNeed(t, "s.due_at", `s.due_at < 'infinity' AND s.due_at > ${t.now}`, "ORDER BY s.due_at LIMIT 1")}
      ) l
    )
  `

/** $1 needs, $2 limit */
export const due: Verb = {
  name: "schedules_due",
  parameters: 2,
  text: (t) =>
    withParts(
      [requested("requested_needs", "needs"), timedSchedules(t), waitingSchedules(t), dueSchedules],
      sql`
        SELECT ${millis(t.now)} AS now, (
          SELECT json_agg(${record} ORDER BY f.class, f.due_at, f.name)::text
          FROM due_schedules f
          ${scheduleOf(t, "f.name")}
          ${runOfSchedule(t)}
        ) AS schedules, ${millis(nextDue(t))} AS next_due, (
          SELECT json_agg(w.run ORDER BY w.run)::text
          FROM (SELECT DISTINCT w.run FROM waiting_schedules w WHERE NOT w.has_ended ORDER BY w.run LIMIT ${limit}) w
        ) AS awaited
      `
    )
}

export const decode = (rows: ReadonlyArray<Row.Fields>) => {
  const row = Row.first(rows)
  const { now, value } = decodeSchedules(rows)
  return {
    now,
    value: { schedules: value, nextDue: Row.instantOrNull(row, "next_due"), awaited: Row.texts(row, "awaited") }
  }
}
