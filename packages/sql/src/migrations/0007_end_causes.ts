/**
 * Columns for what ended a run from outside: who terminated it and why, or the last worker that died while it held the
 * run. Before, the driver put them into `detail` as JSON, in `runs` and in messages to parents. Now `detail` has only
 * what a divergence says, which was encoded above the driver.
 *
 * Rewrites the runs that were terminated or exhausted, and the unread messages about them.
 */
import type { Tables } from "../Tables.js"

export const statements = (t: Tables): ReadonlyArray<string> => [
  `ALTER TABLE ${t.runs} ADD COLUMN ended_by text, ADD COLUMN end_reason text, ADD COLUMN crashed_worker text`,
  `UPDATE ${t.runs}
SET detail = NULL, ended_by = detail::json ->> 'by', end_reason = detail::json ->> 'reason'
WHERE status = 'terminated' AND detail IS NOT NULL`,
  `UPDATE ${t.runs}
SET detail = NULL, crashed_worker = detail::json ->> 'worker'
WHERE status = 'exhausted' AND detail IS NOT NULL`,
  `ALTER TABLE ${t.inbox} ADD COLUMN crashes integer, ADD COLUMN crashed_worker text`,
  `UPDATE ${t.inbox}
SET requested_by = detail::json ->> 'by', reason = detail::json ->> 'reason',
  crashes = (detail::json ->> 'crashes')::integer, crashed_worker = detail::json ->> 'worker'
WHERE kind = 'child' AND NOT consumed AND detail IS NOT NULL`,
  `ALTER TABLE ${t.inbox} DROP COLUMN detail`
]
