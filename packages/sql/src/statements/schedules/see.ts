/**
 * Records that this process has the definitions of schedules. Writes each row at most once in half a minute.
 *
 * Index: `schedules_pkey`. Locks: the rows, in order of name, with SKIP LOCKED: the statement never waits.
 */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Verb } from "../../Verb.js"
import { millis } from "../shared/expressions.js"
import { expectFew, few } from "../shared/planner.js"
import { change, part, sql, withParts } from "../sql.js"
import { requested } from "./rows.js"

/** $1 names */
export const see: Verb = {
  name: "schedules_see",
  parameters: 1,
  text: (t) =>
    withParts(
      [
        requested("requested_names", "name"),
        part(
          "stored_schedules",
          sql`
            SELECT s.name, s.seen_at
            FROM requested_names a
            CROSS JOIN LATERAL (SELECT s.name, s.seen_at FROM ${t.schedules} s WHERE s.name = a.name LIMIT 1) s
            WHERE ${expectFew("a")}
          `
        ),
        part(
          "locked_rows",
          sql`
            SELECT s.name, ${few}
            FROM (
              SELECT k.name FROM stored_schedules k WHERE k.seen_at < ${t.now} - interval '30 seconds' ORDER BY k.name
            ) k
            CROSS JOIN LATERAL (
              SELECT s.name FROM ${t.schedules} s WHERE s.name = k.name FOR UPDATE SKIP LOCKED OFFSET 0
            ) s
          `
        ),
        change(
          "updated_rows",
          sql`
            UPDATE ${t.schedules} s SET seen_at = ${t.now} FROM locked_rows l
            WHERE s.name = l.name AND ${expectFew("l")}
          `
        )
      ],
      `SELECT ${millis(t.now)} AS now, (SELECT count(*) FROM stored_schedules)::int AS seen`
    )
}

export const decode = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<number> => {
  const row = Row.first(rows)
  return { now: Row.instant(row, "now"), value: Row.integer(row, "seen") }
}
