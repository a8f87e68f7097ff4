/**
 * Sends a ping to a worker, or returns the one that it has not answered yet.
 *
 * Index: `workers_pkey`. Locks: the worker's row.
 */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Verb } from "../../Verb.js"
import { millis } from "../shared/expressions.js"
import { change, withParts } from "../sql.js"
import { openPing } from "./pings.js"

/** $1 worker, $2 nonce */
export const ping: Verb = {
  name: "ping",
  parameters: 2,
  text: (t) =>
    withParts(
      [
        change(
          "updated_workers",
          `UPDATE ${t.workers} w SET ping = coalesce(${openPing}, $2::text) WHERE w.id = $1::text RETURNING w.ping`
        )
      ],
      `SELECT ${millis(t.now)} AS now, (SELECT ping FROM updated_workers) AS ping`
    )
}

export const decode = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<string | null> => {
  const row = Row.first(rows)
  return { now: Row.instant(row, "now"), value: Row.textOrNull(row, "ping") }
}
