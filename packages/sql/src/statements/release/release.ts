/** What `reconcile` and `retire` share: a worker's runs become claimable again, or paused if that was requested. */
import * as Row from "../../internal/Row.js"
import type { Words } from "../../Verb.js"
import { millis } from "../shared/expressions.js"
import { byIndex, expectFew, few } from "../shared/planner.js"
import { change, part, recursion, sql, unionAll, withRecursive } from "../sql.js"

/** Run `r` is held by worker $1 in incarnation $2. */
export const isHeld = "r.worker = $1::text AND r.incarnation = $2::text"

/** `busy_queues`: the queues with held runs, by a skip scan of `runs_holder`, which begins with the queue. */
const busyQueues = (t: Words): string =>
  recursion(
    "busy_queues",
    unionAll([
      `(SELECT r.queue FROM ${t.runs} r WHERE r.worker IS NOT NULL ORDER BY r.queue LIMIT 1)`,
      sql`
        SELECT (SELECT r.queue FROM ${t.runs} r WHERE r.worker IS NOT NULL AND r.queue > b.queue ORDER BY r.queue LIMIT 1)
        FROM busy_queues b WHERE b.queue IS NOT NULL
      `
    ])
  )

/**
 * Releases the runs that meet both conditions: `condition` also when the row is locked, `filter` by the snapshot only.
 */
export const release = (
  t: Words,
  { condition, filter = "", more = [] }: {
    readonly condition: string
    readonly filter?: string
    readonly more?: ReadonlyArray<string>
  }
): string =>
  withRecursive(
    [
      busyQueues(t),
      part(
        "released_runs",
        sql`
          SELECT r.id, r.queue, ${few}
          FROM (
            SELECT r.id FROM busy_queues b
            CROSS JOIN LATERAL (
              SELECT r.id FROM ${t.runs} r WHERE r.queue = b.queue AND ${condition}${filter}
            ) r
            ORDER BY 1
          ) target
          ${byIndex(`SELECT r.* FROM ${t.runs} r WHERE r.id = target.id FOR UPDATE`, "r")}
          WHERE ${condition}
        `
      ),
      change(
        "updated_runs",
        sql`
          UPDATE ${t.runs} r
          SET status = CASE WHEN r.pause = 'asked' THEN 'paused' ELSE 'pending' END,
            pause = CASE WHEN r.pause = 'asked' THEN 'pending' ELSE r.pause END,
            available_at = ${t.now}, worker = NULL, incarnation = NULL
          FROM released_runs x
          WHERE r.id = x.id AND ${expectFew("x")}
        `
      ),
      ...more
    ],
    sql`
      SELECT ${millis(t.now)} AS now, (SELECT count(*)::int FROM released_runs) AS released,
        (SELECT json_agg(DISTINCT queue)::text FROM released_runs) AS ready
    `
  )

export const decode = (rows: ReadonlyArray<Row.Fields>) => {
  const row = Row.first(rows)
  return { now: Row.instant(row, "now"), released: Row.integer(row, "released"), queues: Row.texts(row, "ready") }
}
