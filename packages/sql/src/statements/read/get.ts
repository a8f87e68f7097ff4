/**
 * Reads runs by id.
 *
 * Indexes: `runs_pkey`, `inputs_pkey`. Locks: none.
 */
import type { Verb } from "../../Verb.js"
import { byIndex } from "../shared/planner.js"
import { selectRecords } from "../shared/records.js"
import { sql } from "../sql.js"

/** $1 ids */
export const get: Verb = {
  name: "get",
  parameters: 1,
  text: (t) =>
    selectRecords(
      t,
      sql`
        SELECT r.*, q.i FROM json_array_elements_text($1::json) WITH ORDINALITY AS q(id, i)
        ${byIndex(`SELECT r.* FROM ${t.runs} r WHERE r.id = q.id`, "r")}
      `
    )
}
