/**
 * End runs that were not claimed before their deadline, and tell their parents.
 *
 * Indexes: `runs_deadline` to find them, `runs_pkey` to lock and to update.
 * Locks: run rows, and their parents, all with SKIP LOCKED: it never waits, so it cannot deadlock. A run whose parent is
 * locked by somebody is left for the next sweep.
 */
import * as Row from "../internal/Row.js"
import type { Verb } from "../Verb.js"
import { availableAfter, delivery, endMessage, targetColumns } from "./delivery.js"
import { finals, millis } from "./words.js"
import { notice } from "./keyed.js"

/** $1 limit */
export const expire: Verb = {
  name: "expire",
  parameters: 1,
  text: (t) =>
    `WITH overdue AS MATERIALIZED (
    SELECT r.id FROM ${t.runs} r
    WHERE r.expires_at IS NOT NULL AND r.fresh AND r.status NOT IN ${finals} AND r.expires_at <= ${t.now}
    ORDER BY r.expires_at, r.id
    LIMIT $1::int
  ), taken AS MATERIALIZED (
    SELECT r.*, n.parent_id, n.parent_token
    FROM (SELECT o.id FROM overdue o ORDER BY o.id) o
    CROSS JOIN LATERAL (
      SELECT r.id, r.status, r.fresh, r.queue, r.key, r.awaited FROM ${t.runs} r WHERE r.id = o.id
      -- Without OFFSET the conditions below would be part of this, and an index on them might be chosen.
      FOR UPDATE SKIP LOCKED OFFSET 0
    ) r
    CROSS JOIN LATERAL (SELECT n.parent_id, n.parent_token FROM ${t.inputs} n WHERE n.run = r.id OFFSET 0) n
    WHERE r.fresh AND r.status IN ('pending', 'paused')
  ), parent AS MATERIALIZED (
    SELECT r.*
    FROM (SELECT DISTINCT x.parent_id AS id FROM taken x WHERE x.parent_id IS NOT NULL ORDER BY 1) p
    CROSS JOIN LATERAL (
      SELECT ${targetColumns("r")} FROM ${t.runs} r WHERE r.id = p.id FOR UPDATE SKIP LOCKED
    ) r
  ), expired AS MATERIALIZED (
    SELECT x.*
    FROM taken x
    LEFT JOIN parent p ON p.id = x.parent_id
    LEFT JOIN LATERAL (SELECT true AS there FROM ${t.runs} r WHERE r.id = x.parent_id OFFSET 0) known ON true
    WHERE p.id IS NOT NULL OR known.there IS NULL
  ), outgoing AS MATERIALIZED (
    SELECT 0, row_number() OVER (ORDER BY x.id), ${endMessage({ parent: "x", run: "x.id", status: "'expired'" })}
    FROM expired x
    WHERE x.parent_id IS NOT NULL
  ), ${
      delivery(
        t,
        `SELECT ${targetColumns("p")} FROM parent p LEFT JOIN expired x ON x.id = p.id WHERE x.id IS NULL`
      ).join(", ")
    }, ${
      // The next of their keys may be for another worker.
      notice(
        t,
        "left_line",
        "SELECT x.queue, x.key FROM expired x WHERE x.key IS NOT NULL",
        false
      )}, touched AS MATERIALIZED (
    SELECT x.id, true AS ends, NULL::int AS ordinal, 0 AS count, false AS stirs, 1 AS touched FROM expired x
    UNION ALL
    SELECT a.run, false, a.ordinal, a.count, a.stirs, 1 FROM arrived a
  ), updated AS (
    UPDATE ${t.runs} r
    SET status = CASE WHEN x.ends THEN 'expired' ELSE r.status END,
      pause = CASE WHEN x.ends THEN NULL ELSE r.pause END,
      finished_at = CASE WHEN x.ends THEN ${t.now} ELSE r.finished_at END,
      available_at = ${availableAfter(t, "r.available_at", "x")},
      inbox_seq = coalesce(x.ordinal, r.inbox_seq),
      unread = r.unread + x.count
    FROM touched x
    -- Always true; makes the planner expect few rows and use the index, whatever the statistics are.
    WHERE r.id = x.id AND x.touched = 1
  )
  SELECT ${millis(t.now)} AS now, (SELECT count(*)::int FROM expired) AS expired,
    (
      SELECT json_agg(DISTINCT x.queue)::text
      FROM (
        SELECT a.queue FROM arrived a WHERE a.wakes
        UNION ALL
        SELECT e.queue FROM expired e WHERE e.key IS NOT NULL
      ) x
    ) AS ready,
    (SELECT json_agg(json_build_array(a.worker, a.run))::text FROM arrived a WHERE a.worker IS NOT NULL) AS held,
    (SELECT json_agg(x.id)::text FROM expired x WHERE x.awaited) AS changed`
}

export const decode = (rows: ReadonlyArray<Row.Fields>) => {
  const row = Row.first(rows)
  return { now: Row.instant(row, "now"), value: { expired: Row.integer(row, "expired") }, row }
}
