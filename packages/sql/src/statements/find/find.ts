/**
 * Finds runs, newest first, a page at a time. A page is read in one of two ways, which does not depend on the
 * statistics:
 *
 * - a condition leads to the runs by an index, and they are sorted, if they are at most `MAX_SORTED_RUNS`;
 * - else runs are read from the newest on until the page is full, workflow by workflow. If a condition leads to that
 *   many runs, they are so dense that few others are read; slow are only rare conditions beside a frequent one.
 *
 * Indexes: `inputs_created` to read from the newest on; `inputs_key`, `inputs_parent`, `inputs_source`, `inputs_root`,
 * `inputs_tags`, `inputs_attributes`, `runs_finished`, `runs_claim`, `runs_waiting`, `runs_holding`, `runs_holder`,
 * `runs_parked` and `runs_shelved` lead to runs; `runs_pkey` and `inputs_pkey` for each of them.
 * Locks: none.
 */
import type * as Driver from "perdure/JournalDriver"
import type { Words } from "../../Verb.js"
import { instant } from "../shared/expressions.js"
import { byIndex, expectFew, few } from "../shared/planner.js"
import { selectBoundedRecords } from "../shared/records.js"
import { and, part, sql, unionAll, withParts } from "../sql.js"
import type { FilterStatement, Shape } from "./filter.js"
import { fromCandidates, MAX_SORTED_RUNS, runOfInput, shapeOf, workflowsOf } from "./filter.js"

/** What a page needs beyond the filter. */
interface Page {
  readonly shape: Shape
  /** The condition that a run is beyond the cursor. */
  readonly beyond: ReadonlyArray<string>
  readonly order: string
}

/** `candidate_runs`: each id once; of a capped query one more than can be sorted. */
const candidateRuns = (t: Words, { ids, isCapped }: Shape): ReadonlyArray<string> =>
  ids === null ? [] : [
    part(
      "candidate_runs",
      sql`
        SELECT DISTINCT x.id, ${few} FROM (
          SELECT y.id FROM (
            ${ids(t)}
          ) y
          ${isCapped ? `LIMIT ${MAX_SORTED_RUNS + 1}` : ""}
        ) x
      `
    )
  ]

const fromIds = (t: Words, { beyond, order, shape }: Page, when: ReadonlyArray<string>): string =>
  sql`
    (
      SELECT n.created_at, n.run FROM ${fromCandidates(t, shape)}${and([...beyond, ...when])}
      ${order}
    )
  `

const fromNewest = (t: Words, { beyond, order, shape }: Page, when: ReadonlyArray<string>): string => {
  const { inputs, runs } = shape
  return sql`
    (
      SELECT n.created_at, n.run FROM workflows f CROSS JOIN LATERAL (
        SELECT n.created_at, n.run FROM ${t.inputs} n
        ${runs.length === 0 ? "" : runOfInput(t)}
        WHERE n.workflow = f.workflow${and([...beyond, ...inputs, ...runs])}
        ${order}
      ) n
      WHERE ${expectFew("f")}${and(when)}
      ${order}
    )
  `
}

const pageRuns = (t: Words, page: Page): string => {
  const { ids, isCapped } = page.shape
  if (ids === null) return fromNewest(t, page, [])
  if (!isCapped) return fromIds(t, page, [])
  const isMany = `(SELECT count(*) FROM candidate_runs) > ${MAX_SORTED_RUNS}`
  return unionAll([fromIds(t, page, [`NOT ${isMany}`]), fromNewest(t, page, [isMany])])
}

const text = (page: Page) => (t: Words): string =>
  withParts(
    [
      workflowsOf(t, page.shape),
      ...candidateRuns(t, page.shape),
      part(
        "page_runs",
        sql`
          SELECT n.run, row_number() OVER (ORDER BY n.created_at DESC, n.run DESC) AS i
          FROM (
            ${pageRuns(t, page)}
          ) n
          ${page.order}
        `
      )
    ],
    selectBoundedRecords(
      t,
      sql`
        SELECT r.*, p.i FROM page_runs p
        ${byIndex(`SELECT r.* FROM ${t.runs} r WHERE r.id = p.run`, "r")}
      `
    )
  )

/** The page beyond a cursor: one run more than `limit`, so that the caller learns whether there are more. */
export const find = (filter: Driver.RunFilter, after: Driver.RunCursor | null, limit: number): FilterStatement => {
  const shape = shapeOf(filter)
  const parameters = [...shape.parameters]
  const add = (value: unknown): string => `$${parameters.push(value)}`
  // In the text, where the planner sees that it is small. Callers use few different sizes.
  const size = Math.max(0, Math.floor(limit)) + 1
  const beyond = after === null
    ? []
    : [`(n.created_at, n.run) < (${instant(`${add(after.createdAt)}::float8`)}, ${add(after.id)}::text)`]
  const order = `ORDER BY n.created_at DESC, n.run DESC LIMIT ${size}`
  return {
    parameters,
    verb: {
      name: `find_${shape.name}_${size}${after === null ? "" : "_after"}`,
      parameters: parameters.length,
      text: text({ shape, beyond, order })
    }
  }
}
