/**
 * Ends runs that no worker claimed before their deadline, and notifies their parents.
 *
 * Indexes: `runs_deadline` to find the runs, `runs_pkey` to lock and update.
 * Locks: the rows of the runs and of their parents, all with SKIP LOCKED: the statement never waits, so it cannot
 * deadlock. A run whose parent another transaction has locked is left for the next sweep.
 */
import * as Row from "../../internal/Row.js"
import type { Verb, Words } from "../../Verb.js"
import { availableAfter, delivery, endMessage, targetColumns } from "../shared/delivery.js"
import { finals, millis } from "../shared/expressions.js"
import { decodeHints } from "../shared/hints.js"
import { keyNotices } from "../shared/keyNotices.js"
import { byIndex, byIndexIfAny, expectFew, few } from "../shared/planner.js"
import { change, part, sql, unionAll, withParts } from "../sql.js"

const overdueRuns = (t: Words): string =>
  part(
    "overdue_runs",
    sql`
      SELECT r.id FROM ${t.runs} r
      WHERE r.expires_at IS NOT NULL AND r.fresh AND r.status NOT IN ${finals} AND r.expires_at <= ${t.now}
      ORDER BY r.expires_at, r.id
      LIMIT $1::int
    `
  )

const lockedRuns = (t: Words): string => {
  const run = sql`
    SELECT r.id, r.status, r.fresh, r.queue, r.key, r.awaited FROM ${t.runs} r WHERE r.id = o.id
    FOR UPDATE SKIP LOCKED
  `
  return part(
    "locked_runs",
    sql`
      SELECT r.*, n.parent_id, n.parent_token
      FROM (SELECT o.id FROM overdue_runs o ORDER BY o.id) o
      ${byIndex(run, "r")}
      ${byIndex(`SELECT n.parent_id, n.parent_token FROM ${t.inputs} n WHERE n.run = r.id`, "n")}
      WHERE r.fresh AND r.status IN ('pending', 'paused')
    `
  )
}

const lockedParents = (t: Words): string =>
  part(
    "locked_parents",
    sql`
      SELECT r.*
      FROM (SELECT DISTINCT x.parent_id AS id FROM locked_runs x WHERE x.parent_id IS NOT NULL ORDER BY 1) p
      CROSS JOIN LATERAL (
        SELECT ${targetColumns("r")} FROM ${t.runs} r WHERE r.id = p.id FOR UPDATE SKIP LOCKED
      ) r
    `
  )

/** `expired_runs`: the locked runs whose parents are locked, or do not exist. */
const expiredRuns = (t: Words): string =>
  part(
    "expired_runs",
    sql`
      SELECT x.*
      FROM locked_runs x
      LEFT JOIN locked_parents p ON p.id = x.parent_id
      ${byIndexIfAny(`SELECT true AS found FROM ${t.runs} r WHERE r.id = x.parent_id`, "stored_parent")}
      WHERE p.id IS NOT NULL OR stored_parent.found IS NULL
    `
  )

const outgoingMessages = part(
  "outgoing_messages",
  sql`
    SELECT 0, row_number() OVER (ORDER BY x.id),
      ${endMessage({ parent: "x", run: "x.id", status: "'expired'" })}
    FROM expired_runs x
    WHERE x.parent_id IS NOT NULL
  `
)

const updatedRuns = (t: Words): ReadonlyArray<string> => [
  part(
    "run_changes",
    unionAll([
      `SELECT x.id, true AS ends, NULL::int AS ordinal, 0 AS count, false AS is_due, ${few} FROM expired_runs x`,
      "SELECT a.run, false, a.ordinal, a.count, a.is_due, 1 FROM inbox_arrivals a"
    ])
  ),
  change(
    "updated_runs",
    sql`
      UPDATE ${t.runs} r
      SET status = CASE WHEN x.ends THEN 'expired' ELSE r.status END,
        pause = CASE WHEN x.ends THEN NULL ELSE r.pause END,
        finished_at = CASE WHEN x.ends THEN ${t.now} ELSE r.finished_at END,
        available_at = ${availableAfter(t, "r.available_at", "x")},
        inbox_seq = coalesce(x.ordinal, r.inbox_seq),
        unread = r.unread + x.count
      FROM run_changes x
      WHERE r.id = x.id AND ${expectFew("x")}
    `
  )
]

/** $1 limit */
export const expire: Verb = {
  name: "expire",
  parameters: 1,
  text: (t) =>
    withParts(
      [
        overdueRuns(t),
        lockedRuns(t),
        lockedParents(t),
        expiredRuns(t),
        outgoingMessages,
        ...delivery(
          t,
          `SELECT ${
            targetColumns("p")
          } FROM locked_parents p LEFT JOIN expired_runs x ON x.id = p.id WHERE x.id IS NULL`
        ),
        // The next run of the key may be for another worker.
        keyNotices(
          t,
          "departure_key_notices",
          "SELECT x.queue, x.key FROM expired_runs x WHERE x.key IS NOT NULL",
          false
        ),
        ...updatedRuns(t)
      ],
      sql`
        SELECT ${millis(t.now)} AS now, (SELECT count(*)::int FROM expired_runs) AS expired,
          (
            SELECT json_agg(DISTINCT x.queue)::text
            FROM (
              SELECT a.queue FROM inbox_arrivals a WHERE a.wakes
              UNION ALL
              SELECT e.queue FROM expired_runs e WHERE e.key IS NOT NULL
            ) x
          ) AS ready,
          (
            SELECT json_agg(json_build_array(a.worker, a.run))::text FROM inbox_arrivals a WHERE a.worker IS NOT NULL
          ) AS held,
          (SELECT json_agg(x.id)::text FROM expired_runs x WHERE x.awaited) AS changed
      `
    )
}

export const decode = (rows: ReadonlyArray<Row.Fields>) => {
  const row = Row.first(rows)
  return { now: Row.instant(row, "now"), value: { expired: Row.integer(row, "expired") }, hints: decodeHints(row) }
}
