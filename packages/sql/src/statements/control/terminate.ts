/**
 * Ends runs and their attached descendants at once, and notifies their parents.
 *
 * Indexes: `inputs_parent` to find descendants, `inputs_pkey` for parents, `runs_pkey` to lock and update.
 * Locks: the runs, their attached descendants, and their parents, in order of id.
 */
import type { Verb, Words } from "../../Verb.js"
import { availableAfter, delivery, endMessage, targetColumns } from "../shared/delivery.js"
import { finals, millis } from "../shared/expressions.js"
import { keyNotices } from "../shared/keyNotices.js"
import { byIndex, expectFew, few } from "../shared/planner.js"
import { change, part, sql, unionAll, withRecursive } from "../sql.js"
import { family, insertedControls } from "./family.js"

/** `locked_runs`: members of the family, and parents of the named runs, which are no members. */
const lockedRuns = (t: Words): string =>
  part(
    "locked_runs",
    sql`
      SELECT r.*, target.member, target.named
      FROM (
        SELECT each.id COLLATE "C" AS id, bool_or(each.member) AS member, min(each.named) AS named
        FROM (
          SELECT m.run AS id, true AS member, m.named FROM family_members m
          UNION ALL
          SELECT n.parent_id, false, NULL FROM family_members m
          ${byIndex(`SELECT n.parent_id FROM ${t.inputs} n WHERE n.run = m.run`, "n")}
          WHERE m.run = m.named AND n.parent_id IS NOT NULL
        ) each
        GROUP BY 1
        ORDER BY 1
      ) target
      CROSS JOIN LATERAL (
        SELECT ${targetColumns("r")}, r.awaited FROM ${t.runs} r WHERE r.id = target.id FOR UPDATE
      ) r
    `
  )

const endedRuns = part(
  "ended_runs",
  sql`
    SELECT r.*
    FROM locked_runs r
    WHERE r.member AND r.status NOT IN ${finals}
  `
)

const outgoingMessages = (t: Words): string =>
  part(
    "outgoing_messages",
    sql`
      SELECT 0, row_number() OVER (ORDER BY e.id),
        ${endMessage({ parent: "n", run: "e.id", status: "'terminated'", by: "$2::text", reason: "$3::text" })}
      FROM ended_runs e
      ${byIndex(`SELECT n.parent_id, n.parent_token FROM ${t.inputs} n WHERE n.run = e.id`, "n")}
      WHERE e.id = e.named AND n.parent_id IS NOT NULL
    `
  )

const updatedRuns = (t: Words): ReadonlyArray<string> => [
  part(
    "run_changes",
    unionAll([
      `SELECT e.id, true AS ends, NULL::int AS ordinal, 0 AS count, false AS is_due, ${few} FROM ended_runs e`,
      "SELECT a.run, false, a.ordinal, a.count, a.is_due, 1 FROM inbox_arrivals a"
    ])
  ),
  change(
    "updated_runs",
    sql`
      UPDATE ${t.runs} r
      SET status = CASE WHEN x.ends THEN 'terminated' ELSE r.status END,
        pause = CASE WHEN x.ends THEN NULL ELSE r.pause END,
        ended_by = CASE WHEN x.ends THEN $2::text ELSE r.ended_by END,
        end_reason = CASE WHEN x.ends THEN $3::text ELSE r.end_reason END,
        detail = CASE WHEN x.ends THEN NULL ELSE r.detail END,
        finished_at = CASE WHEN x.ends THEN ${t.now} ELSE r.finished_at END,
        worker = CASE WHEN x.ends THEN NULL ELSE r.worker END,
        incarnation = CASE WHEN x.ends THEN NULL ELSE r.incarnation END,
        available_at = ${availableAfter(t, "r.available_at", "x")},
        inbox_seq = coalesce(x.ordinal, r.inbox_seq),
        unread = r.unread + x.count
      FROM run_changes x
      WHERE r.id = x.id AND ${expectFew("x")}
    `
  )
]

/** $1 runs, $2 by, $3 reason */
export const terminate: Verb = {
  name: "terminate",
  parameters: 3,
  text: (t) =>
    withRecursive(
      [
        ...family(t),
        lockedRuns(t),
        endedRuns,
        outgoingMessages(t),
        ...delivery(t, `SELECT ${targetColumns("r")} FROM locked_runs r WHERE NOT r.member`),
        keyNotices(
          t,
          "end_key_notices",
          "SELECT e.queue, e.key FROM ended_runs e WHERE e.key IS NOT NULL AND NOT e.fresh",
          true
        ),
        // The next run of the key may be for another worker.
        keyNotices(
          t,
          "departure_key_notices",
          "SELECT e.queue, e.key FROM ended_runs e WHERE e.key IS NOT NULL AND e.fresh",
          false
        ),
        ...updatedRuns(t),
        insertedControls(t, "terminate", "ended_runs")
      ],
      sql`
        SELECT ${millis(t.now)} AS now,
          (SELECT count(*)::int FROM ended_runs) AS all,
          (SELECT count(*)::int FROM ended_runs e WHERE e.id = e.named) AS named,
          (
            SELECT json_agg(DISTINCT x.queue)::text
            FROM (
              SELECT a.queue FROM inbox_arrivals a WHERE a.wakes
              UNION ALL
              -- A place in the queue's limits is free.
              SELECT e.queue FROM ended_runs e WHERE e.key IS NOT NULL OR NOT e.fresh
            ) x
          ) AS ready,
          (
            SELECT json_agg(json_build_array(a.worker, a.run))::text FROM inbox_arrivals a WHERE a.worker IS NOT NULL
          ) AS held,
          (SELECT json_agg(e.id)::text FROM ended_runs e WHERE e.awaited) AS changed
      `
    )
}
