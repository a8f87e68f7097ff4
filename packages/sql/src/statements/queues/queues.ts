/**
 * Reads queues by name.
 *
 * Index: `queues_pkey`. Locks: none.
 */
import type { Verb } from "../../Verb.js"
import { sql } from "../sql.js"
import { selectQueues } from "./records.js"

/** $1 names */
export const queues: Verb = {
  name: "queues",
  parameters: 1,
  text: (t) =>
    selectQueues(
      t,
      sql`
        (
          SELECT k.* FROM ${t.queues} k
          WHERE k.name IN (SELECT json_array_elements_text($1::json) COLLATE "C")
        )
      `
    )
}
