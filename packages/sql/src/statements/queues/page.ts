/**
 * Reads a page of all queues.
 *
 * Index: `queues_pkey`. Locks: none.
 */
import type { Verb } from "../../Verb.js"
import { sql } from "../sql.js"
import { selectQueues } from "./records.js"

/** $1 after or null, $2 limit */
export const queuePage: Verb = {
  name: "queues_page",
  parameters: 2,
  text: (t) =>
    selectQueues(
      t,
      sql`
        (
          SELECT k.* FROM ${t.queues} k WHERE k.name > coalesce($1::text, '') ORDER BY k.name LIMIT $2::int
        )
      `
    )
}
