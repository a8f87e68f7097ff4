/**
 * Counts runs by status. All matching runs are read; the statuses of the filter select the index.
 *
 * Indexes: as `find` for conditions that lead to runs; else those of `runs` for the statuses. Locks: none.
 */
import * as Driver from "perdure/JournalDriver"
import * as Row from "../../internal/Row.js"
import type { Words } from "../../Verb.js"
import { claimable, halted, millis } from "../shared/expressions.js"
import { expectFew, few } from "../shared/planner.js"
import { and, part, sql, withParts } from "../sql.js"
import type { FilterStatement, Shape } from "./filter.js"
import { fromCandidates, shapeOf, workflowsOf } from "./filter.js"

/** All runs that ended in some statuses, by `runs_finished`. */
const endedRuns = (t: Words, statuses: string): string =>
  sql`
    (
      SELECT r.* FROM workflows f
      CROSS JOIN (SELECT DISTINCT s.status, ${few} FROM unnest(${statuses}) s(status)) s
      CROSS JOIN LATERAL (
        SELECT r.* FROM ${t.runs} r
        WHERE r.workflow = f.workflow AND r.status = s.status AND r.finished_at IS NOT NULL OFFSET 0
      ) r
      WHERE ${expectFew("f")} AND ${expectFew("s")}
    ) r
  `

/** Groups of statuses with an index of their own, and its predicate. */
const groups: ReadonlyArray<readonly [ReadonlyArray<Driver.RunStatus>, string]> = [
  [Driver.ClaimableStatus.literals, `r.status IN ${claimable}`],
  [["running"], "r.worker IS NOT NULL"],
  [Driver.HaltedStatus.literals, `r.status IN ${halted}`]
]

const predicatesOf = (statuses: ReadonlyArray<Driver.RunStatus> | undefined): ReadonlyArray<string> =>
  groups.flatMap(([group, predicate]) =>
    statuses?.every((status) => group.includes(status)) === true ? [predicate] : []
  )

/** The matching runs `r`, read from `runs`; a FROM clause with its conditions. */
const fromRuns = (t: Words, { inputs, runs, statuses, workflows }: Shape, filter: Driver.RunFilter): string => {
  const areEnded = statuses !== null && filter.statuses?.every(Driver.isFinal) === true
  const ofWorkflows = workflows === null ? [] : ["r.workflow = ANY (ARRAY(SELECT f.workflow FROM workflows f))"]
  return sql`
    ${areEnded ? endedRuns(t, statuses) : `${t.runs} r`}
    ${inputs.length > 0 ? `JOIN ${t.inputs} n ON n.run = r.id` : ""}
    WHERE true${and([...predicatesOf(filter.statuses), ...ofWorkflows, ...inputs, ...runs])}
  `
}

export const count = (filter: Driver.RunFilter): FilterStatement => {
  const shape = shapeOf(filter)
  // Statuses alone lead to the runs by one of their indexes.
  const ids = shape.isCapped && shape.inputs.length === 0 ? null : shape.ids
  const candidates = (t: Words) =>
    ids === null ? [] : [
      part(
        "candidate_runs",
        sql`
          SELECT DISTINCT x.id, ${few} FROM (
            ${ids(t)}
          ) x
        `
      )
    ]
  return {
    parameters: shape.parameters,
    verb: {
      name: `count_${shape.name}`,
      parameters: shape.parameters.length,
      text: (t) =>
        withParts(
          [workflowsOf(t, shape), ...candidates(t)],
          sql`
            SELECT ${millis(t.now)} AS now, (
              SELECT json_agg(json_build_array(c.status, c.runs))::text
              FROM (
                SELECT r.status, count(*)::int AS runs
                FROM ${ids === null ? fromRuns(t, shape, filter) : fromCandidates(t, shape)}
                GROUP BY r.status
              ) c
            ) AS counts
          `
        )
    }
  }
}

export const decode = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<Driver.RunCounts> => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    value: Object.fromEntries(Row.list(row, "counts").map((each) => [Row.status(each, 0), Row.integer(each, 1)]))
  }
}
