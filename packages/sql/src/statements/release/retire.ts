/**
 * Releases all runs of a worker that stops, and deletes the worker.
 *
 * Indexes: `runs_holder` for the runs of the worker, `runs_pkey` to lock and update, `workers_pkey`.
 * Locks: the rows of the released runs, in order of id; then the worker's row.
 */
import type { Verb } from "../../Verb.js"
import { change, sql } from "../sql.js"
import { isHeld, release } from "./release.js"

/** $1 worker, $2 incarnation */
export const retire: Verb = {
  name: "retire",
  parameters: 2,
  text: (t) =>
    release(t, {
      condition: isHeld,
      more: [
        change(
          "deleted_workers",
          sql`
            DELETE FROM ${t.workers} w
            WHERE w.id = $1::text AND w.incarnation = $2::text
              -- Always true: the runs are locked first.
              AND (SELECT count(*) FROM released_runs) >= 0
          `
        )
      ]
    })
}
