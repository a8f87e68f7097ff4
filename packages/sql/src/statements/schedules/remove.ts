/**
 * Deletes rows of schedules with a given revision.
 *
 * Index: `schedules_pkey`. Locks: the rows, in order of name, with SKIP LOCKED: the statement never waits.
 */
import type { Verb } from "../../Verb.js"
import { millis } from "../shared/expressions.js"
import { expectFew } from "../shared/planner.js"
import { change, part, sql, withParts } from "../sql.js"
import { lockedRows } from "./rows.js"

/** $1 names and revisions */
export const remove: Verb = {
  name: "schedules_remove",
  parameters: 1,
  text: (t) =>
    withParts(
      [
        part(
          "requested_rows",
          sql`
            SELECT g.revision, g.name COLLATE "C" AS name
            FROM json_to_recordset($1::json) AS g(revision bigint, name text)
          `
        ),
        lockedRows(t),
        change(
          "deleted_rows",
          sql`
            DELETE FROM ${t.schedules} s USING locked_rows l
            WHERE s.name = l.name AND ${expectFew("l")} RETURNING s.name
          `
        )
      ],
      `SELECT ${millis(t.now)} AS now, (SELECT json_agg(g.name ORDER BY g.name)::text FROM deleted_rows g) AS names`
    )
}
