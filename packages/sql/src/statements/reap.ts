/**
 * Hand back runs of workers whose lease has run out; those that have crashed too often end, and their parents are told.
 *
 * Indexes: `runs_holder`, by a skip scan over the queues and workers that hold anything; `runs_pkey` to lock and to update.
 * Locks: run rows, and parents of runs that end, all with SKIP LOCKED: it never waits, so it cannot deadlock. A run whose
 * parent is locked by somebody is left for the next sweep.
 */
import * as Row from "../internal/Row.js"
import type { Verb } from "../Verb.js"
import { delivery, endMessage, targetColumns } from "./delivery.js"
import { freed } from "./keyed.js"
import { millis } from "./words.js"

/** $1 limit, $2 most crashes */
export const reap: Verb = {
  name: "reap",
  parameters: 2,
  text: (t) =>
    `WITH RECURSIVE holder AS (
    (
      SELECT r.queue, r.worker, r.incarnation FROM ${t.runs} r WHERE r.worker IS NOT NULL
      ORDER BY r.queue, r.worker, r.incarnation LIMIT 1
    )
    UNION ALL
    SELECT next.queue, next.worker, next.incarnation
    FROM holder h
    CROSS JOIN LATERAL (
      SELECT r.queue, r.worker, r.incarnation FROM ${t.runs} r
      WHERE r.worker IS NOT NULL AND (r.queue, r.worker, r.incarnation) > (h.queue, h.worker, h.incarnation)
      ORDER BY r.queue, r.worker, r.incarnation LIMIT 1
    ) next
  ), orphan AS MATERIALIZED (
    SELECT r.id, h.worker, h.incarnation
    FROM holder h
    CROSS JOIN LATERAL (
      SELECT r.id FROM ${t.runs} r
      WHERE r.queue = h.queue AND r.worker = h.worker AND r.incarnation = h.incarnation
      ORDER BY r.id LIMIT $1::int
    ) r
    WHERE NOT EXISTS (
      SELECT FROM ${t.workers} w
      WHERE w.id = h.worker AND w.incarnation = h.incarnation AND w.lease_until > ${t.now}
    )
    ORDER BY r.id
    LIMIT $1::int
  ), taken AS MATERIALIZED (
    SELECT r.*, n.parent_id, n.parent_token, CASE WHEN r.ends THEN json_build_object(
        'crashes', r.crashes + 1, 'worker', r.worker, 'at', (${millis(t.now)})::bigint
      )::text END AS detail
    FROM orphan o
    CROSS JOIN LATERAL (
      SELECT r.id, r.queue, r.key, r.inbox_seq, r.waiting, r.closed, r.awaited, r.worker, r.incarnation, r.pause,
        r.crashes, r.crashes + 1 >= $2::int AS ends
      FROM ${t.runs} r WHERE r.id = o.id
      -- Without OFFSET the conditions below would be part of this, and an index on them might be chosen.
      FOR UPDATE SKIP LOCKED OFFSET 0
    ) r
    CROSS JOIN LATERAL (SELECT n.parent_id, n.parent_token FROM ${t.inputs} n WHERE n.run = r.id OFFSET 0) n
    WHERE r.worker = o.worker AND r.incarnation = o.incarnation
  ), parent AS MATERIALIZED (
    SELECT r.*
    FROM (SELECT DISTINCT x.parent_id AS id FROM taken x WHERE x.ends AND x.parent_id IS NOT NULL ORDER BY 1) p
    CROSS JOIN LATERAL (
      SELECT ${targetColumns("r")}
      FROM ${t.runs} r WHERE r.id = p.id FOR UPDATE SKIP LOCKED
    ) r
  ), reaped AS MATERIALIZED (
    SELECT x.*
    FROM taken x
    LEFT JOIN parent p ON p.id = x.parent_id
    LEFT JOIN LATERAL (SELECT true AS there FROM ${t.runs} r WHERE r.id = x.parent_id OFFSET 0) known ON true
    WHERE NOT x.ends OR p.id IS NOT NULL OR known.there IS NULL
  ), outgoing AS MATERIALIZED (
    SELECT 0, row_number() OVER (ORDER BY x.id), ${
      endMessage({ parent: "x", run: "x.id", status: "'exhausted'", detail: "x.detail" })
    }
    FROM reaped x
    WHERE x.ends AND x.parent_id IS NOT NULL
  ), ${
      delivery(
        t,
        `SELECT p.id, p.queue, p.inbox_seq, CASE WHEN x.id IS NULL THEN p.status WHEN x.ends THEN 'exhausted'
        WHEN x.pause = 'asked' THEN 'paused' ELSE 'pending' END AS status, p.waiting, p.closed,
        CASE WHEN x.id IS NULL THEN p.worker END AS worker, CASE WHEN x.id IS NULL THEN p.pause ELSE 'pending' END AS pause,
        p.fresh, p.key
      FROM parent p
      LEFT JOIN reaped x ON x.id = p.id`
      ).join(", ")
    }, ${freed(t, "SELECT x.queue, x.key FROM reaped x WHERE x.ends AND x.key IS NOT NULL")}, touched AS MATERIALIZED (
    SELECT coalesce(x.id, a.run) AS id, x.id IS NOT NULL AS reaped, coalesce(x.ends, false) AS ends, x.detail, a.ordinal, a.count,
      a.stirs, 1 AS touched
    FROM reaped x
    FULL JOIN arrived a ON a.run = x.id
  ), updated AS (
    UPDATE ${t.runs} r
    SET status = CASE WHEN x.ends THEN 'exhausted' WHEN x.reaped AND r.pause = 'asked' THEN 'paused'
        WHEN x.reaped THEN 'pending' ELSE r.status END,
      pause = CASE WHEN x.ends THEN NULL WHEN x.reaped AND r.pause = 'asked' THEN 'pending' ELSE r.pause END,
      crashes = CASE WHEN x.reaped THEN r.crashes + 1 ELSE r.crashes END,
      detail = CASE WHEN x.ends THEN x.detail ELSE r.detail END,
      finished_at = CASE WHEN x.ends THEN ${t.now} ELSE r.finished_at END,
      worker = CASE WHEN x.reaped THEN NULL ELSE r.worker END,
      incarnation = CASE WHEN x.reaped THEN NULL ELSE r.incarnation END,
      available_at = CASE WHEN x.reaped AND NOT x.ends THEN ${t.now}
        WHEN x.stirs THEN least(r.available_at, ${t.now}) ELSE r.available_at END,
      inbox_seq = coalesce(x.ordinal, r.inbox_seq),
      unread = r.unread + coalesce(x.count, 0)
    FROM touched x
    -- Always true; makes the planner expect few rows and use the index, whatever the statistics are.
    WHERE r.id = x.id AND x.touched = 1
  )
  SELECT ${millis(t.now)} AS now,
    (SELECT count(*)::int FROM reaped WHERE NOT ends) AS released,
    (SELECT count(*)::int FROM reaped WHERE ends) AS exhausted,
    (
      SELECT json_agg(DISTINCT x.queue)::text
      FROM (
        SELECT queue FROM reaped UNION ALL SELECT queue FROM arrived WHERE wakes
      ) x
    ) AS ready,
    (SELECT json_agg(json_build_array(a.worker, a.run))::text FROM arrived a WHERE a.worker IS NOT NULL) AS held,
    (SELECT json_agg(x.id)::text FROM reaped x WHERE x.ends AND x.awaited) AS changed`
}

export const decode = (rows: ReadonlyArray<Row.Fields>) => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    value: { released: Row.integer(row, "released"), exhausted: Row.integer(row, "exhausted") },
    row
  }
}
