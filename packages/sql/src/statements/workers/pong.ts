/**
 * Records that a worker has answered a ping.
 *
 * Index: `workers_pkey`. Locks: the worker's row.
 */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Verb } from "../../Verb.js"
import { millis } from "../shared/expressions.js"
import { change, sql, withParts } from "../sql.js"

/** $1 worker, $2 incarnation, $3 nonce */
export const pong: Verb = {
  name: "pong",
  parameters: 3,
  text: (t) =>
    withParts(
      [
        change(
          "updated_workers",
          sql`
            UPDATE ${t.workers} w SET pong = w.ping
            WHERE w.id = $1::text AND w.incarnation = $2::text AND w.ping = $3::text AND w.pong IS DISTINCT FROM w.ping
            RETURNING w.id
          `
        )
      ],
      `SELECT ${millis(t.now)} AS now, EXISTS (SELECT FROM updated_workers) AS answered`
    )
}

export const decode = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<boolean> => {
  const row = Row.first(rows)
  return { now: Row.instant(row, "now"), value: Row.flag(row, "answered") }
}
