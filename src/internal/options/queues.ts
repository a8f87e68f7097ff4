/**
 * Queues as users name and define them: the types below `RunQueue`, their rules, and the settings that a definition
 * stores. Nothing here asks storage.
 */
import * as Duration from "effect/Duration"
import * as Predicate from "effect/Predicate"
import type { QueueSettings } from "../../driver/JournalDriver.js"
import { name, priority } from "./names.js"
import type { Problems, Rule } from "./Rule.js"
import { count, duration, either, fields, oneOf, optional, refine, rule } from "./Rule.js"

export const QueueTypeId: unique symbol = Symbol.for("perdure/RunQueue")

export type QueueTypeId = typeof QueueTypeId

/** Public as `RunQueue.Rate`. */
export interface Rate {
  /** A positive integer. */
  readonly limit: number
  readonly per: Duration.DurationInput
  /** How many may begin at once after a quiet time, a positive integer. Default: `limit`. */
  readonly burst?: number
}

/** Public as `RunQueue.Options`. */
export interface QueueOptions {
  /** Among the queues of one worker, lower is claimed first. An integer from -32768 to 32767, default 0. */
  readonly priority?: number
  /** Most runs that are running at a time, in the whole cluster. 0: none is claimed. */
  readonly concurrency?: number | "unlimited"
  /** Most runs that have begun and not ended, in the whole cluster; the rest wait in order. At least 1. */
  readonly admission?: number | "unlimited"
  /** Most runs of one key (the workflow's `key`) that have begun and not ended. At least 1; 1: strictly in order. */
  readonly keyConcurrency?: number | "unlimited"
  readonly rate?: Rate | "unlimited"
}

/** What every `RunQueue` is. */
export interface QueueDefinition {
  readonly [QueueTypeId]: QueueTypeId
  readonly name: string
  readonly options: QueueOptions
}

/** A queue, or its name. Public as `RunQueue.Reference`. */
export type QueueReference = QueueDefinition | string

/** The queue of workflows that name none. It needs no definition. */
export const DEFAULT_QUEUE = "default"

export const isQueueDefinition = (u: unknown): u is QueueDefinition => Predicate.hasProperty(u, QueueTypeId)

export const queueName = (queue: QueueReference): string => typeof queue === "string" ? queue : queue.name

/** A queue to look up. A name that no queue can have is an `UnknownQueue` there. */
export const queueReference: Rule<QueueReference> = rule(
  "a RunQueue or its name",
  (value) => typeof value === "string" || (isQueueDefinition(value) && typeof value.name === "string")
)

/** A queue where runs will wait: its name is checked, too. */
export const namedQueue: Rule<QueueReference> = refine(
  queueReference,
  (queue, place) => name.problems(queueName(queue), place)
)

const limit = (min: number): Rule<number | "unlimited" | undefined> =>
  optional(either(count({ min }), oneOf("unlimited")))

const rate: Rule<Rate> = fields<Rate>({
  limit: count({ min: 1 }),
  per: duration({ min: 1 }),
  burst: optional(count({ min: 1 }))
})

export const queueOptions: Rule<QueueOptions> = fields<QueueOptions>({
  priority: optional(priority),
  concurrency: limit(0),
  admission: limit(1),
  keyConcurrency: limit(1),
  rate: optional(either(rate, oneOf("unlimited")))
})

/** The problems of a definition. */
export const checkDefinition = ({ name: given, options }: QueueDefinition): Problems => [
  ...name.problems(given, "name"),
  ...queueOptions.problems(options, "")
]

const limitSetting = (limit: number | "unlimited"): number | null => limit === "unlimited" ? null : limit

const rateSetting = (rate: Rate | "unlimited"): QueueSettings["rate"] =>
  rate === "unlimited"
    ? null
    : { limit: rate.limit, millis: Duration.toMillis(rate.per), burst: rate.burst ?? rate.limit }

/** The settings that valid options name. */
export const changedSettings = (options: QueueOptions): Partial<QueueSettings> => ({
  ...(options.priority === undefined ? {} : { priority: options.priority }),
  ...(options.concurrency === undefined ? {} : { concurrency: limitSetting(options.concurrency) }),
  ...(options.admission === undefined ? {} : { admission: limitSetting(options.admission) }),
  ...(options.keyConcurrency === undefined ? {} : { keyConcurrency: limitSetting(options.keyConcurrency) }),
  ...(options.rate === undefined ? {} : { rate: rateSetting(options.rate) })
})

const unlimited: Omit<QueueSettings, "paused"> = {
  priority: 0,
  concurrency: null,
  admission: null,
  keyConcurrency: null,
  rate: null
}

/** All settings of a valid definition. */
export const queueSettings = (options: QueueOptions): Omit<QueueSettings, "paused"> => ({
  ...unlimited,
  ...changedSettings(options)
})
