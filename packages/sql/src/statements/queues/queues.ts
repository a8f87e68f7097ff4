/**
 * Reads queues.
 *
 * Index: `queues_pkey`. Locks: none.
 */
import type { Verb } from "../../Verb.js"
import { sql } from "../sql.js"
import { selectQueues } from "./records.js"

/** $1 names, null for all */
export const queues: Verb = {
  name: "queues",
  parameters: 1,
  text: (t) =>
    selectQueues(
      t,
      sql`
        (
          SELECT k.* FROM ${t.queues} k
          WHERE $1::text IS NULL OR k.name IN (SELECT json_array_elements_text($1::json) COLLATE "C")
        )
      `
    )
}
