/**
 * Releases the runs that a worker holds in storage and does not know of: a claim took them whose result was lost.
 *
 * Indexes: `runs_holder` for the runs of the worker, `runs_pkey` to lock and update.
 * Locks: the rows of the released runs, in order of id.
 */
import type { Verb } from "../../Verb.js"
import { instant } from "../shared/expressions.js"
import { isHeld, release } from "./release.js"

/** $1 worker, $2 incarnation, $3 ids that the worker knows, $4 claimed before */
export const reconcile: Verb = {
  name: "reconcile",
  parameters: 4,
  text: (t) =>
    release(t, {
      condition: `${isHeld} AND r.claimed_at < ${instant("$4::float8")}`,
      filter: " AND NOT r.id IN (SELECT json_array_elements_text($3::json))"
    })
}
