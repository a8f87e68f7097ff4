/**
 * Reads runs by id, and marks the live ones so that their end is hinted. A row that the statement marks is read after
 * it is locked: a run that ends meanwhile is returned as final, or its end is hinted.
 *
 * Indexes: `runs_pkey`, `inputs_pkey`. Locks: the rows that it marks, in order of id.
 */
import type { Verb } from "../../Verb.js"
import { finals } from "../shared/expressions.js"
import { byIndex, expectFew, few } from "../shared/planner.js"
import { selectRecords } from "../shared/records.js"
import { change, part, sql, unionAll, withParts } from "../sql.js"

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
            ${byIndex(`SELECT r.* FROM ${t.runs} r WHERE r.id = q.id`, "r")}
          `
        ),
        part(
          "locked_runs",
          sql`
            SELECT r.*, f.i, true AS unmarked
            FROM (SELECT f.id, f.i FROM found_runs f WHERE f.unmarked ORDER BY f.id) f
            CROSS JOIN LATERAL (SELECT r.* FROM ${t.runs} r WHERE r.id = f.id FOR UPDATE) r
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
        )
      ],
      selectRecords(t, unionAll(["SELECT * FROM locked_runs", "SELECT * FROM found_runs WHERE NOT unmarked"]))
    )
}
