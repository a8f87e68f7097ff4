/**
 * How long finished runs are kept, by workflow and state, and the loop that deletes them afterwards: in small batches
 * with pauses between them, so that starting and running are not delayed. Several processes may delete at once; they
 * share the work.
 *
 * A run is deleted as a whole: its input, journal, messages, published values and controls. A child stays as long as
 * its parent is live, because the parent must find its children as they were.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { outsideOnly } from "./CurrentRun.js"
import { FinalStatus, type RetentionRule } from "./driver/JournalDriver.js"
import type { ConfigurationInvalid, JournalError } from "./Errors.js"
import { name } from "./internal/options/names.js"
import { requireArguments } from "./internal/options/policy.js"
import type { Rule, Table } from "./internal/options/Rule.js"
import { count, duration, either, fields, oneOf, optional, recordOf, refine } from "./internal/options/Rule.js"
import { badOptions } from "./internal/process/Problem.js"
import { guardingLoggers } from "./internal/util/guard.js"
import { Journal } from "./Journal.js"
import { sleep } from "./internal/util/timers.js"

/**
 * How long runs are kept after their end, by the state in which they ended. Runs of a state that is left out are kept
 * forever.
 *
 * @since 0.2.0
 * @category models
 */
export type TimeToLive = { readonly [Status in FinalStatus]?: Duration.DurationInput | "forever" }

/**
 * @since 0.1.0
 * @category models
 */
export interface RetentionOptions {
  /** For all workflows. */
  readonly default?: TimeToLive
  /** By the names of workflows. A state that is given here overrides the default. */
  readonly workflows?: { readonly [workflow: string]: TimeToLive }
  /** Pause after everything that is old enough has been deleted, at least 10 milliseconds. Default 1 minute. */
  readonly sweepInterval?: Duration.DurationInput
  /** Most runs that one statement deletes, 1 to 1,000. Default 500. */
  readonly batchSize?: number
  /** Pause between two statements. Default 50 milliseconds. */
  readonly batchInterval?: Duration.DurationInput
}

/**
 * The result of a sweep.
 *
 * @since 0.2.0
 * @category models
 */
export interface Totals {
  /** Runs deleted. */
  readonly deleted: number
}

/**
 * The progress of a sweep, after each batch.
 *
 * @since 0.1.0
 * @category models
 */
export interface Progress extends Totals {
  /** No run is left that is old enough. */
  readonly done: boolean
}

const time = optional(either(duration(), oneOf("forever")))

const timeToLiveTable: Table<TimeToLive> = {
  completed: time,
  failed: time,
  cancelled: time,
  terminated: time,
  expired: time,
  exhausted: time
}

const timeToLive: Rule<TimeToLive> = fields(timeToLiveTable)

const isSilent = (given: TimeToLive): boolean => Object.keys(given).length === 0

/** What is deleted does not come back: options that name no time, of which one may be misplaced, are a problem, too. */
const retentionOptions: Rule<RetentionOptions> = refine(
  fields<RetentionOptions>({
    default: optional(timeToLive),
    workflows: optional(recordOf(name, timeToLive)),
    sweepInterval: optional(duration({ min: 10 })),
    batchSize: optional(count({ min: 1, max: 1_000 })),
    batchInterval: optional(duration())
  }),
  (options) =>
    [options.default ?? {}, ...Object.values(options.workflows ?? {})].every(isSilent)
      ? [`no run would be deleted: set a state of "default" or of "workflows"`]
      : []
)

/** One rule for each state with a time, so that a workflow which is named has rules of its own. */
const rulesOf = (workflow: string | null, times: TimeToLive): ReadonlyArray<RetentionRule> => {
  const rules = FinalStatus.literals.flatMap((status): ReadonlyArray<RetentionRule> => {
    const time = times[status] ?? "forever"
    return time === "forever" ? [] : [{ workflow, statuses: [status], olderThanMillis: Duration.toMillis(time) }]
  })
  return rules.length > 0 || workflow === null ? rules : [{ workflow, statuses: [], olderThanMillis: Infinity }]
}

/** Deletes batch after batch until no run is left that is old enough. The options are valid. */
const sweeping = (options: RetentionOptions): Stream.Stream<Progress, JournalError, Journal> => {
  const { batchInterval = "50 millis", batchSize: limit = 500, workflows = {} } = options
  const rules = [
    ...Object.entries(workflows).flatMap(([name, times]) => rulesOf(name, { ...options.default, ...times })),
    ...rulesOf(null, options.default ?? {})
  ]
  return Stream.paginateEffect(0, (before: number) =>
    Effect.gen(function*() {
      const journal = yield* Journal
      if (before > 0) yield* sleep(batchInterval)
      const now = yield* journal.retain({ rules, limit })
      const deleted = before + now
      // A batch that is not full may have skipped runs that others had locked; they, or the next sweep, delete them.
      const done = now < limit
      return [{ deleted, done }, done ? Option.none() : Option.some(deleted)] as const
    }))
}

/**
 * As `sweep`, with progress after each batch.
 *
 * @since 0.2.0
 * @category retention
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 * import * as Retention from "perdure/Retention"
 *
 * const program = Retention.sweepStream({ default: { completed: "30 days", failed: "90 days" } }).pipe(
 *   Stream.runForEach(({ deleted }) => Effect.log(`${deleted} runs deleted`))
 * )
 * ```
 */
export const sweepStream = (options: RetentionOptions): Stream.Stream<Progress, JournalError, Journal> =>
  Stream.unwrap(outsideOnly("Retention.sweep", () =>
    Effect.as(
      requireArguments("Retention.sweep", retentionOptions.problems(options, "")),
      Stream.suspend(() => sweeping(options))
    )))

/**
 * Deletes now what is old enough. Options of the wrong type or out of range are a defect (`Misuse`); nothing is deleted
 * then. Outside of workflows, and in steps.
 *
 * @since 0.2.0
 * @category retention
 * @example
 * ```ts
 * import * as Retention from "perdure/Retention"
 *
 * const program = Retention.sweep({ default: { completed: "30 days", failed: "90 days" } })
 * ```
 */
export const sweep = (options: RetentionOptions): Effect.Effect<Totals, JournalError, Journal> =>
  Stream.runFold(sweepStream(options), { deleted: 0 }, (_, { deleted }) => ({ deleted }))

/**
 * Deletes what is old enough as long as the Layer's scope is open. An error or defect is logged; the next sweep
 * retries.
 *
 * Fails with `ConfigurationInvalid`, which lists all problems of the options.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import * as Retention from "perdure/Retention"
 *
 * const RetentionLive = Retention.layer({
 *   default: { completed: "30 days", cancelled: "30 days", failed: "90 days" },
 *   workflows: { Invoice: { completed: "forever", failed: "forever" } }
 * })
 * ```
 */
export const layer = (options: RetentionOptions): Layer.Layer<never, ConfigurationInvalid, Journal> =>
  Layer.scopedDiscard(guardingLoggers(Effect.gen(function*() {
    const journal = yield* Journal
    const problems = retentionOptions.problems(options, "")
    if (!(yield* journal.process.admit(badOptions("the options of Retention", problems)))) return
    yield* Stream.runDrain(sweeping(options)).pipe(
      Effect.sandbox,
      Effect.catchAll((cause) => Effect.logWarning("deleting old runs failed, the next sweep retries", cause)),
      Effect.zipRight(sleep(options.sweepInterval ?? "1 minute")),
      Effect.forever,
      Effect.interruptible,
      Effect.forkScoped
    )
  })))
