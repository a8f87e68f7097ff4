/**
 * Writes rows of schedules: new ones, and in place of those with a given revision.
 *
 * Index: `schedules_pkey`. Locks: the rows, in order of name, with SKIP LOCKED: the statement never waits. No run.
 */
import type * as Driver from "perdure/JournalDriver"
import type { Verb, Words } from "../../Verb.js"
import { instant, millis } from "../shared/expressions.js"
import { expectFew } from "../shared/planner.js"
import { change, part, sql, withParts } from "../sql.js"
import { lockedRows } from "./rows.js"

const requestedRows = part(
  "requested_rows",
  sql`
    SELECT g.revision, g.waits, g.name COLLATE "C" AS name, g.needs, g.run, g.settings, g.state, g.definition,
      ${instant("g.due_at")} AS due_at
    FROM json_to_recordset($1::json) AS g(revision bigint, waits boolean, name text, needs text, run text, settings text,
      state text, definition text, due_at float8)
  `
)

const updatedRows = (t: Words): string =>
  change(
    "updated_rows",
    sql`
      UPDATE ${t.schedules} s
      SET due_at = l.due_at, revision = s.revision + 1, waits = l.waits, needs = l.needs, run = l.run,
        settings = l.settings, state = l.state, definition = l.definition
      FROM locked_rows l
      WHERE s.name = l.name AND ${expectFew("l")}
      RETURNING s.name
    `
  )

const insertedRows = (t: Words): string =>
  change(
    "inserted_rows",
    sql`
      INSERT INTO ${t.schedules} (due_at, seen_at, waits, name, needs, run, settings, state, definition)
      SELECT g.due_at, ${t.now}, g.waits, g.name, g.needs, g.run, g.settings, g.state, g.definition
      FROM requested_rows g WHERE g.revision = 0
      ORDER BY g.name
      ON CONFLICT DO NOTHING
      RETURNING name
    `
  )

/** $1 rows; $2 the transaction's `idle_in_transaction_session_timeout` from now on, as text, or null */
export const write: Verb = {
  name: "schedules_write",
  parameters: 2,
  text: (t) =>
    withParts(
      [requestedRows, lockedRows(t), updatedRows(t), insertedRows(t)],
      sql`
        SELECT ${millis(t.now)} AS now, (
          SELECT json_agg(w.name ORDER BY w.name)::text
          FROM (SELECT c.name FROM updated_rows c UNION ALL SELECT m.name FROM inserted_rows m) w
        ) AS names,
          CASE WHEN $2::text IS NOT NULL THEN set_config('idle_in_transaction_session_timeout', $2::text, true) END AS idle
      `
    )
}

export const encodeRow = (
  { definition, dueAt, name, needs, revision, run, settings, state, waits }: Driver.ScheduleRow & {
    readonly revision: number
  }
) => ({
  revision,
  waits,
  name,
  needs,
  run,
  settings,
  state,
  definition,
  due_at: dueAt === Infinity ? "Infinity" : dueAt
})
