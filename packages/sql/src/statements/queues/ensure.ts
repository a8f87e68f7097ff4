/**
 * Inserts rows, without limits, for queues that have none.
 *
 * Index: `queues_pkey`. Locks: new index entries, in order of name.
 */
import type { Verb } from "../../Verb.js"
import { millis } from "../shared/expressions.js"
import { change, sql, withParts } from "../sql.js"

/** $1 names */
export const ensure: Verb = {
  name: "queues_ensure",
  parameters: 1,
  text: (t) =>
    withParts(
      [
        change(
          "inserted_queues",
          sql`
            INSERT INTO ${t.queues} (name)
            SELECT DISTINCT q.name COLLATE "C" FROM json_array_elements_text($1::json) AS q(name)
            WHERE NOT EXISTS (SELECT FROM ${t.queues} k WHERE k.name = q.name)
            ORDER BY 1
            ON CONFLICT DO NOTHING
            RETURNING name
          `
        )
      ],
      `SELECT ${millis(t.now)} AS now, (SELECT json_agg(name ORDER BY name)::text FROM inserted_queues) AS names`
    )
}
