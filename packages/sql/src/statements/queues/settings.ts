/** What the statements that change the settings of a queue share. */
import type { Words } from "../../Verb.js"
import { millis } from "../shared/expressions.js"
import { keyNotices } from "../shared/keyNotices.js"
import { recursion, sql, unionAll } from "../sql.js"

const isWaiting = "r.key IS NOT NULL AND r.fresh AND r.status = 'pending' AND r.queue = $1::text"

/**
 * Key notices for all keys of queue $1 whose runs wait, if the part `updated_queues` says that `key_concurrency`
 * changed. Parts of a recursive WITH. A skip scan of `runs_waiting`.
 */
export const waitingKeyNotices = (t: Words): ReadonlyArray<string> => [
  recursion(
    "waiting_keys",
    unionAll([
      sql`
        SELECT (
          SELECT r.key FROM ${t.runs} r
          WHERE ${isWaiting} ORDER BY r.key LIMIT 1
        ) AS key
      `,
      sql`
        SELECT (
          SELECT r.key FROM ${t.runs} r
          WHERE ${isWaiting} AND r.key > w.key
          ORDER BY r.key LIMIT 1
        )
        FROM waiting_keys w WHERE w.key IS NOT NULL
      `
    ])
  ),
  keyNotices(
    t,
    "setting_key_notices",
    sql`
      SELECT c.name AS queue, w.key FROM updated_queues c, waiting_keys w
      WHERE w.key IS NOT NULL AND c.changes_keys
    `,
    false
  )
]

/**
 * The instant at which the token bucket will be full, after a change of the rate. An empty bucket stays as empty, and
 * fills at the new rate. `column` gives the new value of a setting.
 */
export const arrivalAfter = (t: Words, column: (name: string) => string): string =>
  sql`
    CASE WHEN ${column("rate_limit")} IS NULL THEN 0 ELSE
      least(k.arrival, ${millis(t.now)} + ${column("rate_burst")} * ${column("rate_millis")} / ${
    column("rate_limit")
  }) END
  `
