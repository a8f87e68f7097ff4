/**
 * Reads schedules by name.
 *
 * Indexes: `schedules_pkey`, `runs_pkey`. Locks: none.
 */
import type { Verb } from "../../Verb.js"
import { expectFew } from "../shared/planner.js"
import { sql, withParts } from "../sql.js"
import { requested, scheduleOf, selectSchedules } from "./rows.js"

/** $1 names, $2 after or null, $3 limit */
export const named: Verb = {
  name: "schedules_named",
  parameters: 3,
  text: (t) =>
    withParts(
      [requested("requested_names", "name")],
      selectSchedules(
        t,
        sql`
          SELECT s.* FROM requested_names a
          ${scheduleOf(t, "a.name")}
          WHERE ${expectFew("a")} AND a.name > coalesce($2::text, '')
          ORDER BY s.name LIMIT $3::int
        `
      )
    )
}
