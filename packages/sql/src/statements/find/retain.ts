/**
 * Deletes runs that ended longer ago than their retention rule allows, with everything that belongs to them.
 *
 * Indexes: `runs_finished` from the oldest end on, by workflow and status; `inputs_pkey` and `runs_pkey` for parents;
 * the primary keys of each table for what is deleted, and `singletons_run`.
 * Locks: the runs that it deletes and their rows of `singletons`, with SKIP LOCKED: the statement never waits.
 */
import type * as Driver from "perdure/JournalDriver"
import { encodeInstant } from "../../internal/json.js"
import * as Row from "../../internal/Row.js"
import type { Verb, Words } from "../../Verb.js"
import { finals, instant, millis } from "../shared/expressions.js"
import { byIndex, expectOne, few, sole } from "../shared/planner.js"
import { change, part, recursion, sql, unionAll, withRecursive } from "../sql.js"

export const encodeRules = (rules: ReadonlyArray<Driver.RetentionRule>): string =>
  JSON.stringify(rules.map(({ olderThanMillis, statuses, workflow }, i) => ({
    i,
    workflow,
    statuses,
    older: encodeInstant(olderThanMillis)
  })))

/** Runs that one statement deletes, at most. In the text, where the planner sees it. */
export const DELETE_BATCH_SIZE = 1_000

/** `workflows`: the workflows with ended runs, by a skip scan. */
const workflows = (t: Words): string =>
  recursion(
    "workflows",
    unionAll([
      sql`
        (
          SELECT r.workflow FROM ${t.runs} r
          WHERE r.finished_at IS NOT NULL AND r.workflow >= '' ORDER BY r.workflow LIMIT 1
        )
      `,
      sql`
        SELECT (
          SELECT r.workflow FROM ${t.runs} r
          WHERE r.finished_at IS NOT NULL AND r.workflow > f.workflow ORDER BY r.workflow LIMIT 1
        )
        FROM workflows f WHERE f.workflow IS NOT NULL
      `
    ])
  )

/** `retention_targets`: for each workflow and status, the instant before which ended runs are deleted. */
const targets = (t: Words): ReadonlyArray<string> => [
  part(
    "retention_rules",
    "SELECT q.* FROM json_to_recordset($1::json) AS q(i int, workflow text, statuses json, older float8)"
  ),
  part(
    "retention_targets",
    sql`
      SELECT f.workflow, s.status, ${instant(`(${millis(t.now)} - q.older)`)} AS before
      FROM retention_rules q
      JOIN workflows f ON f.workflow IS NOT NULL AND (f.workflow = q.workflow
        OR q.workflow IS NULL AND NOT EXISTS (SELECT FROM retention_rules o WHERE o.workflow = f.workflow))
      CROSS JOIN LATERAL json_array_elements_text(q.statuses) WITH ORDINALITY AS s(status, n)
      ORDER BY q.i, f.workflow, s.n
    `
  )
]

/**
 * `locked_runs`: the oldest runs of each target, but those whose parents are live: they may start them again on replay.
 */
const lockedRuns = (t: Words): string =>
  part(
    "locked_runs",
    sql`
      SELECT y.id FROM (
        SELECT r.id
        FROM retention_targets x
        CROSS JOIN LATERAL (
          SELECT r.id FROM ${t.runs} r
          WHERE r.workflow = x.workflow AND r.status = x.status AND r.finished_at < x.before AND r.finished_at IS NOT NULL
            AND NOT EXISTS (
              SELECT FROM (SELECT n.parent_id FROM ${t.inputs} n WHERE n.run = r.id OFFSET 0) n
              ${byIndex(`SELECT p.status FROM ${t.runs} p WHERE p.id = n.parent_id`, "p")}
              WHERE p.status NOT IN ${finals}
            )
          ORDER BY r.finished_at, r.id
          LIMIT $2::int
          FOR UPDATE OF r SKIP LOCKED
        ) r
        LIMIT $2::int
      ) y
      LIMIT ${`${DELETE_BATCH_SIZE}`}
    `
  )

/** `deletable_runs`: the locked runs, but those whose singleton key another transaction uses for a start. */
const deletableRuns = (t: Words): ReadonlyArray<string> => [
  part("ended_runs", `SELECT DISTINCT c.id, ${few}, ${sole} FROM locked_runs c`),
  part(
    "singleton_rows",
    sql`
      SELECT s.run, s.locked IS NOT NULL AS locked
      FROM ended_runs x
      CROSS JOIN LATERAL (
        SELECT s.run, (
          SELECT l.run FROM ${t.singletons} l WHERE l.workflow = s.workflow AND l.key = s.key FOR UPDATE SKIP LOCKED
        ) AS locked
        FROM ${t.singletons} s WHERE s.run = x.id OFFSET 0
      ) s
      WHERE ${expectOne("x")}
    `
  ),
  part(
    "deletable_runs",
    "SELECT x.* FROM ended_runs x WHERE NOT x.id IN (SELECT s.run FROM singleton_rows s WHERE NOT s.locked)"
  )
]

const deletion = (name: string, table: string, column = "run"): string =>
  change(name, `DELETE FROM ${table} d USING deletable_runs x WHERE d.${column} = x.id AND ${expectOne("x")}`)

/** $1 rules, $2 limit */
export const retain: Verb = {
  name: "retain",
  parameters: 2,
  text: (t) =>
    withRecursive(
      [
        workflows(t),
        ...targets(t),
        lockedRuns(t),
        ...deletableRuns(t),
        deletion("deleted_entries", t.journal),
        deletion("deleted_messages", t.inbox),
        deletion("deleted_values", t.published),
        deletion("deleted_controls", t.controls),
        deletion("deleted_singletons", t.singletons),
        deletion("deleted_inputs", t.inputs),
        deletion("deleted_runs", t.runs, "id")
      ],
      `SELECT ${millis(t.now)} AS now, (SELECT count(*)::int FROM deletable_runs) AS deleted`
    )
}

export const decode = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<number> => {
  const row = Row.first(rows)
  return { now: Row.instant(row, "now"), value: Row.integer(row, "deleted") }
}
