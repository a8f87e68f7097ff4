/**
 * Reads the samples of a worker.
 *
 * Index: `samples_pkey`. Locks: none.
 */
import type * as Driver from "perdure/JournalDriver"
import { WorkerBounds } from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Verb } from "../../Verb.js"
import { interval, millis } from "../shared/expressions.js"
import { sql } from "../sql.js"

/** $1 worker, $2 limit */
export const samples: Verb = {
  name: "samples",
  parameters: 2,
  text: (t) =>
    sql`
      SELECT ${millis(t.now)} AS now, (
        SELECT json_agg(json_build_array(${millis("s.at")}, s.incarnation, s.info) ORDER BY s.at, s.incarnation)::text
        FROM (
          SELECT s.* FROM ${t.samples} s
          WHERE s.worker = $1::text AND s.at > ${t.now} - ${interval(WorkerBounds.sampleAgeMillis)}
          ORDER BY s.at DESC, s.incarnation DESC LIMIT $2::int
        ) s
      ) AS samples
    `
}

export const decode = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<ReadonlyArray<Driver.WorkerSample>> => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    value: Row.list(row, "samples").map((each) => ({
      at: Row.instant(each, 0),
      incarnation: Row.text(each, 1),
      info: Row.text(each, 2)
    }))
  }
}
