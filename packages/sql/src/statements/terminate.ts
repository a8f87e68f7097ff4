/**
 * End a run and its attached descendants at once, and tell its parent.
 *
 * Indexes: `inputs_parent` to find descendants, `runs_pkey` to lock and to update.
 * Locks: the run, its attached descendants, and its parent, in order of id.
 *
 * A member of the family may have started a child after this statement's snapshot; it cannot any more once this is
 * done. So the driver repeats it until it finds nobody to end.
 */
import * as Row from "../internal/Row.js"
import type { Verb } from "../Verb.js"
import { delivery, endPayload } from "./delivery.js"
import { freed } from "./keyed.js"
import { finals, millis } from "./words.js"

/** $1 run, $2 detail, $3 whether to end the descendants of a run that has ended already */
export const terminate: Verb = {
  name: "terminate",
  parameters: 3,
  text: (t) =>
    `WITH RECURSIVE family AS (
    SELECT n.run, n.parent_id, n.parent_token, true AS first FROM ${t.inputs} n WHERE n.run = $1::text
    UNION ALL
    SELECT n.run, n.parent_id, n.parent_token, false
    FROM family f
    CROSS JOIN LATERAL (
      SELECT n.run, n.parent_id, n.parent_token FROM ${t.inputs} n WHERE n.parent_id = f.run AND n.attached OFFSET 0
    ) n
  ), locked AS MATERIALIZED (
    SELECT r.*, target.member, target.first
    FROM (
      SELECT each.id COLLATE "C" AS id, bool_or(each.member) AS member, bool_or(each.first) AS first
      FROM (
        SELECT f.run AS id, true AS member, f.first FROM family f
        UNION ALL
        SELECT f.parent_id, false, false FROM family f WHERE f.first AND f.parent_id IS NOT NULL
      ) each
      GROUP BY 1
      ORDER BY 1
    ) target
    CROSS JOIN LATERAL (
      SELECT r.id, r.status, r.queue, r.key, r.fresh, r.worker, r.inbox_seq, r.waiting, r.closed, r.awaited
      FROM ${t.runs} r WHERE r.id = target.id FOR UPDATE
    ) r
  ), ended AS MATERIALIZED (
    SELECT r.*
    FROM locked r
    WHERE r.member AND r.status NOT IN ${finals}
      AND ($3::boolean OR EXISTS (SELECT FROM locked f WHERE f.first AND f.status NOT IN ${finals}))
  ), outgoing AS MATERIALIZED (
    SELECT 0, 0, f.parent_id, 'child', f.parent_token, 'child:' || f.run, ${endPayload("f.run", "terminated")}
    FROM family f
    JOIN ended e ON e.id = f.run
    WHERE f.first AND f.parent_id IS NOT NULL
  ), ${
      delivery(
        t,
        `SELECT r.id, r.queue, r.inbox_seq, r.status, r.waiting, r.closed, r.worker FROM locked r WHERE NOT r.member`
      ).join(", ")
    }, ${
      freed(t, "SELECT e.queue, e.key FROM ended e WHERE e.key IS NOT NULL AND NOT e.fresh")
    }, touched AS MATERIALIZED (
    SELECT e.id, true AS ends, NULL::int AS ordinal, 0 AS count, false AS wakes, 1 AS touched FROM ended e
    UNION ALL
    SELECT a.run, false, a.ordinal, a.count, a.wakes, 1 FROM arrived a
  ), updated AS (
    UPDATE ${t.runs} r
    SET status = CASE WHEN x.ends THEN 'terminated' ELSE r.status END,
      detail = CASE WHEN x.ends THEN $2::text ELSE r.detail END,
      finished_at = CASE WHEN x.ends THEN ${t.now} ELSE r.finished_at END,
      worker = CASE WHEN x.ends THEN NULL ELSE r.worker END,
      incarnation = CASE WHEN x.ends THEN NULL ELSE r.incarnation END,
      available_at = CASE WHEN x.wakes THEN least(r.available_at, ${t.now}) ELSE r.available_at END,
      inbox_seq = coalesce(x.ordinal, r.inbox_seq),
      unread = r.unread + x.count
    FROM touched x
    -- Always true; makes the planner expect few rows and use the index, whatever the statistics are.
    WHERE r.id = x.id AND x.touched = 1
  )
  SELECT ${millis(t.now)} AS now,
    (SELECT count(*)::int FROM ended) AS ended,
    EXISTS (SELECT FROM ended e WHERE e.first) AS terminated,
    (SELECT json_agg(DISTINCT a.queue)::text FROM arrived a WHERE a.wakes) AS ready,
    (SELECT json_agg(json_build_array(a.worker, a.run))::text FROM arrived a WHERE a.worker IS NOT NULL) AS held,
    (SELECT json_agg(e.id)::text FROM ended e WHERE e.awaited) AS changed`
}

export const decode = (rows: ReadonlyArray<Row.Fields>) => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    ended: Row.integer(row, "ended"),
    terminated: Row.flag(row, "terminated"),
    row
  }
}
