/**
 * Reads how runs stand, and marks the live ones so that their end is hinted. A row that the statement marks is read
 * after it is locked: a run that ends meanwhile is returned as final, or its end is hinted. A row that another
 * transaction has locked is read and not marked.
 *
 * Indexes: `runs_pkey`. Locks: the rows that it marks, in order of id, with SKIP LOCKED: it never waits.
 */
import * as Either from "effect/Either"
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Verb } from "../../Verb.js"
import { bytesBefore, bytesOf, MAX_BYTES } from "../shared/bounds.js"
import { finals, millis } from "../shared/expressions.js"
import { byIndex, expectFew, few } from "../shared/planner.js"
import { endCauseColumns } from "../shared/records.js"
import { change, part, sql, unionAll, withParts } from "../sql.js"

const names = [
  "id",
  "status",
  "finished_at",
  "exit_kind",
  "exit_value",
  "ended_by",
  "end_reason",
  "crashes",
  "crashed_worker",
  "detail"
]

const columnsOf = (row: string): string => names.map((name) => `${row}.${name}`).join(", ")

/** $1 ids */
export const awaitRuns: Verb = {
  name: "await",
  parameters: 1,
  text: (t) =>
    withParts(
      [
        part(
          "found_runs",
          sql`
            SELECT r.*, q.i, NOT r.awaited AND r.status NOT IN ${finals} AS unmarked
            FROM json_array_elements_text($1::json) WITH ORDINALITY AS q(id, i)
            ${byIndex(`SELECT ${columnsOf("r")}, r.awaited FROM ${t.runs} r WHERE r.id = q.id`, "r")}
          `
        ),
        part(
          "locked_runs",
          sql`
            SELECT r.*, f.i
            FROM (SELECT f.id, f.i FROM found_runs f WHERE f.unmarked ORDER BY f.id) f
            CROSS JOIN LATERAL (
              SELECT ${columnsOf("r")} FROM ${t.runs} r WHERE r.id = f.id FOR UPDATE SKIP LOCKED
            ) r
          `
        ),
        part("run_changes", `SELECT l.id, ${few} FROM locked_runs l`),
        change(
          "updated_runs",
          sql`
            UPDATE ${t.runs} r SET awaited = true
            FROM run_changes x
            WHERE r.id = x.id AND ${expectFew("x")}
          `
        ),
        part(
          "standings",
          unionAll([
            `SELECT l.i, ${columnsOf("l")} FROM locked_runs l`,
            `SELECT f.i, ${columnsOf("f")} FROM found_runs f WHERE NOT f.id IN (SELECT l.id FROM locked_runs l)`
          ])
        )
      ],
      sql`
        SELECT ${millis(t.now)} AS now, x.i, x.id, x.status, ${millis("x.finished_at")} AS finished_at,
          x.exit_kind, x.ended_by, x.end_reason, x.crashes, x.crashed_worker,
          CASE WHEN x.fits THEN x.exit_value END AS exit_value,
          CASE WHEN x.fits THEN x.detail END AS detail,
          NOT x.fits AND x.status IN ${finals} AS partial
        FROM (SELECT 1) one_row
        LEFT JOIN (
          SELECT s.*, ${bytesBefore(bytesOf("s.exit_value", "s.detail"), "s.i")} < ${MAX_BYTES} AS fits
          FROM standings s
        ) x ON true
        ORDER BY x.i
      `
    )
}

const standing = (row: Row.Fields): Driver.RunStanding => {
  const id = Row.text(row, "id")
  const found = Row.attempt((): Driver.RunStanding => {
    const status = Row.status(row, "status")
    const finishedAt = Row.instantOrNull(row, "finished_at")
    return Row.flag(row, "partial")
      ? { id, status, finishedAt, exit: null, endCause: null, detail: null, isPartial: true }
      : {
        id,
        status,
        finishedAt,
        exit: Row.exitOrNull(row, "exit_kind", "exit_value"),
        endCause: Row.endCauseOrNull(row, status, endCauseColumns),
        detail: Row.textOrNull(row, "detail")
      }
  })
  return Either.isRight(found) ? found.right : Row.unreadableRun(id, found.left)
}

export const decode = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<ReadonlyArray<Driver.RunStanding>> => ({
  now: Row.instant(Row.first(rows), "now"),
  value: rows.filter((row) => row["id"] !== null).map(standing)
})
