/**
 * Releases runs of workers whose lease has run out. A run whose workers died too many times in a row ends, and its
 * parent is notified.
 *
 * Indexes: `runs_holder`, by a skip scan over the queues and workers with held runs, then all runs of each dead worker
 * (at most those that it can hold); `runs_pkey` to lock and update.
 * Locks: the rows of the runs, and of the parents of runs that end, all with SKIP LOCKED: the statement never waits, so
 * it cannot deadlock. A run whose parent another transaction has locked is left for the next sweep.
 */
import { SuspectPauses } from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Verb, Words } from "../../Verb.js"
import { delivery, endMessage, targetColumns } from "../shared/delivery.js"
import { millis } from "../shared/expressions.js"
import { decodeHints } from "../shared/hints.js"
import { keyNotices } from "../shared/keyNotices.js"
import { byIndex, byIndexIfAny, expectFew, few } from "../shared/planner.js"
import { change, part, recursion, sql, unionAll, withRecursive } from "../sql.js"

const holders = (t: Words): string =>
  recursion(
    "holders",
    unionAll([
      sql`
        (
          SELECT r.queue, r.worker, r.incarnation FROM ${t.runs} r WHERE r.worker IS NOT NULL
          ORDER BY r.queue, r.worker, r.incarnation LIMIT 1
        )
      `,
      sql`
        SELECT next.queue, next.worker, next.incarnation
        FROM holders h
        CROSS JOIN LATERAL (
          SELECT r.queue, r.worker, r.incarnation FROM ${t.runs} r
          WHERE r.worker IS NOT NULL AND (r.queue, r.worker, r.incarnation) > (h.queue, h.worker, h.incarnation)
          ORDER BY r.queue, r.worker, r.incarnation LIMIT 1
        ) next
      `
    ])
  )

/**
 * `orphan_runs`: runs whose holder has no lease, those claimed first at first, so that the suspects claimed last are in
 * the last batch. `blamed`: the crash counts for this run.
 */
const orphanRuns = (t: Words): string =>
  part(
    "orphan_runs",
    sql`
      SELECT r.id, h.worker, h.incarnation,
        r.crashes = 0 OR r.claimed_at = max(CASE WHEN r.crashes > 0 THEN r.claimed_at END)
          OVER (PARTITION BY h.worker, h.incarnation) AS blamed
      FROM holders h
      CROSS JOIN LATERAL (
        SELECT r.id, r.crashes, r.claimed_at FROM ${t.runs} r
        WHERE r.queue = h.queue AND r.worker = h.worker AND r.incarnation = h.incarnation
        ORDER BY r.id
      ) r
      WHERE NOT EXISTS (
        SELECT FROM ${t.workers} w
        WHERE w.id = h.worker AND w.incarnation = h.incarnation AND w.lease_until > ${t.now}
      )
      ORDER BY r.claimed_at, r.id
      LIMIT $1::int
    `
  )

const lockedRuns = (t: Words): string => {
  const run = sql`
    SELECT r.id, r.queue, r.key, r.inbox_seq, r.waiting, r.closed, r.awaited, r.worker, r.incarnation, r.pause, r.crashes,
      r.crashes + o.blamed::int AS crashes_now, o.blamed AND r.crashes + 1 >= $2::int AS ends
    FROM ${t.runs} r WHERE r.id = o.id
    FOR UPDATE SKIP LOCKED
  `
  return part(
    "locked_runs",
    sql`
      SELECT r.*, n.parent_id, n.parent_token
      FROM orphan_runs o
      ${byIndex(run, "r")}
      ${byIndex(`SELECT n.parent_id, n.parent_token FROM ${t.inputs} n WHERE n.run = r.id`, "n")}
      WHERE r.worker = o.worker AND r.incarnation = o.incarnation
    `
  )
}

const lockedParents = (t: Words): string =>
  part(
    "locked_parents",
    sql`
      SELECT r.*
      FROM (
        SELECT DISTINCT x.parent_id AS id FROM locked_runs x WHERE x.ends AND x.parent_id IS NOT NULL ORDER BY 1
      ) p
      CROSS JOIN LATERAL (
        SELECT ${targetColumns("r")} FROM ${t.runs} r WHERE r.id = p.id FOR UPDATE SKIP LOCKED
      ) r
    `
  )

/** How long a released suspect waits, by its place among them. */
const pause = sql`
  least(
    row_number() OVER (PARTITION BY x.crashes > 0 AND NOT x.ends ORDER BY x.id)
      * power(2, least(x.crashes - 1, ${`${SuspectPauses.doublings}`})) * ${`${SuspectPauses.pauseMillis}`},
    ${`${SuspectPauses.longestMillis}`}
  ) * interval '1 millisecond'
`

/** `reaped_runs`: the locked runs; of those that end, the ones whose parents are locked, or do not exist. */
const reapedRuns = (t: Words): string =>
  part(
    "reaped_runs",
    sql`
      SELECT x.*, CASE WHEN x.crashes > 0 AND NOT x.ends THEN ${pause} ELSE interval '0' END AS pause_for
      FROM locked_runs x
      LEFT JOIN locked_parents p ON p.id = x.parent_id
      ${byIndexIfAny(`SELECT true AS found FROM ${t.runs} r WHERE r.id = x.parent_id`, "stored_parent")}
      WHERE NOT x.ends OR p.id IS NOT NULL OR stored_parent.found IS NULL
    `
  )

const outgoingMessages = part(
  "outgoing_messages",
  sql`
    SELECT 0, row_number() OVER (ORDER BY x.id),
      ${
    endMessage({
      parent: "x",
      run: "x.id",
      status: "'exhausted'",
      crashes: "x.crashes + 1",
      crashedWorker: "x.worker"
    })
  }
    FROM reaped_runs x
    WHERE x.ends AND x.parent_id IS NOT NULL
  `
)

/** The parents as they are after this statement, which may reap them too. */
const targets = sql`
  SELECT p.id, p.queue, p.inbox_seq, CASE WHEN x.id IS NULL THEN p.status WHEN x.ends THEN 'exhausted'
      WHEN x.pause = 'asked' THEN 'paused' ELSE 'pending' END AS status, p.waiting, p.closed,
    CASE WHEN x.id IS NULL THEN p.worker END AS worker, CASE WHEN x.id IS NULL THEN p.pause ELSE 'pending' END AS pause,
    p.fresh, p.key
  FROM locked_parents p
  LEFT JOIN reaped_runs x ON x.id = p.id
`

const updatedRuns = (t: Words): ReadonlyArray<string> => [
  part(
    "run_changes",
    sql`
      SELECT coalesce(x.id, a.run) AS id, x.id IS NOT NULL AS reaped, coalesce(x.ends, false) AS ends, x.crashes_now,
        x.pause_for, a.ordinal, a.count, a.is_due, ${few}
      FROM reaped_runs x
      FULL JOIN inbox_arrivals a ON a.run = x.id
    `
  ),
  change(
    "updated_runs",
    sql`
      UPDATE ${t.runs} r
      SET status = CASE WHEN x.ends THEN 'exhausted' WHEN x.reaped AND r.pause = 'asked' THEN 'paused'
          WHEN x.reaped THEN 'pending' ELSE r.status END,
        pause = CASE WHEN x.ends THEN NULL WHEN x.reaped AND r.pause = 'asked' THEN 'pending' ELSE r.pause END,
        crashes = CASE WHEN x.reaped THEN x.crashes_now ELSE r.crashes END,
        crashed_worker = CASE WHEN x.ends THEN r.worker ELSE r.crashed_worker END,
        finished_at = CASE WHEN x.ends THEN ${t.now} ELSE r.finished_at END,
        worker = CASE WHEN x.reaped THEN NULL ELSE r.worker END,
        incarnation = CASE WHEN x.reaped THEN NULL ELSE r.incarnation END,
        available_at = CASE WHEN x.reaped AND NOT x.ends THEN ${t.now} + x.pause_for
          WHEN x.is_due THEN least(r.available_at, ${t.now}) ELSE r.available_at END,
        inbox_seq = coalesce(x.ordinal, r.inbox_seq),
        unread = r.unread + coalesce(x.count, 0)
      FROM run_changes x
      WHERE r.id = x.id AND ${expectFew("x")}
    `
  )
]

/** $1 limit, $2 crashes after which a run ends */
export const reap: Verb = {
  name: "reap",
  parameters: 2,
  text: (t) =>
    withRecursive(
      [
        holders(t),
        orphanRuns(t),
        lockedRuns(t),
        lockedParents(t),
        reapedRuns(t),
        outgoingMessages,
        ...delivery(t, targets),
        keyNotices(
          t,
          "end_key_notices",
          "SELECT x.queue, x.key FROM reaped_runs x WHERE x.ends AND x.key IS NOT NULL",
          true
        ),
        ...updatedRuns(t)
      ],
      sql`
        SELECT ${millis(t.now)} AS now,
          (SELECT count(*)::int FROM reaped_runs WHERE NOT ends) AS released,
          (SELECT count(*)::int FROM reaped_runs WHERE ends) AS exhausted,
          (
            SELECT json_agg(DISTINCT x.queue)::text
            FROM (
              SELECT queue FROM reaped_runs UNION ALL SELECT queue FROM inbox_arrivals WHERE wakes
            ) x
          ) AS ready,
          (
            SELECT json_agg(json_build_array(a.worker, a.run))::text FROM inbox_arrivals a WHERE a.worker IS NOT NULL
          ) AS held,
          (SELECT json_agg(x.id)::text FROM reaped_runs x WHERE x.ends AND x.awaited) AS changed
      `
    )
}

export const decode = (rows: ReadonlyArray<Row.Fields>) => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    value: { released: Row.integer(row, "released"), exhausted: Row.integer(row, "exhausted") },
    hints: decodeHints(row)
  }
}
