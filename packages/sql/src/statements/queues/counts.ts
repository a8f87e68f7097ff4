/**
 * Counts the runs of queues. Each count stops at a limit.
 *
 * Indexes: `runs_claim`, `runs_waiting`, `runs_holder`, `runs_parked`. Locks: none.
 */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Verb, Words } from "../../Verb.js"
import { claimable, millis, halted } from "../shared/expressions.js"
import { part, sql, unionAll, withParts } from "../sql.js"

const count = (query: string): string =>
  sql`
    (
      SELECT count(*) FROM (
        ${query} LIMIT $2::int
      ) x
    )::int
  `

const runs = (t: Words, condition: string): string => `SELECT FROM ${t.runs} r WHERE ${condition} AND r.queue = q.name`

const isClaimable = `r.status IN ${claimable} AND (r.key IS NULL OR NOT r.fresh)`
const isWaiting = "r.key IS NOT NULL AND r.fresh AND r.status = 'pending'"

/** Runs that never started: due, or delayed. */
const freshRuns = (t: Words, due: "<=" | ">"): string => {
  const fresh = unionAll([
    `${runs(t, isClaimable)} AND r.fresh AND r.available_at ${due} ${t.now}`,
    `${runs(t, isWaiting)} AND r.available_at ${due} ${t.now}`
  ])
  return sql`
    SELECT FROM (
      ${fresh}
    ) f
  `
}

/** $1 names, $2 limit of each count */
export const counts: Verb = {
  name: "queue_counts",
  parameters: 2,
  text: (t) =>
    withParts(
      [
        part(
          "requested_queues",
          `SELECT q.name COLLATE "C" AS name, q.i FROM json_array_elements_text($1::json) WITH ORDINALITY AS q(name, i)`
        )
      ],
      sql`
        SELECT ${millis(t.now)} AS now, (
          SELECT json_agg(
            json_build_array(
              q.name,
              ${count(freshRuns(t, "<="))},
              ${count(freshRuns(t, ">"))},
              ${count(runs(t, "r.worker IS NOT NULL"))},
              ${count(`${runs(t, isClaimable)} AND NOT r.fresh`)},
              ${count(runs(t, `r.status IN ${halted} AND NOT r.fresh`))}
            ) ORDER BY q.i
          )::text
          FROM requested_queues q
        ) AS counts
      `
    )
}

export const decode = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<ReadonlyArray<Driver.QueueCounts>> => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    value: Row.list(row, "counts").map((each) => ({
      name: Row.text(each, 0),
      ready: Row.integer(each, 1),
      delayed: Row.integer(each, 2),
      running: Row.integer(each, 3),
      suspended: Row.integer(each, 4),
      halted: Row.integer(each, 5)
    }))
  }
}
