/**
 * Columns for what a message says. Before, the driver put the end of a child and a cancel into `payload` as JSON. Now
 * `payload` has only values that were encoded above the driver.
 *
 * Rewrites the messages that are still read: unread ends of children, and all cancels, which are also the record of who
 * asked for them.
 */
import type { Tables } from "../Tables.js"

export const statements = (t: Tables): ReadonlyArray<string> => [
  `ALTER TABLE ${t.inbox}
  ALTER COLUMN payload DROP NOT NULL,
  ADD COLUMN requested_by text,
  ADD COLUMN reason text,
  ADD COLUMN child text COLLATE "C",
  ADD COLUMN status text,
  ADD COLUMN exit_kind text,
  ADD COLUMN exit_value text,
  ADD COLUMN detail text`,
  `UPDATE ${t.inbox}
SET payload = NULL, child = payload::json ->> 'run', status = payload::json ->> 'status',
  exit_kind = payload::json -> 'exit' ->> 'kind', exit_value = payload::json -> 'exit' ->> 'value'
WHERE kind = 'child' AND NOT consumed`,
  `UPDATE ${t.inbox}
SET payload = NULL, requested_by = payload::json ->> 'by', reason = payload::json ->> 'reason'
WHERE kind = 'cancel'`
]
