/**
 * Find runs by what they are, newest first, a page at a time; and count them.
 *
 * The text is put together from the shape of the filter: each condition that is present is a fixed fragment, and all that
 * a user says is a parameter. A page comes in one of three ways, which does not depend on what the planner knows:
 *
 * - a condition that few runs meet (parent, key, source, root) leads to them by its index, and they are sorted;
 * - one that few or many may meet (tags, attributes, states) leads to at most `most` of them in the same way;
 * - if they are more, or no condition leads anywhere, runs are looked through from the newest on until the page is full,
 *   workflow by workflow. Then they are so dense that few have to be looked at, but for conditions that are rarely met
 *   beside one that is often.
 *
 * Indexes: `inputs_created` to look through runs; to be led, `inputs_key`, `inputs_parent`, `inputs_source`,
 * `inputs_root`, `inputs_tags`, `inputs_attributes`, `runs_finished`, `runs_claim`, `runs_waiting`, `runs_holding`,
 * `runs_holder`, `runs_parked`, `runs_shelved`; and `runs_pkey`, `inputs_pkey` for each run. Locks: none.
 */
import * as Driver from "perdure/JournalDriver"
import { encodeInstant } from "../internal/json.js"
import * as Row from "../internal/Row.js"
import type { Verb, Words } from "../Verb.js"
import { records } from "./read.js"
import { claimable, finals, instant, millis } from "./words.js"

/** So many runs are gathered and sorted at most, before it is cheaper to look through all from the newest on. */
const most = 10_000

type Status = Driver.RunStatus

const finalStatuses: ReadonlyArray<Status> = Driver.FinalStatus.literals
const claimableStatuses: ReadonlyArray<Status> = ["pending", "suspended"]
const parkedStatuses: ReadonlyArray<Status> = ["paused", "diverged"]

/** A fragment of a statement. */
type Text = (t: Words) => string

/** What a filter comes down to. */
interface Shape {
  /** Names the conditions that are present, and nothing of what they say. */
  readonly name: string
  readonly parameters: ReadonlyArray<unknown>
  /** On the input `n` and the run `r`. */
  readonly inputs: ReadonlyArray<string>
  readonly runs: ReadonlyArray<string>
  /** Workflows, as rows; null for all. */
  readonly flows: string | null
  /** States, as an array; null for all. */
  readonly statuses: string | null
  /** Ids that include all that match. */
  readonly sources: ReadonlyArray<Text>
  readonly capped: boolean
}

const list = (parameter: string): string => `ARRAY(SELECT json_array_elements_text(${parameter}::json))`

/** The JSON of what a run failed with. Only of failed runs, so that no other text is read as JSON. */
const code = `CASE WHEN r.exit_kind = 'failure' THEN r.exit_value::json ->> '_tag'
      WHEN r.exit_kind = 'defect' THEN coalesce(r.exit_value::json -> 'runtimeError' ->> '_tag', r.exit_value::json ->> 'name')
      END`

/** In the collation "C", only the letters of ASCII have two cases. */
const folded = (text: string): string => `lower(${text} COLLATE "C")`

const says = (parameter: string): string =>
  `(CASE WHEN r.exit_kind IN ('failure', 'defect') THEN strpos(${folded("r.exit_value")}, ${
    folded(`${parameter}::text`)
  }) > 0 ELSE false END
      OR coalesce(strpos(${folded("r.detail")}, ${folded(`${parameter}::text`)}) > 0, false))`

const and = (conditions: ReadonlyArray<string>): string => conditions.map((each) => ` AND ${each}`).join("")

/** Conditions that one of the indexes of `runs` knows. */
interface Known {
  readonly statuses: string
  readonly queues: string | null
  readonly key: string | null
  readonly finished: ReadonlyArray<string>
}

const ofRuns = (known: Known, condition: string): Text => (t) =>
  `SELECT r.id FROM ${t.runs} r WHERE ${condition} AND r.status = ANY (${known.statuses})${
    and(known.queues === null ? [] : [`r.queue = ANY (${known.queues})`])
  }${and(known.key === null ? [] : [`r.key = ${known.key}`])}`

/** Parked before they began. */
const shelved = "r.status IN ('paused', 'diverged') AND r.fresh"

/** Where runs of some states are found. */
const byStatus = (statuses: ReadonlyArray<Status>, known: Known): ReadonlyArray<Text> => {
  const some = (group: ReadonlyArray<Status>) => group.some((status) => statuses.includes(status))
  // No state at all leads nowhere.
  const sources: Array<Text> = statuses.length === 0 ? [() => "SELECT NULL::text AS id WHERE false"] : []
  if (some(claimableStatuses)) {
    sources.push(ofRuns(known, "r.key IS NOT NULL AND r.fresh AND r.status = 'pending'"))
    if (known.key === null) {
      sources.push(ofRuns(known, `r.status IN ${claimable} AND (r.key IS NULL OR NOT r.fresh)`))
    }
  }
  if (known.key !== null && statuses.some((status) => !finalStatuses.includes(status))) {
    sources.push(ofRuns(known, `r.key IS NOT NULL AND NOT r.fresh AND r.status NOT IN ${finals}`))
    if (some(parkedStatuses)) sources.push(ofRuns(known, shelved))
  } else {
    if (statuses.includes("running")) sources.push(ofRuns(known, "r.worker IS NOT NULL"))
    if (some(parkedStatuses)) {
      sources.push(ofRuns(known, "r.status IN ('paused', 'diverged') AND NOT r.fresh"), ofRuns(known, shelved))
    }
  }
  if (some(finalStatuses)) {
    sources.push((t) =>
      `SELECT r.id FROM flows f
      CROSS JOIN (SELECT s.status FROM unnest(${known.statuses}) s(status) WHERE s.status IN ${finals}) s
      CROSS JOIN LATERAL (
        SELECT r.id FROM ${t.runs} r
        WHERE r.workflow = f.workflow AND r.status = s.status AND r.finished_at IS NOT NULL${and(known.finished)}
        LIMIT ${most + 1}
      ) r`
    )
  }
  return sources
}

const shapeOf = (filter: Driver.RunFilter): Shape => {
  const parameters: Array<unknown> = []
  const names: Array<string> = []
  const inputs: Array<string> = []
  const runs: Array<string> = []
  const leading: Array<Text> = []
  const capped: Array<Text> = []
  /** The place of a parameter. */
  const given = (name: string, value: unknown): string => {
    names.push(name)
    return `$${parameters.push(value)}`
  }
  const at = (name: string, value: Driver.Millis): string => instant(`${given(name, encodeInstant(value))}::float8`)

  const flows = filter.workflows === undefined
    ? null
    : `SELECT DISTINCT json_array_elements_text(${given("w", JSON.stringify(filter.workflows))}::json)`
  const led = (source: (n: string) => string, condition: string) => {
    leading.push((t) => source(`SELECT n.run AS id FROM ${t.inputs} n`))
    inputs.push(condition)
  }
  if (filter.idempotencyKey !== undefined) {
    const key = `${given("i", filter.idempotencyKey)}::text`
    leading.push((t) =>
      `SELECT n.id FROM flows f CROSS JOIN LATERAL (
        SELECT n.run AS id FROM ${t.inputs} n WHERE n.workflow = f.workflow AND n.idempotency_key = ${key}
      ) n`
    )
    inputs.push(`n.idempotency_key = ${key}`)
  }
  if (filter.parent !== undefined) {
    const condition = `n.parent_id = ${given("p", filter.parent)}::text`
    led((n) => `${n} WHERE ${condition}`, condition)
  }
  if (filter.source !== undefined) {
    const condition = `n.source = ${given("f", filter.source)}::text`
    led((n) => `${n} WHERE ${condition}`, condition)
  }
  if (filter.root !== undefined) {
    const root = `${given("r", filter.root)}::text`
    led(
      (n) =>
        `${n} WHERE n.root = ${root} AND n.depth > 0
      UNION ALL
      ${n} WHERE n.run = ${root} AND n.depth = 0`,
      `n.root = ${root}`
    )
  }
  if (filter.tags !== undefined && filter.tags.length > 0) {
    const condition = `n.tags @> ${list(given("t", JSON.stringify(filter.tags)))}`
    capped.push((t) => `SELECT n.run AS id FROM ${t.inputs} n WHERE ${condition}`)
    inputs.push(condition)
  }
  if (filter.attributes !== undefined && Object.keys(filter.attributes).length > 0) {
    const condition = `n.attributes @> ${given("a", JSON.stringify(filter.attributes))}::jsonb`
    capped.push((t) => `SELECT n.run AS id FROM ${t.inputs} n WHERE ${condition}`)
    inputs.push(condition)
  }
  if (filter.createdFrom !== undefined) inputs.push(`n.created_at >= ${at("c", filter.createdFrom)}`)
  if (filter.createdBefore !== undefined) inputs.push(`n.created_at < ${at("d", filter.createdBefore)}`)

  const finished = [
    ...(filter.finishedFrom === undefined ? [] : [`r.finished_at >= ${at("g", filter.finishedFrom)}`]),
    ...(filter.finishedBefore === undefined ? [] : [`r.finished_at < ${at("h", filter.finishedBefore)}`])
  ]
  // Who has an end is final.
  const statuses = filter.statuses ?? (finished.length > 0 ? finalStatuses : undefined)
  const queues = filter.queues === undefined ? null : list(given("q", JSON.stringify(filter.queues)))
  const key = filter.key === undefined ? null : `${given("k", filter.key)}::text`
  let wanted: string | null = null
  if (statuses !== undefined) {
    wanted = list(given("s", JSON.stringify(statuses)))
    const sources = byStatus(statuses, { statuses: wanted, queues, key, finished })
    // Which of the sources there are.
    for (const group of [finalStatuses, claimableStatuses, parkedStatuses, ["running"]]) {
      names.push(group.some((status) => statuses.some((each) => each === status)) ? "1" : "0")
    }
    if (leading.length === 0 && capped.length === 0)
      capped.push((t) => sources.map((each) => each(t)).join(" UNION ALL "))
    runs.push(`r.status = ANY (${wanted})`)
  }
  if (queues !== null) runs.push(`r.queue = ANY (${queues})`)
  if (key !== null) runs.push(`r.key = ${key}`)
  if (filter.version !== undefined) runs.push(`r.version = ${given("v", filter.version)}::text`)
  runs.push(...finished)
  if (filter.errorCode !== undefined) runs.push(`(${code}) = ${given("e", filter.errorCode)}::text`)
  if (filter.text !== undefined) runs.push(says(given("x", filter.text)))
  return {
    name: names.join(""),
    parameters,
    inputs,
    runs,
    flows,
    statuses: wanted,
    sources: leading.length > 0 ? leading.slice(0, 1) : capped.slice(0, 1),
    capped: leading.length === 0
  }
}

/** All workflows, found from one to the next. */
const allFlows = (t: Words): string =>
  `WITH RECURSIVE each AS (
      (SELECT n.workflow FROM ${t.inputs} n WHERE n.workflow >= '' ORDER BY n.workflow LIMIT 1)
      UNION ALL
      SELECT (SELECT n.workflow FROM ${t.inputs} n WHERE n.workflow > e.workflow ORDER BY n.workflow LIMIT 1)
      FROM each e WHERE e.workflow IS NOT NULL
    )
    SELECT e.workflow FROM each e WHERE e.workflow IS NOT NULL`

const flowsOf = (t: Words, shape: Shape): string =>
  `flows AS MATERIALIZED (
    -- Always 1; makes the planner expect few rows, so that the cost is not taken to be worth a compilation.
    SELECT a.workflow, 1 AS touched FROM (
    ${shape.flows ?? allFlows(t)}
    ) a(workflow)
  )`

/** The run row of input `n`, as `r`. */
const runOf = (t: Words): string => `CROSS JOIN LATERAL (SELECT r.* FROM ${t.runs} r WHERE r.id = n.run OFFSET 0) r`

/** Whether a run is of one of the workflows: those of `flows` are. */
const ofFlows = (shape: Shape): ReadonlyArray<string> =>
  shape.flows === null ? [] : ["n.workflow = ANY (ARRAY(SELECT f.workflow FROM flows f))"]

/** The inputs and runs whose ids are in `few`. */
const fromFew = (t: Words, shape: Shape): string =>
  `few w
      CROSS JOIN LATERAL (SELECT n.* FROM ${t.inputs} n WHERE n.run = w.id OFFSET 0) n
      ${runOf(t)}
      WHERE w.touched = 1${and([...ofFlows(shape), ...shape.inputs, ...shape.runs])}`

export interface Asked {
  readonly verb: Verb
  readonly parameters: ReadonlyArray<unknown>
}

/** The page beyond a cursor: one more than `limit`, to know whether there are more. */
export const find = (filter: Driver.RunFilter, after: Driver.RunCursor | null, limit: number): Asked => {
  const shape = shapeOf(filter)
  const parameters = [...shape.parameters]
  const given = (value: unknown): string => `$${parameters.push(value)}`
  // In the text, where the planner sees that it is small: people use few different sizes.
  const size = Math.max(0, Math.floor(limit)) + 1
  const beyond = after === null
    ? []
    : [
      `(n.created_at, n.run) < (${instant(`${given(after.createdAt)}::float8`)}, ${given(after.id)}::text)`
    ]
  const order = `ORDER BY n.created_at DESC, n.run DESC LIMIT ${size}`
  const isLed = shape.sources.length > 0
  /** Led to them: each once, for ids of different sources may repeat. */
  const led = (t: Words, when: string): string =>
    `(SELECT n.created_at, n.run FROM ${fromFew(t, shape)}${and([...beyond, ...(when === "" ? [] : [when])])} ${order})`
  const through = (t: Words, when: string): string =>
    `(SELECT n.created_at, n.run FROM flows f CROSS JOIN LATERAL (
        SELECT n.created_at, n.run FROM ${t.inputs} n ${shape.runs.length === 0 ? "" : runOf(t)}
        WHERE n.workflow = f.workflow${and([...beyond, ...shape.inputs, ...shape.runs])}
        ${order}
      ) n WHERE f.touched = 1${and(when === "" ? [] : [when])} ${order})`
  const pages = (t: Words): string => {
    if (!isLed) return through(t, "")
    if (!shape.capped) return led(t, "")
    const many = `(SELECT count(*) FROM few) > ${most}`
    return `${led(t, `NOT ${many}`)}
      UNION ALL
      ${through(t, many)}`
  }
  return {
    parameters,
    verb: {
      name: `find_${shape.name}_${size}${after === null ? "" : "_after"}`,
      parameters: parameters.length,
      text: (t) =>
        `WITH ${flowsOf(t, shape)}${
          isLed
            ? `, few AS MATERIALIZED (
    SELECT DISTINCT x.id, 1 AS touched FROM (
      SELECT y.id FROM (${shape.sources.map((source) => source(t)).join(" UNION ALL ")}) y${
              shape.capped ? ` LIMIT ${most + 1}` : ""
            }
    ) x
  )`
            : ""
        }, page AS MATERIALIZED (
    SELECT n.run, row_number() OVER (ORDER BY n.created_at DESC, n.run DESC) AS i
    FROM (
      ${pages(t)}
    ) n
    ORDER BY n.created_at DESC, n.run DESC LIMIT ${size}
  )
  ${
          records(
            t,
            `SELECT r.*, p.i FROM page p CROSS JOIN LATERAL (SELECT r.* FROM ${t.runs} r WHERE r.id = p.run OFFSET 0) r`
          )
        }`
    }
  }
}

/** All runs that ended in some states, by the index that has them so. */
const endedRuns = (t: Words, statuses: string): string =>
  `(
      SELECT r.* FROM flows f
      CROSS JOIN (SELECT DISTINCT s.status, 1 AS touched FROM unnest(${statuses}) s(status)) s
      CROSS JOIN LATERAL (
        SELECT r.* FROM ${t.runs} r
        WHERE r.workflow = f.workflow AND r.status = s.status AND r.finished_at IS NOT NULL OFFSET 0
      ) r
      WHERE f.touched = 1 AND s.touched = 1
    ) r`

/** How many there are, by state: all of them are looked at, of which the states of a filter name the index. */
export const count = (filter: Driver.RunFilter): Asked => {
  const shape = shapeOf(filter)
  const isLed = shape.sources.length > 0 && (!shape.capped || shape.inputs.length > 0)
  const ended = shape.statuses !== null && filter.statuses?.every((each) => finalStatuses.includes(each)) === true
    ? shape.statuses
    : null
  const groups: ReadonlyArray<readonly [ReadonlyArray<Status>, string]> = [
    [claimableStatuses, `r.status IN ${claimable}`],
    [["running"], "r.worker IS NOT NULL"],
    [parkedStatuses, "r.status IN ('paused', 'diverged')"]
  ]
  const group = groups.flatMap(([statuses, predicate]) =>
    filter.statuses !== undefined && filter.statuses.every((status) => statuses.includes(status)) ? [predicate] : []
  )
  const flows = shape.flows === null ? [] : ["r.workflow = ANY (ARRAY(SELECT f.workflow FROM flows f))"]
  return {
    parameters: shape.parameters,
    verb: {
      name: `count_${shape.name}`,
      parameters: shape.parameters.length,
      text: (t) => {
        const led = isLed
          ? `, few AS MATERIALIZED (
    SELECT DISTINCT x.id, 1 AS touched FROM (${shape.sources.map((source) => source(t)).join(" UNION ALL ")}) x
  )`
          : ""
        const rows = isLed
          ? fromFew(t, shape)
          : `${ended === null ? `${t.runs} r` : endedRuns(t, ended)}${
            shape.inputs.length > 0 ? ` JOIN ${t.inputs} n ON n.run = r.id` : ""
          }
      WHERE true${and([...group, ...flows, ...shape.inputs, ...shape.runs])}`
        return `WITH ${flowsOf(t, shape)}${led}
  SELECT ${millis(t.now)} AS now, (
    SELECT json_agg(json_build_array(c.status, c.runs))::text
    FROM (SELECT r.status, count(*)::int AS runs FROM ${rows} GROUP BY r.status) c
  ) AS counts`
      }
    }
  }
}

export const decodeCounts = (rows: ReadonlyArray<Row.Fields>): Driver.Answer<Driver.RunCounts> => {
  const row = Row.first(rows)
  return {
    now: Row.instant(row, "now"),
    value: Object.fromEntries(Row.list(row, "counts").map((each) => [Row.status(each, 0), Row.integer(each, 1)]))
  }
}
