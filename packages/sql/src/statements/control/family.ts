/** Parts of the statements that control runs together with their attached descendants. */
import type * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Words } from "../../Verb.js"
import { millis } from "../shared/expressions.js"
import { decodeHints } from "../shared/hints.js"
import { byIndex, expectFew, few } from "../shared/planner.js"
import { change, part, recursion, sql, unionAll } from "../sql.js"

/**
 * `family_members`: the runs of $1 and their attached descendants, each once; `named` is the run itself, or the run of
 * $1 that it descends from. Parts of a recursive WITH. Index: `inputs_parent`.
 *
 * A member may have started a child after the snapshot. The driver repeats the statement until it changes nothing: a
 * child that is started later is inserted in the state that follows from its parent's.
 */
export const family = (t: Words): ReadonlyArray<string> => [
  part("named_runs", `SELECT DISTINCT x.id COLLATE "C" AS id, ${few} FROM json_array_elements_text($1::json) AS x(id)`),
  recursion(
    "family_runs",
    unionAll([
      sql`
        SELECT n.run, n.run AS named
        FROM named_runs x
        ${byIndex(`SELECT n.run FROM ${t.inputs} n WHERE n.run = x.id`, "n")}
        WHERE ${expectFew("x")}
      `,
      sql`
        SELECT n.run, f.named
        FROM family_runs f
        ${byIndex(`SELECT n.run FROM ${t.inputs} n WHERE n.parent_id = f.run AND n.attached`, "n")}
      `
    ])
  ),
  part(
    "family_members",
    sql`
      SELECT f.run, CASE WHEN bool_or(f.run = f.named) THEN f.run ELSE min(f.named) END AS named
      FROM family_runs f
      GROUP BY f.run
    `
  )
]

/** `locked_runs`: the members of the family, locked in order of id. Index: `runs_pkey`. */
export const lockedFamily = (t: Words): string =>
  part(
    "locked_runs",
    sql`
      SELECT r.*, m.named
      FROM (SELECT m.run, m.named FROM family_members m ORDER BY m.run) m
      CROSS JOIN LATERAL (
        SELECT r.id, r.status, r.pause, r.queue, r.worker, r.fresh, r.key FROM ${t.runs} r WHERE r.id = m.run FOR UPDATE
      ) r
    `
  )

/** Records who controlled the rows (`id`, `named`) of a part, and why: $2 and $3. */
export const insertedControls = (t: Words, action: Driver.ControlAction, runs: string): string =>
  change(
    "inserted_controls",
    sql`
      INSERT INTO ${t.controls} (at, run, action, requested_by, reason, detail)
      SELECT ${t.now}, d.id, '${action}', $2::text, $3::text, nullif(d.named, d.id) FROM ${runs} d
    `
  )

/** The result of a pause or resume, whose part `controlled_runs` has the runs that it changes. */
export const controlResult = (t: Words, isReady: string): string =>
  sql`
    SELECT ${millis(t.now)} AS now, (SELECT count(*)::int FROM controlled_runs) AS all,
      (SELECT count(*)::int FROM controlled_runs d WHERE d.id = d.named) AS named,
      (SELECT json_agg(DISTINCT d.queue)::text FROM controlled_runs d WHERE ${isReady}) AS ready,
      (SELECT json_agg(json_build_array(d.worker, d.id))::text FROM controlled_runs d WHERE d.worker IS NOT NULL) AS held,
      NULL::text AS changed
  `

export interface ControlAnswer {
  readonly now: Driver.Millis
  /** How many runs were changed, and how many of those were named in the request. */
  readonly all: number
  readonly named: number
  readonly hints: ReadonlyArray<Driver.Hint>
}

export const decodeControlled = (rows: ReadonlyArray<Row.Fields>): ControlAnswer => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    all: Row.integer(row, "all"),
    named: Row.integer(row, "named"),
    hints: decodeHints(row)
  }
}
