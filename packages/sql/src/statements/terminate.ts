/**
 * End runs and their attached descendants at once, and tell their parents.
 *
 * Indexes: `inputs_parent` to find descendants, `runs_pkey` to lock and to update.
 * Locks: the runs, their attached descendants, and their parents, in order of id.
 *
 * A member of the family may have started a child after this statement's snapshot; it cannot any more once this is
 * done. So the driver repeats it until it finds nobody to end.
 */
import * as Row from "../internal/Row.js"
import type { Verb } from "../Verb.js"
import { family, recorded } from "./control.js"
import { availableAfter, delivery, endMessage, targetColumns } from "./delivery.js"
import { freed, notice } from "./keyed.js"
import { finals, millis } from "./words.js"

/** $1 runs, $2 by, $3 reason, $4 detail */
export const terminate: Verb = {
  name: "terminate",
  parameters: 4,
  text: (t) =>
    `WITH RECURSIVE ${family(t)}, locked AS MATERIALIZED (
    SELECT r.*, target.member, target.named
    FROM (
      SELECT each.id COLLATE "C" AS id, bool_or(each.member) AS member, min(each.named) AS named
      FROM (
        SELECT m.run AS id, true AS member, m.named FROM member m
        UNION ALL
        SELECT n.parent_id, false, NULL FROM member m
        CROSS JOIN LATERAL (SELECT n.parent_id FROM ${t.inputs} n WHERE n.run = m.run OFFSET 0) n
        WHERE m.run = m.named AND n.parent_id IS NOT NULL
      ) each
      GROUP BY 1
      ORDER BY 1
    ) target
    CROSS JOIN LATERAL (
      SELECT ${targetColumns("r")}, r.awaited
      FROM ${t.runs} r WHERE r.id = target.id FOR UPDATE
    ) r
  ), ended AS MATERIALIZED (
    SELECT r.*
    FROM locked r
    WHERE r.member AND r.status NOT IN ${finals}
  ), outgoing AS MATERIALIZED (
    SELECT 0, row_number() OVER (ORDER BY e.id), ${
      endMessage({ parent: "n", run: "e.id", status: "'terminated'", detail: "$4::text" })
    }
    FROM ended e
    CROSS JOIN LATERAL (SELECT n.parent_id, n.parent_token FROM ${t.inputs} n WHERE n.run = e.id OFFSET 0) n
    WHERE e.id = e.named AND n.parent_id IS NOT NULL
  ), ${
      delivery(
        t,
        `SELECT ${targetColumns("r")} FROM locked r WHERE NOT r.member`
      ).join(", ")
    }, ${freed(t, "SELECT e.queue, e.key FROM ended e WHERE e.key IS NOT NULL AND NOT e.fresh")}, ${
      // The next of their keys may be for another worker.
      notice(
        t,
        "left_line",
        "SELECT e.queue, e.key FROM ended e WHERE e.key IS NOT NULL AND e.fresh",
        false
      )}, touched AS MATERIALIZED (
    SELECT e.id, true AS ends, NULL::int AS ordinal, 0 AS count, false AS stirs, 1 AS touched FROM ended e
    UNION ALL
    SELECT a.run, false, a.ordinal, a.count, a.stirs, 1 FROM arrived a
  ), updated AS (
    UPDATE ${t.runs} r
    SET status = CASE WHEN x.ends THEN 'terminated' ELSE r.status END,
      pause = CASE WHEN x.ends THEN NULL ELSE r.pause END,
      detail = CASE WHEN x.ends THEN $4::text ELSE r.detail END,
      finished_at = CASE WHEN x.ends THEN ${t.now} ELSE r.finished_at END,
      worker = CASE WHEN x.ends THEN NULL ELSE r.worker END,
      incarnation = CASE WHEN x.ends THEN NULL ELSE r.incarnation END,
      available_at = ${availableAfter(t, "r.available_at", "x")},
      inbox_seq = coalesce(x.ordinal, r.inbox_seq),
      unread = r.unread + x.count
    FROM touched x
    -- Always true; makes the planner expect few rows and use the index, whatever the statistics are.
    WHERE r.id = x.id AND x.touched = 1
  ), ${recorded(t, "terminate", "ended")}
  SELECT ${millis(t.now)} AS now,
    (SELECT count(*)::int FROM ended) AS ended,
    (SELECT count(*)::int FROM ended e WHERE e.id = e.named) AS named,
    (
      SELECT json_agg(DISTINCT x.queue)::text
      FROM (
        SELECT a.queue FROM arrived a WHERE a.wakes
        UNION ALL
        -- Their places are free.
        SELECT e.queue FROM ended e WHERE e.key IS NOT NULL OR NOT e.fresh
      ) x
    ) AS ready,
    (SELECT json_agg(json_build_array(a.worker, a.run))::text FROM arrived a WHERE a.worker IS NOT NULL) AS held,
    (SELECT json_agg(e.id)::text FROM ended e WHERE e.awaited) AS changed`
}

export const decode = (rows: ReadonlyArray<Row.Fields>) => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    all: Row.integer(row, "ended"),
    named: Row.integer(row, "named"),
    row
  }
}
