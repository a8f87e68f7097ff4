/** Filters of runs: the type below `Runs`, its rules, and the driver's filter that follows from it. */
import type * as DateTime from "effect/DateTime"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Driver from "../../driver/JournalDriver.js"
import { type Attributes, HaltedStatus, RunStatus, UnsuccessfulStatus } from "../../driver/JournalDriver.js"
import { MIN_STORED_MILLIS, instantOf } from "../util/time.js"
import { attribute, label } from "./labels.js"
import type { WorkflowReference } from "./names.js"
import { canBeStored, id, ID_BYTES, workflowName } from "./names.js"
import { makeList } from "./pages.js"
import type { QueueReference } from "./queues.js"
import { isQueueDefinition, queueName } from "./queues.js"
import type { Rule } from "./Rule.js"
import { arrayOf, either, fields, instant, oneOf, oneOrMore, optional, recordOf, rule, string } from "./Rule.js"

/** Public as `Runs.RunFilter`. */
export interface RunFilter {
  /** Workflows, or their names. */
  readonly workflow?: WorkflowReference | ReadonlyArray<WorkflowReference>
  readonly version?: string
  readonly status?: RunStatus | ReadonlyArray<RunStatus>
  /** Queues, or their names. */
  readonly queue?: QueueReference | ReadonlyArray<QueueReference>
  /** The key within its queue. */
  readonly key?: string
  /** It has all of these. */
  readonly tags?: ReadonlyArray<string>
  /** It has all of these, with these values. */
  readonly attributes?: Attributes
  /** The run that started it. */
  readonly parent?: string
  /** The topmost run above it, which matches, too. */
  readonly root?: string
  readonly idempotencyKey?: string
  /** The run that it is a fork of. */
  readonly source?: string
  readonly createdFrom?: DateTime.DateTime | Date
  /** Exclusive. */
  readonly createdBefore?: DateTime.DateTime | Date
  readonly finishedFrom?: DateTime.DateTime | Date
  /** Exclusive. */
  readonly finishedBefore?: DateTime.DateTime | Date
  /**
   * The `_tag` of its failure, of the runtime's error that it died of, or the name of what was thrown. Only failed runs
   * are searched, unless `status` names others.
   */
  readonly errorCode?: string
  /**
   * Part of the JSON of its failure or defect, of the detail of a diverged run, of who terminated it or why, or of the
   * last worker of an exhausted run. ASCII letters match case-insensitively. Only runs in states that can have one are
   * searched, unless `status` names others.
   */
  readonly text?: string
}

/** The last instant of the year 9999, in milliseconds since the epoch. */
const MAX_TIME_MILLIS = 253_402_300_799_999

const condition = string({ min: 1, maxBytes: ID_BYTES })

const workflow: Rule<WorkflowReference> = either(
  condition,
  rule<Exclude<WorkflowReference, string>>(
    "a Workflow",
    (value) => Predicate.hasProperty(value, "toLayer") && Predicate.hasProperty(value, "name")
  )
)

const queue: Rule<QueueReference> = either(
  condition,
  rule<Exclude<QueueReference, string>>("a RunQueue", isQueueDefinition)
)

const status: Rule<RunStatus> = oneOf(...RunStatus.literals)

const time = optional(instant({ max: MAX_TIME_MILLIS }))

/** An empty list or object is a problem: it would match nothing, or everything. */
export const runFilter: Rule<RunFilter> = fields<RunFilter>({
  workflow: optional(oneOrMore(workflow)),
  version: optional(condition),
  status: optional(oneOrMore(status)),
  queue: optional(oneOrMore(queue)),
  key: optional(id),
  tags: optional(arrayOf(label, { min: 1 })),
  attributes: optional(recordOf(label, attribute, { min: 1 })),
  parent: optional(condition),
  root: optional(condition),
  idempotencyKey: optional(id),
  source: optional(condition),
  createdFrom: time,
  createdBefore: time,
  finishedFrom: time,
  finishedBefore: time,
  errorCode: optional(condition),
  text: optional(string({ min: 1, maxBytes: Infinity }))
})

/** The states in which a run can have a failure or a detail. */
const explained: ReadonlyArray<RunStatus> = [
  ...UnsuccessfulStatus.literals,
  ...HaltedStatus.literals
]

const isMany = <A>(value: A | ReadonlyArray<A>): value is ReadonlyArray<A> => Array.isArray(value)

const each = <A, B>(value: A | ReadonlyArray<A>, map: (value: A) => B): ReadonlyArray<B> =>
  isMany(value) ? value.map(map) : [map(value)]

const statusesOf = ({ errorCode, status, text }: RunFilter): ReadonlyArray<RunStatus> | undefined =>
  status !== undefined
    ? each(status, (one) => one)
    : errorCode !== undefined
    ? ["failed"]
    : text !== undefined
    ? explained
    : undefined

/** A condition of the driver's filter if it is defined. */
const when = <K extends keyof Driver.RunFilter>(
  key: K,
  value: Driver.RunFilter[K] | undefined
): Pick<Driver.RunFilter, K> | {} => value === undefined ? {} : { [key]: value }

/** The driver's filter for a valid one. Without conditions it has no fields. */
export const driverFilter = (filter: RunFilter): Driver.RunFilter => ({
  ...when("workflows", filter.workflow === undefined ? undefined : each(filter.workflow, workflowName)),
  ...when("version", filter.version),
  ...when("statuses", statusesOf(filter)),
  ...when("queues", filter.queue === undefined ? undefined : each(filter.queue, queueName)),
  ...when("key", filter.key),
  ...when("tags", filter.tags),
  ...when("attributes", filter.attributes),
  ...when("parent", filter.parent),
  ...when("root", filter.root),
  ...when("idempotencyKey", filter.idempotencyKey),
  ...when("source", filter.source),
  ...when("createdFrom", instantOf(filter.createdFrom)),
  ...when("createdBefore", instantOf(filter.createdBefore)),
  ...when("finishedFrom", instantOf(filter.finishedFrom)),
  ...when("finishedBefore", instantOf(filter.finishedBefore)),
  ...when("errorCode", filter.errorCode),
  ...when("text", filter.text)
})

/** Lists of runs, newest first. Positions that no storage can compare are not from a page. */
export const runList = makeList(
  "Runs.list",
  Schema.Struct({
    createdAt: Schema.Int.pipe(Schema.between(MIN_STORED_MILLIS, MAX_TIME_MILLIS)),
    id: Schema.String.pipe(Schema.filter(canBeStored))
  })
)
