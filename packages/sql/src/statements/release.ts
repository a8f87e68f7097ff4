/**
 * Hand runs back: pending, available now, held by nobody (or paused, if that was asked for). Two verbs that differ in which runs.
 *
 * Indexes: `runs_holder` for the runs of a worker, `runs_pkey` to lock and to update.
 * Locks: the released run rows, in order of id; `retire` the worker's row too, after them.
 */
import * as Row from "../internal/Row.js"
import type { Verb, Words } from "../Verb.js"
import { millis } from "./words.js"

interface Parts {
  /** A part that the query of ids reads. */
  readonly first?: string
  /** A query of the ids that may be meant, by the snapshot. */
  readonly ids: string
  /** What must hold of the locked row `r`. */
  readonly condition: string
  readonly more?: string
}

const release = (t: Words, { condition, first, ids, more }: Parts): string =>
  `WITH ${first === undefined ? "" : `${first}, `}released AS MATERIALIZED (
    SELECT r.id, r.queue, 1 AS touched
    FROM (${ids} ORDER BY 1) target
    CROSS JOIN LATERAL (
      -- Without OFFSET the condition below would be part of this, and an index on it might be chosen.
      SELECT r.* FROM ${t.runs} r WHERE r.id = target.id FOR UPDATE OFFSET 0
    ) r
    WHERE ${condition}
  ), updated AS (
    UPDATE ${t.runs} r
    SET status = CASE WHEN r.pause = 'asked' THEN 'paused' ELSE 'pending' END,
      pause = CASE WHEN r.pause = 'asked' THEN 'pending' ELSE r.pause END,
      available_at = ${t.now}, worker = NULL, incarnation = NULL
    FROM released x
    -- Always true; makes the planner expect few rows and use the index, whatever the statistics are.
    WHERE r.id = x.id AND x.touched = 1
  )${more === undefined ? "" : `, ${more}`}
  SELECT ${millis(t.now)} AS now, (SELECT count(*)::int FROM released) AS released,
    (SELECT json_agg(DISTINCT queue)::text FROM released) AS ready`

const held = `r.worker = $1::text AND r.incarnation = $2::text`

/** The queues of which anybody holds runs (table \`busy\`), by a skip scan: \`runs_holder\` begins with the queue. */
const busy = (t: Words): string =>
  `RECURSIVE busy AS (
    (SELECT r.queue FROM ${t.runs} r WHERE r.worker IS NOT NULL ORDER BY r.queue LIMIT 1)
    UNION ALL
    SELECT (SELECT r.queue FROM ${t.runs} r WHERE r.worker IS NOT NULL AND r.queue > b.queue ORDER BY r.queue LIMIT 1)
    FROM busy b WHERE b.queue IS NOT NULL
  )`

/** The ids of the runs that the worker holds. */
const ofWorker = (t: Words, condition: string): string =>
  `SELECT r.id FROM busy b
      CROSS JOIN LATERAL (SELECT r.id FROM ${t.runs} r WHERE r.queue = b.queue AND ${condition}) r`

/** $1 worker, $2 incarnation, $3 ids that it knows of, $4 claimed before */
export const reconcile: Verb = {
  name: "reconcile",
  parameters: 4,
  text: (t) => {
    const stray = `${held} AND r.claimed_at < to_timestamp($4::float8 / 1000)`
    return release(t, {
      first: busy(t),
      ids: ofWorker(t, `${stray} AND NOT r.id IN (SELECT json_array_elements_text($3::json))`),
      condition: stray
    })
  }
}

/** $1 worker, $2 incarnation */
export const retire: Verb = {
  name: "retire",
  parameters: 2,
  text: (t) =>
    release(t, {
      first: busy(t),
      ids: ofWorker(t, held),
      condition: held,
      more: `gone AS (
    DELETE FROM ${t.workers} w
    WHERE w.id = $1::text AND w.incarnation = $2::text AND (SELECT count(*) FROM released) >= 0
  )`
    })
}

export interface Released {
  readonly now: number
  readonly released: number
  readonly queues: ReadonlyArray<string>
}

export const decode = (rows: ReadonlyArray<Row.Fields>): Released => {
  const row = Row.first(rows)
  return { now: Row.instant(row, "now"), released: Row.integer(row, "released"), queues: Row.texts(row, "ready") }
}
