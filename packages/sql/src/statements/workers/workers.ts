/**
 * Reads a page of workers.
 *
 * Index: `workers_pkey`. Locks: none.
 */
import type * as Driver from "perdure/JournalDriver"
import { WorkerBounds } from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Verb } from "../../Verb.js"
import { interval, millis } from "../shared/expressions.js"
import { sql } from "../sql.js"
import { openPing } from "./pings.js"

/** $1 the only id or null, $2 after or null, $3 limit */
export const workers: Verb = {
  name: "workers",
  parameters: 3,
  text: (t) =>
    sql`
      SELECT ${millis(t.now)} AS now, (
        SELECT json_agg(
          json_build_array(
            w.id, w.incarnation, ${millis("w.started_at")}, ${millis("w.beat_at")}, ${millis("w.lease_until")},
            w.lease_until > ${t.now}, w.info, ${openPing}
          ) ORDER BY w.id
        )::text
        FROM (
          SELECT w.* FROM ${t.workers} w
          WHERE w.id = coalesce($1::text, w.id) AND w.id > coalesce($2::text, '')
            AND w.lease_until > ${t.now} - ${interval(WorkerBounds.lapsedMillis)}
          ORDER BY w.id LIMIT $3::int
        ) w
      ) AS workers
    `
}

export const decode = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<ReadonlyArray<Driver.WorkerRecord>> => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    value: Row.list(row, "workers").map((each) => ({
      id: Row.text(each, 0),
      incarnation: Row.text(each, 1),
      startedAt: Row.instantOrNull(each, 2),
      beatAt: Row.instantOrNull(each, 3),
      leaseUntil: Row.instant(each, 4),
      live: Row.flag(each, 5),
      info: Row.textOrNull(each, 6),
      ping: Row.textOrNull(each, 7)
    }))
  }
}
