/**
 * A filter of runs as parts of a statement. The text follows from which conditions are present; all values of the user
 * are parameters.
 *
 * Some conditions lead to the runs by an index, as a query of ids. Of those,
 *
 * - parent, idempotency key, source and root lead to few runs;
 * - tags, attributes and statuses may lead to few or to many: their query of ids is capped.
 */
import * as Driver from "perdure/JournalDriver"
import { encodeInstant } from "../../internal/json.js"
import type { Verb, Words } from "../../Verb.js"
import { claimable, finals, halted, instant, textArray } from "../shared/expressions.js"
import { byIndex, expectFew, few } from "../shared/planner.js"
import { and, part, sql, unionAll } from "../sql.js"

/** Runs that are collected and sorted, at most. With more of them, it is cheaper to read runs from the newest on. */
export const MAX_SORTED_RUNS = 10_000

type Status = Driver.RunStatus

/** A fragment of a statement. */
type Fragment = (t: Words) => string

export interface Shape {
  /** Names the conditions that are present, not their values. */
  readonly name: string
  readonly parameters: ReadonlyArray<unknown>
  /** Conditions on the input `n`, and on the run `r`. */
  readonly inputs: ReadonlyArray<string>
  readonly runs: ReadonlyArray<string>
  /** The workflows, as a query; null for all. */
  readonly workflows: string | null
  /** The statuses, as an array; null for all. */
  readonly statuses: string | null
  /** A query of ids that include all matching runs; null if no condition leads to them. */
  readonly ids: Fragment | null
  /** Whether the query of ids may have too many. */
  readonly isCapped: boolean
}

/** A statement for a filter. */
export interface FilterStatement {
  readonly verb: Verb
  readonly parameters: ReadonlyArray<unknown>
}

/** In the collation "C", only ASCII letters have two cases. */
const lowerCase = (text: string): string => `lower(${text} COLLATE "C")`

/** The columns of a run that say why it ended or diverged, beside its exit. */
const explanations = ["detail", "ended_by", "end_reason", "crashed_worker"]

/** The failure or an explanation of run `r` contains a string. ASCII letters match case-insensitively. */
const contains = (parameter: string): string => {
  const sought = lowerCase(`${parameter}::text`)
  const explained = explanations.map((column) =>
    `OR coalesce(strpos(${lowerCase(`r.${column}`)}, ${sought}) > 0, false)`
  )
  return sql`
    (CASE WHEN r.exit_kind IN ('failure', 'defect') THEN strpos(${
    lowerCase("r.exit_value")
  }, ${sought}) > 0 ELSE false END
      ${explained.join("\n")})
  `
}

/** Conditions that the indexes of `runs` have. */
interface RunConditions {
  readonly statuses: string
  readonly queues: string | null
  readonly key: string | null
  readonly finished: ReadonlyArray<string>
}

/** The ids of the runs of a partial index whose predicate is `predicate`. */
const ofIndex = ({ key, queues, statuses }: RunConditions, predicate: string): Fragment => {
  const conditions = [
    `r.status = ANY (${statuses})`,
    ...(queues === null ? [] : [`r.queue = ANY (${queues})`]),
    ...(key === null ? [] : [`r.key = ${key}`])
  ]
  return (t) => `SELECT r.id FROM ${t.runs} r WHERE ${predicate}${and(conditions)}`
}

/** The ids of ended runs, by `runs_finished`. */
const ofFinished = ({ finished, statuses }: RunConditions): Fragment => (t) =>
  sql`
    SELECT r.id FROM workflows f
    CROSS JOIN (SELECT s.status FROM unnest(${statuses}) s(status) WHERE s.status IN ${finals}) s
    CROSS JOIN LATERAL (
      SELECT r.id FROM ${t.runs} r
      WHERE r.workflow = f.workflow AND r.status = s.status AND r.finished_at IS NOT NULL${and(finished)}
      LIMIT ${`${MAX_SORTED_RUNS + 1}`}
    ) r
  `

/** The predicates of `runs_waiting`, `runs_claim`, `runs_holding`, `runs_holder`, `runs_parked` and `runs_shelved`. */
const waiting = "r.key IS NOT NULL AND r.fresh AND r.status = 'pending'"
const claims = `r.status IN ${claimable} AND (r.key IS NULL OR NOT r.fresh)`
const holding = `r.key IS NOT NULL AND NOT r.fresh AND r.status NOT IN ${finals}`
const held = "r.worker IS NOT NULL"
const haltedLater = `r.status IN ${halted} AND NOT r.fresh`
const haltedFresh = `r.status IN ${halted} AND r.fresh`

/** Queries that lead to the runs of some statuses. */
const byStatus = (statuses: ReadonlyArray<Status>, conditions: RunConditions): ReadonlyArray<Fragment> => {
  const has = (group: ReadonlyArray<Status>) => group.some((status) => statuses.includes(status))
  const ofIndexes = (...predicates: ReadonlyArray<string>) => predicates.map((each) => ofIndex(conditions, each))
  const hasKey = conditions.key !== null
  const isLive = statuses.some((status) => !Driver.isFinal(status))
  return [
    ...(statuses.length === 0 ? [() => "SELECT NULL::text AS id WHERE false"] : []),
    ...(has(Driver.ClaimableStatus.literals) ? ofIndexes(waiting, ...(hasKey ? [] : [claims])) : []),
    ...(hasKey && isLive
      ? ofIndexes(holding, ...(has(Driver.HaltedStatus.literals) ? [haltedFresh] : []))
      : ofIndexes(
        ...(has(["running"]) ? [held] : []),
        ...(has(Driver.HaltedStatus.literals) ? [haltedLater, haltedFresh] : [])
      )),
    ...(has(Driver.FinalStatus.literals) ? [ofFinished(conditions)] : [])
  ]
}

/** Collects what a filter comes down to. */
class ShapeBuilder {
  readonly parameters: Array<unknown> = []
  readonly names: Array<string> = []
  readonly inputs: Array<string> = []
  readonly runs: Array<string> = []
  /** Queries of ids, of conditions that lead to few runs, and of those that may lead to many. */
  readonly leading: Array<Fragment> = []
  readonly capped: Array<Fragment> = []

  /** The place of a parameter. `name` is a letter of the condition. */
  add(name: string, value: unknown): string {
    this.names.push(name)
    return `$${this.parameters.push(value)}`
  }

  instant(name: string, value: Driver.Millis): string {
    return instant(`${this.add(name, encodeInstant(value))}::float8`)
  }

  /** A condition on inputs that leads to few of them. */
  lead(condition: string): void {
    this.leading.push((t) => `SELECT n.run AS id FROM ${t.inputs} n WHERE ${condition}`)
    this.inputs.push(condition)
  }

  /** A condition on inputs that may lead to many of them. */
  leadCapped(condition: string): void {
    this.capped.push((t) => `SELECT n.run AS id FROM ${t.inputs} n WHERE ${condition}`)
    this.inputs.push(condition)
  }
}

const addInputConditions = (shape: ShapeBuilder, filter: Driver.RunFilter): void => {
  if (filter.idempotencyKey !== undefined) {
    const key = `${shape.add("i", filter.idempotencyKey)}::text`
    shape.leading.push((t) =>
      sql`
        SELECT n.id FROM workflows f CROSS JOIN LATERAL (
          SELECT n.run AS id FROM ${t.inputs} n WHERE n.workflow = f.workflow AND n.idempotency_key = ${key}
        ) n
      `
    )
    shape.inputs.push(`n.idempotency_key = ${key}`)
  }
  if (filter.parent !== undefined) shape.lead(`n.parent_id = ${shape.add("p", filter.parent)}::text`)
  if (filter.source !== undefined) shape.lead(`n.source = ${shape.add("f", filter.source)}::text`)
  if (filter.root !== undefined) {
    const root = `${shape.add("r", filter.root)}::text`
    shape.leading.push((t) =>
      unionAll([
        `SELECT n.run AS id FROM ${t.inputs} n WHERE n.root = ${root} AND n.depth > 0`,
        `SELECT n.run AS id FROM ${t.inputs} n WHERE n.run = ${root} AND n.depth = 0`
      ])
    )
    shape.inputs.push(`n.root = ${root}`)
  }
  if (filter.tags !== undefined && filter.tags.length > 0) {
    shape.leadCapped(`n.tags @> ${textArray(shape.add("t", JSON.stringify(filter.tags)))}`)
  }
  if (filter.attributes !== undefined && Object.keys(filter.attributes).length > 0) {
    shape.leadCapped(`n.attributes @> ${shape.add("a", JSON.stringify(filter.attributes))}::jsonb`)
  }
  if (filter.createdFrom !== undefined) shape.inputs.push(`n.created_at >= ${shape.instant("c", filter.createdFrom)}`)
  if (filter.createdBefore !== undefined)
    shape.inputs.push(`n.created_at < ${shape.instant("d", filter.createdBefore)}`)
}

/** Adds the conditions on runs. Returns the statuses, as an array; null for all. */
const addRunConditions = (shape: ShapeBuilder, filter: Driver.RunFilter): string | null => {
  const finished = [
    ...(filter.finishedFrom === undefined ? [] : [`r.finished_at >= ${shape.instant("g", filter.finishedFrom)}`]),
    ...(filter.finishedBefore === undefined ? [] : [`r.finished_at < ${shape.instant("h", filter.finishedBefore)}`])
  ]
  // A run that has an end is final.
  const wanted = filter.statuses ?? (finished.length > 0 ? Driver.FinalStatus.literals : undefined)
  const queues = filter.queues === undefined ? null : textArray(shape.add("q", JSON.stringify(filter.queues)))
  const key = filter.key === undefined ? null : `${shape.add("k", filter.key)}::text`
  let statuses: string | null = null
  if (wanted !== undefined) {
    statuses = textArray(shape.add("s", JSON.stringify(wanted)))
    const ids = byStatus(wanted, { statuses, queues, key, finished })
    // The queries follow from which of these groups are wanted.
    const groups = [Driver.FinalStatus.literals, Driver.ClaimableStatus.literals, Driver.HaltedStatus.literals, [
      "running"
    ]]
    for (const group of groups) {
      shape.names.push(group.some((status) => wanted.some((each) => each === status)) ? "1" : "0")
    }
    if (shape.leading.length === 0 && shape.capped.length === 0) {
      shape.capped.push((t) => unionAll(ids.map((each) => each(t))))
    }
    shape.runs.push(`r.status = ANY (${statuses})`)
  }
  if (queues !== null) shape.runs.push(`r.queue = ANY (${queues})`)
  if (key !== null) shape.runs.push(`r.key = ${key}`)
  if (filter.version !== undefined) shape.runs.push(`r.version = ${shape.add("v", filter.version)}::text`)
  shape.runs.push(...finished)
  if (filter.errorCode !== undefined) shape.runs.push(`r.error_code = ${shape.add("e", filter.errorCode)}::text`)
  if (filter.text !== undefined) shape.runs.push(contains(shape.add("x", filter.text)))
  return statuses
}

export const shapeOf = (filter: Driver.RunFilter): Shape => {
  const shape = new ShapeBuilder()
  const workflows = filter.workflows === undefined
    ? null
    : `SELECT DISTINCT json_array_elements_text(${shape.add("w", JSON.stringify(filter.workflows))}::json)`
  addInputConditions(shape, filter)
  const statuses = addRunConditions(shape, filter)
  return {
    name: shape.names.join(""),
    parameters: shape.parameters,
    inputs: shape.inputs,
    runs: shape.runs,
    workflows,
    statuses,
    ids: shape.leading[0] ?? shape.capped[0] ?? null,
    isCapped: shape.leading.length === 0
  }
}

/** All workflows, by a skip scan of `inputs_created`. */
const allWorkflows = (t: Words): string =>
  sql`
    WITH RECURSIVE workflow_scan AS (
      (SELECT n.workflow FROM ${t.inputs} n WHERE n.workflow >= '' ORDER BY n.workflow LIMIT 1)
      UNION ALL
      SELECT (SELECT n.workflow FROM ${t.inputs} n WHERE n.workflow > e.workflow ORDER BY n.workflow LIMIT 1)
      FROM workflow_scan e WHERE e.workflow IS NOT NULL
    )
    SELECT e.workflow FROM workflow_scan e WHERE e.workflow IS NOT NULL
  `

/** `workflows`: the workflows of the filter. */
export const workflowsOf = (t: Words, { workflows }: Shape): string =>
  part(
    "workflows",
    sql`
      SELECT a.workflow, ${few} FROM (
        ${workflows ?? allWorkflows(t)}
      ) a(workflow)
    `
  )

/** The run row of input `n`, as `r`. */
export const runOfInput = (t: Words): string => byIndex(`SELECT r.* FROM ${t.runs} r WHERE r.id = n.run`, "r")

/** The inputs `n` and runs `r` that match, of the ids in `candidate_runs`; a FROM clause with its conditions. */
export const fromCandidates = (t: Words, { inputs, runs, workflows }: Shape): string => {
  const ofWorkflows = workflows === null ? [] : ["n.workflow = ANY (ARRAY(SELECT f.workflow FROM workflows f))"]
  return sql`
    candidate_runs w
    ${byIndex(`SELECT n.* FROM ${t.inputs} n WHERE n.run = w.id`, "n")}
    ${runOfInput(t)}
    WHERE ${expectFew("w")}${and([...ofWorkflows, ...inputs, ...runs])}
  `
}
