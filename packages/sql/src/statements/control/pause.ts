/**
 * Pauses runs with their attached descendants. A held run is paused when its holder suspends or releases it.
 *
 * Indexes: `inputs_parent` to find descendants, `runs_pkey` to lock and update.
 * Locks: the runs and their attached descendants, in order of id.
 */
import type { Verb } from "../../Verb.js"
import { claimable, finals } from "../shared/expressions.js"
import { keyNotices } from "../shared/keyNotices.js"
import { expectFew, few } from "../shared/planner.js"
import { change, part, sql, withRecursive } from "../sql.js"
import { controlResult, family, insertedControls, lockedFamily } from "./family.js"

/** Row `d` leaves the line of its key, whose next run may be for another worker. */
const leavesLine = "d.key IS NOT NULL AND d.fresh AND d.status = 'pending'"

/** $1 runs, $2 by, $3 reason */
export const pause: Verb = {
  name: "pause",
  parameters: 3,
  text: (t) =>
    withRecursive(
      [
        ...family(t),
        lockedFamily(t),
        part(
          "controlled_runs",
          sql`
            SELECT r.*, ${few} FROM locked_runs r
            WHERE r.status NOT IN ${finals} AND r.status <> 'paused' AND r.pause IS NULL
          `
        ),
        change(
          "updated_runs",
          sql`
            UPDATE ${t.runs} r
            SET status = CASE WHEN r.status IN ${claimable} THEN 'paused' ELSE r.status END,
              pause = CASE WHEN r.status IN ${claimable} THEN r.status ELSE 'asked' END
            FROM controlled_runs x
            WHERE r.id = x.id AND ${expectFew("x")}
          `
        ),
        keyNotices(
          t,
          "departure_key_notices",
          `SELECT d.queue, d.key FROM controlled_runs d WHERE ${leavesLine}`,
          false
        ),
        insertedControls(t, "pause", "controlled_runs")
      ],
      controlResult(t, leavesLine)
    )
}
