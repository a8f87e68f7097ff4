/**
 * Deletes singleton keys of starts that were not inserted after all.
 *
 * Index: `singletons_pkey`. Locks: rows that the transaction has locked already.
 */
import type { Verb } from "../../Verb.js"
import { millis } from "../shared/expressions.js"
import { expectFew, few } from "../shared/planner.js"
import { change, part, sql, withParts } from "../sql.js"

/** $1 workflows, keys and runs */
export const singletonRelease: Verb = {
  name: "singleton_release",
  parameters: 1,
  text: (t) =>
    withParts(
      [
        part(
          "released_keys",
          `SELECT a.*, ${few} FROM json_to_recordset($1::json) AS a(workflow text, key text, run text)`
        ),
        change(
          "deleted_singletons",
          sql`
            DELETE FROM ${t.singletons} s
            USING released_keys a
            WHERE ${expectFew("a")} AND s.workflow = a.workflow AND s.key = a.key AND s.run = a.run
          `
        )
      ],
      sql`
        SELECT ${millis(t.now)} AS now
      `
    )
}
