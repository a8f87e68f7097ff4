/**
 * Delete finished runs that are kept no longer, with all that belongs to them.
 *
 * Indexes: `runs_finished` from the oldest end on, workflow by workflow and state by state; `inputs_pkey` and `runs_pkey`
 * for parents; the keys of each table for what is deleted, and `singletons_run`.
 * Locks: the runs that it deletes and their rows of `singletons`, passing over those that somebody has locked: it waits for
 * nobody.
 */
import type * as Driver from "perdure/JournalDriver"
import { encodeInstant } from "../internal/json.js"
import * as Row from "../internal/Row.js"
import type { Verb } from "../Verb.js"
import { finals, instant, millis } from "./words.js"

export const encodeRules = (rules: ReadonlyArray<Driver.RetentionRule>): string =>
  JSON.stringify(rules.map(({ olderThanMillis, statuses, workflow }, i) => ({
    i,
    workflow,
    statuses,
    older: encodeInstant(olderThanMillis)
  })))

/** Runs that one statement deletes. */
export const most = 1_000

/** $1 rules, $2 limit */
export const retain: Verb = {
  name: "retain",
  parameters: 2,
  text: (t) =>
    `WITH RECURSIVE flows AS (
    (SELECT r.workflow FROM ${t.runs} r
      WHERE r.finished_at IS NOT NULL AND r.workflow >= '' ORDER BY r.workflow LIMIT 1)
    UNION ALL
    SELECT (SELECT r.workflow FROM ${t.runs} r
      WHERE r.finished_at IS NOT NULL AND r.workflow > f.workflow ORDER BY r.workflow LIMIT 1)
    FROM flows f WHERE f.workflow IS NOT NULL
  ), rules AS MATERIALIZED (
    SELECT q.* FROM json_to_recordset($1::json) AS q(i int, workflow text, statuses json, older float8)
  ), targets AS MATERIALIZED (
    SELECT f.workflow, s.status, ${instant(`(${millis(t.now)} - q.older)`)} AS before
    FROM rules q
    JOIN flows f ON f.workflow IS NOT NULL AND (f.workflow = q.workflow
      OR q.workflow IS NULL AND NOT EXISTS (SELECT FROM rules o WHERE o.workflow = f.workflow))
    CROSS JOIN LATERAL json_array_elements_text(q.statuses) WITH ORDINALITY AS s(status, n)
    ORDER BY q.i, f.workflow, s.n
  ), chosen AS MATERIALIZED (
    SELECT y.id FROM (SELECT r.id
    FROM targets x
    CROSS JOIN LATERAL (
      SELECT r.id FROM ${t.runs} r
      WHERE r.workflow = x.workflow AND r.status = x.status AND r.finished_at < x.before AND r.finished_at IS NOT NULL
        AND NOT EXISTS (
          SELECT FROM (SELECT n.parent_id FROM ${t.inputs} n WHERE n.run = r.id OFFSET 0) n
          CROSS JOIN LATERAL (SELECT p.status FROM ${t.runs} p WHERE p.id = n.parent_id OFFSET 0) p
          WHERE p.status NOT IN ${finals}
        )
      ORDER BY r.finished_at, r.id
      LIMIT $2::int
      FOR UPDATE OF r SKIP LOCKED
    ) r
    LIMIT $2::int) y
    -- What no request goes beyond is in the text, where the planner sees it.
    LIMIT ${most}
  ), free AS MATERIALIZED (
    -- Always 1, both; makes the planner expect a single row and use the indexes, whatever the statistics are.
    SELECT DISTINCT c.id, 1 AS touched, 1 AS same FROM chosen c
  ), single AS MATERIALIZED (
    SELECT s.run, s.locked IS NOT NULL AS locked
    FROM free x
    CROSS JOIN LATERAL (
      SELECT s.run, (
        SELECT l.run FROM ${t.singletons} l WHERE l.workflow = s.workflow AND l.key = s.key FOR UPDATE SKIP LOCKED
      ) AS locked
      FROM ${t.singletons} s WHERE s.run = x.id OFFSET 0
    ) s
    WHERE x.touched = 1 AND x.same = 1
  ), gone AS MATERIALIZED (
    -- A run whose key somebody starts another one for just now is left for the next time.
    SELECT x.* FROM free x WHERE NOT x.id IN (SELECT s.run FROM single s WHERE NOT s.locked)
  ), of_journal AS (
    DELETE FROM ${t.journal} d USING gone x WHERE d.run = x.id AND x.touched = 1 AND x.same = 1
  ), of_inbox AS (
    DELETE FROM ${t.inbox} d USING gone x WHERE d.run = x.id AND x.touched = 1 AND x.same = 1
  ), of_published AS (
    DELETE FROM ${t.published} d USING gone x WHERE d.run = x.id AND x.touched = 1 AND x.same = 1
  ), of_controls AS (
    DELETE FROM ${t.controls} d USING gone x WHERE d.run = x.id AND x.touched = 1 AND x.same = 1
  ), of_singletons AS (
    DELETE FROM ${t.singletons} d USING gone x WHERE d.run = x.id AND x.touched = 1 AND x.same = 1
  ), of_inputs AS (
    DELETE FROM ${t.inputs} d USING gone x WHERE d.run = x.id AND x.touched = 1 AND x.same = 1
  ), of_runs AS (
    DELETE FROM ${t.runs} d USING gone x WHERE d.id = x.id AND x.touched = 1 AND x.same = 1
  )
  SELECT ${millis(t.now)} AS now, (SELECT count(*)::int FROM gone) AS deleted`
}

export const decode = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<number> => {
  const row = Row.first(rows)
  return { now: Row.instant(row, "now"), value: Row.integer(row, "deleted") }
}
