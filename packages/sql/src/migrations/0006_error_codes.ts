/**
 * A column for the code by which a failed run is found. Before, searches took it out of the exit's JSON; now it is
 * computed above the driver and comes with the end of the run. Runs that have failed get theirs here.
 */
import type { Tables } from "../Tables.js"

export const statements = (t: Tables): ReadonlyArray<string> => [
  `ALTER TABLE ${t.runs} ADD COLUMN error_code text`,
  `UPDATE ${t.runs}
SET error_code = CASE
  WHEN exit_kind = 'failure' THEN exit_value::json ->> '_tag'
  ELSE coalesce(exit_value::json -> 'runtimeError' ->> '_tag', exit_value::json ->> 'name')
END
WHERE exit_kind IN ('failure', 'defect')`
]
