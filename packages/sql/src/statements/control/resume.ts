/**
 * Undoes a pause of runs and their attached descendants, and makes diverged runs claimable again.
 *
 * Indexes: `inputs_parent` to find descendants, `runs_pkey` to lock and update.
 * Locks: the runs and their attached descendants, in order of id.
 */
import type { Verb } from "../../Verb.js"
import { keyNotices } from "../shared/keyNotices.js"
import { expectFew, few } from "../shared/planner.js"
import { change, part, sql, withRecursive } from "../sql.js"
import { controlResult, family, insertedControls, lockedFamily } from "./family.js"

/** The diverged run `r` is one of the runs of the request. Descendants stay diverged. */
const isUnparked = (r: string): string => `${r}.status = 'diverged' AND x.id = x.named`

/** $1 runs, $2 by, $3 reason */
export const resume: Verb = {
  name: "resume",
  parameters: 3,
  text: (t) =>
    withRecursive(
      [
        ...family(t),
        lockedFamily(t),
        part(
          "controlled_runs",
          sql`
            SELECT x.*, ${few} FROM locked_runs x
            WHERE x.status = 'paused' OR x.pause = 'asked' OR (${isUnparked("x")})
          `
        ),
        change(
          "updated_runs",
          sql`
            UPDATE ${t.runs} r
            SET status = CASE WHEN r.status = 'paused' THEN r.pause WHEN ${
            isUnparked("r")
          } THEN 'pending' ELSE r.status END,
              pause = CASE WHEN r.pause = 'cancelled' THEN r.pause END,
              available_at = CASE WHEN ${isUnparked("r")} THEN ${t.now} ELSE r.available_at END,
              detail = CASE WHEN ${isUnparked("r")} THEN NULL ELSE r.detail END
            FROM controlled_runs x
            WHERE r.id = x.id AND ${expectFew("x")}
          `
        ),
        keyNotices(
          t,
          "return_key_notices",
          "SELECT d.queue, d.key FROM controlled_runs d WHERE d.pause = 'pending' AND d.fresh AND d.key IS NOT NULL",
          false
        ),
        insertedControls(t, "resume", "controlled_runs")
      ],
      controlResult(t, "d.status <> 'running'")
    )
}
