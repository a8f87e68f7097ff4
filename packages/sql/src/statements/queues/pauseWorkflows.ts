/**
 * Pauses workflows.
 *
 * Index: `held_pkey`. Locks: new index entries, in order of name.
 */
import type { Verb } from "../../Verb.js"
import { millis } from "../shared/expressions.js"
import { change, sql, withParts } from "../sql.js"

/** $1 workflows, $2 by, $3 reason */
export const pauseWorkflows: Verb = {
  name: "workflows_pause",
  parameters: 3,
  text: (t) =>
    withParts(
      [
        change(
          "paused_workflows",
          sql`
            INSERT INTO ${t.held} (at, workflow, requested_by, reason)
            SELECT DISTINCT ${t.now}, w.name COLLATE "C", $2::text, $3::text FROM json_array_elements_text($1::json) AS w(name)
            ORDER BY 2
            ON CONFLICT DO NOTHING
            RETURNING workflow
          `
        )
      ],
      sql`
        SELECT ${millis(t.now)} AS now,
          (SELECT json_agg(workflow ORDER BY workflow)::text FROM paused_workflows) AS names
      `
    )
}
