/** How a run is started: the type below `Workflow`, and its rules. */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import type { Attributes } from "../../driver/JournalDriver.js"
import { nameProblem, priorityProblem } from "./legacyNames.js"
import { EARLIEST, instantOf, millisOf } from "../util/time.js"
import { attributes, attributesProblem, labelAttributes, labelTags, tags, tagsProblem } from "./labels.js"
import { priority } from "./names.js"
import type { QueueReference } from "./queues.js"
import { queueReference } from "./queues.js"
import { isFields, show, strangers } from "./reading.js"
import type { Rule, Table } from "./Rule.js"
import { boolean, duration, fields, instant, optional } from "./Rule.js"

/** Public as `Workflow.StartOptions`. */
export interface StartOptions {
  /** Not before this much time has passed. */
  readonly delay?: Duration.DurationInput
  /** Not before this instant; `delay` does not count then. */
  readonly startsAt?: DateTime.DateTime | Date
  /** The run is `expired`, and never begins, unless a worker takes it within this time. */
  readonly expiresIn?: Duration.DurationInput
  /** The run is `expired` unless a worker takes it before this instant; `expiresIn` does not count then. */
  readonly expiresAt?: DateTime.DateTime | Date
  /** Lower is claimed first. Default: the workflow's. */
  readonly priority?: number
  /** A queue that is defined, or that some worker has served. Default: the workflow's. */
  readonly queue?: QueueReference
  /** Inside a workflow: the child goes on when its parent ends or is cancelled. Default false. */
  readonly detached?: boolean
  /** What it may be found by, besides the workflow's: at most 32 strings of 1 to 200 printable characters. */
  readonly tags?: ReadonlyArray<string>
  /** What it may be found by, besides the workflow's and before them: at most 32 strings, finite numbers and booleans. */
  readonly attributes?: Attributes
}

/** What a continuation is started with. Public as `Continuation.ContinuationOptions`. */
export type ContinuationOptions = Omit<StartOptions, "detached">

const placeTable: Table<Omit<ContinuationOptions, "tags" | "attributes">> = {
  delay: optional(duration({ max: Infinity })),
  startsAt: optional(instant()),
  expiresIn: optional(duration({ max: Infinity })),
  expiresAt: optional(instant()),
  priority: optional(priority),
  queue: optional(queueReference)
}

/** Arguments of a start. The content of its labels are values: `labelsOf` checks them with the workflow's own. */
export const startOptions: Rule<StartOptions> = fields<StartOptions>({
  ...placeTable,
  detached: optional(boolean),
  tags: optional(labelTags),
  attributes: optional(labelAttributes)
})

/** Part of a definition, labels and all. */
export const continuationOptions: Rule<ContinuationOptions> = fields<ContinuationOptions>({
  ...placeTable,
  tags: optional(tags),
  attributes: optional(attributes)
})

const OPTIONS = ["delay", "startAt", "expiresIn", "expiresAt", "priority", "queue", "tags", "attributes"]

const time = (name: string, value: unknown): string | undefined =>
  value === undefined || millisOf(value) !== undefined
    ? undefined
    : `${name} is ${show(value)}, it must be a duration, such as "10 minutes"`

const instantProblem = (name: string, value: unknown): string | undefined => {
  const millis = value === undefined ? EARLIEST : instantOf(value)
  return millis !== undefined && millis >= EARLIEST
    ? undefined
    : `${name} is ${show(value)}, it must be an instant: give a DateTime or a Date, after the year -4000`
}

/** Of a queue, or its name. */
export const queueProblem = (value: unknown): string | undefined => {
  const name: unknown = isFields(value) ? value["name"] : value
  return name === undefined && value === undefined
    ? undefined
    : typeof name === "string"
    ? nameProblem("the queue", name)
    : `queue is ${show(value)}, it must be a queue or its name`
}

export const startOptionProblems = (options: unknown): ReadonlyArray<string> => {
  if (options === undefined) return []
  if (!isFields(options)) return [`the options are ${show(options)}, they must be an object`]
  const { attributes, delay, expiresAt, expiresIn, priority, queue, startAt, tags } = options
  return [
    ...strangers("", options, OPTIONS),
    time("delay", delay),
    instantProblem("startAt", startAt),
    time("expiresIn", expiresIn),
    instantProblem("expiresAt", expiresAt),
    priority === undefined ? undefined : priorityProblem(priority),
    queueProblem(queue),
    tags === undefined ? undefined : tagsProblem(tags),
    attributes === undefined ? undefined : attributesProblem(attributes)
  ].filter((problem) => problem !== undefined)
}
