/** How a run is started: the type below `Workflow`, and its rules. */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import type { Attributes } from "../../driver/JournalDriver.js"
import { attributes, attributesType, tags, tagsType } from "./labels.js"
import { priority } from "./names.js"
import type { QueueReference } from "./queues.js"
import { namedQueue } from "./queues.js"
import type { Rule, Table } from "./Rule.js"
import { boolean, duration, fields, instant, optional, refine } from "./Rule.js"
import { quote } from "../util/show.js"
import { millisOf } from "../util/time.js"

/** Public as `Workflow.StartOptions`. */
export interface StartOptions {
  /** The run starts when this time has passed, at the earliest. */
  readonly delay?: Duration.DurationInput
  /** The run starts at this instant, at the earliest. Overrides `delay`. */
  readonly startsAt?: DateTime.DateTime | Date
  /** The run becomes `expired`, and never starts, unless a worker claims it within this time. */
  readonly expiresIn?: Duration.DurationInput
  /** The run becomes `expired` unless a worker claims it before this instant. Overrides `expiresIn`. */
  readonly expiresAt?: DateTime.DateTime | Date
  /** Lower is claimed first. Default: the workflow's. */
  readonly priority?: number
  /** A queue that is defined, or that a worker has served. Default: the workflow's. */
  readonly queue?: QueueReference
  /** Inside a workflow: the child continues when its parent ends or is cancelled. Default false. */
  readonly detached?: boolean
  /** Strings to find the run by, besides the workflow's: at most 32, of 1 to 200 printable characters. */
  readonly tags?: ReadonlyArray<string>
  /**
   * Values to find the run by, besides the workflow's: at most 32 strings, finite numbers and booleans. They override
   * those of the workflow.
   */
  readonly attributes?: Attributes
}

/** Options of a continuation. Public as `Continuation.ContinuationOptions`. */
export type ContinuationOptions = Omit<StartOptions, "detached">

const placeTable: Table<Omit<ContinuationOptions, "tags" | "attributes">> = {
  delay: optional(duration({ max: Infinity })),
  startsAt: optional(instant()),
  expiresIn: optional(duration({ min: 1, max: Infinity })),
  expiresAt: optional(instant()),
  priority: optional(priority),
  queue: optional(namedQueue)
}

/** Arguments of a start. The content of its labels are values: `labelsOf` checks them with the workflow's own. */
export const startOptions: Rule<StartOptions> = fields<StartOptions>({
  ...placeTable,
  detached: optional(boolean),
  tags: optional(tagsType),
  attributes: optional(attributesType)
})

/** Part of a definition, labels and all. */
export const continuationOptions: Rule<ContinuationOptions> = refine(
  fields<ContinuationOptions>({
    ...placeTable,
    tags: optional(tags),
    attributes: optional(attributes)
  }),
  ({ delay, expiresAt, expiresIn, startsAt }) => {
    const start = startsAt === undefined && delay !== undefined ? millisOf(delay) : undefined
    const end = expiresAt === undefined && expiresIn !== undefined ? millisOf(expiresIn) : undefined
    return start === undefined || end === undefined || start < end || end === Infinity ? [] : [
      `"expiresIn" must be longer than "delay", or the run never starts, got ${quote(expiresIn)} after ${quote(delay)}`
    ]
  }
)
