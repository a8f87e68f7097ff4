/**
 * Changes settings of a queue.
 *
 * Indexes: `queues_pkey`; `runs_waiting` for keys whose limit changed. Locks: the queue's row.
 */
import type { Verb, Words } from "../../Verb.js"
import { textArray } from "../shared/expressions.js"
import { change, part, sql, withRecursive } from "../sql.js"
import { limitColumns, selectQueues, settingFields } from "./records.js"
import { arrivalAfter, waitingKeyNotices } from "./settings.js"

/** The new value of a setting. */
const valueOf = (column: string): string =>
  `CASE WHEN '${column}' = ANY (a.columns) THEN n.${column} ELSE k.${column} END`

/** The value of a column that says who paused or resumed the queue, and when. */
const pauseValue = (column: string, value: string): string =>
  `CASE WHEN 'paused' = ANY (a.columns) AND n.paused <> k.paused THEN ${value} ELSE k.${column} END`

const assignments = (t: Words): string =>
  [
    ...[...limitColumns, "paused"].map((column) => `${column} = ${valueOf(column)}`),
    `pause_at = ${pauseValue("pause_at", t.now)}`,
    `pause_by = ${pauseValue("pause_by", "$4::text")}`,
    `pause_reason = ${pauseValue("pause_reason", "$5::text")}`,
    `arrival = ${arrivalAfter(t, valueOf)}`
  ].join(",\n")

/** $1 name, $2 names of the columns to change, $3 settings, $4 by, $5 reason */
export const changeQueue: Verb = {
  name: "queue_change",
  parameters: 5,
  text: (t) =>
    withRecursive(
      [
        part("requested_columns", `SELECT ${textArray("$2")} AS columns`),
        part("locked_queues", `SELECT k.* FROM ${t.queues} k WHERE k.name = $1::text FOR UPDATE`),
        change(
          "updated_queues",
          sql`
            UPDATE ${t.queues} k
            SET
              ${assignments(t)}
            FROM requested_columns a, json_to_record($3::json) AS n(
              ${settingFields}
            ), locked_queues l
            WHERE k.name = l.name
            RETURNING k.*, (l.key_concurrency IS DISTINCT FROM k.key_concurrency) AS changes_keys
          `
        ),
        ...waitingKeyNotices(t)
      ],
      selectQueues(t, "updated_queues")
    )
}
