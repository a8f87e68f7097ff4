/**
 * Reads a page of all schedules.
 *
 * Indexes: `schedules_pkey`, `runs_pkey`. Locks: none.
 */
import type { Verb } from "../../Verb.js"
import { selectSchedules } from "./rows.js"

/** $1 after or null, $2 limit */
export const page: Verb = {
  name: "schedules_page",
  parameters: 2,
  text: (t) =>
    selectSchedules(
      t,
      `SELECT s.* FROM ${t.schedules} s WHERE s.name > coalesce($1::text, '') ORDER BY s.name LIMIT $2::int`
    )
}
