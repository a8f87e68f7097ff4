/**
 * How long finished runs are kept, by workflow and state, and the loop that deletes them afterwards: in small batches with
 * pauses between them, so that starting and running is not held up. Any number of processes may do it at once; they share
 * the work.
 *
 * A run goes whole: its input, journal, messages, published values and what was done to it. A child stays as long as its
 * parent goes on, which must find its children as they were.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { outsideOnly } from "./CurrentRun.js"
import type { JournalError } from "./Errors.js"
import { ConfigurationInvalid } from "./Errors.js"
import { badOptions } from "./internal/process/Problem.js"
import { nameProblem } from "./internal/options/legacyNames.js"
import { millisOf } from "./internal/util/time.js"
import { Reading, show } from "./internal/options/reading.js"
import { storable } from "./internal/util/show.js"
import { Journal } from "./Journal.js"
import { FinalStatus, type RetentionRule } from "./driver/JournalDriver.js"

/**
 * How long runs are kept from their end on, by the state that they ended in; `"forever"`, or nothing said, is for ever.
 *
 * @since 0.1.0
 * @category models
 */
export type Keep = { readonly [Status in FinalStatus]?: Duration.DurationInput | "forever" }

/**
 * @since 0.1.0
 * @category models
 */
export interface RetentionOptions {
  /** For all workflows. */
  readonly default?: Keep
  /** By the names of workflows: what is said here goes before the default, state by state. */
  readonly workflows?: { readonly [workflow: string]: Keep }
  /** Pause after everything that is old enough has been deleted. Default 1 minute. */
  readonly every?: Duration.DurationInput
  /** Runs that one statement deletes, 1 to 1,000. Default 500. */
  readonly batch?: number
  /** Pause between two statements. Default 50 milliseconds. */
  readonly pause?: Duration.DurationInput
}

/**
 * How far it has come.
 *
 * @since 0.1.0
 * @category models
 */
export interface Progress {
  /** Runs deleted so far. */
  readonly deleted: number
  /** Nothing is left that is old enough. */
  readonly done: boolean
}

const statuses = FinalStatus.literals

interface Settings {
  readonly rules: ReadonlyArray<RetentionRule>
  readonly every: Duration.Duration
  readonly batch: number
  readonly pause: Duration.Duration
}

const isFinalStatus = Schema.is(FinalStatus)

class RetentionReading extends Reading {
  /** Milliseconds by state; those of which nothing is said are left out, and those that are kept for ever are Infinity. */
  keep(place: string, value: unknown): Kept {
    const kept: { [Status in FinalStatus]?: number } = {}
    for (const [status, span] of Object.entries(this.fields(place, value))) {
      if (!isFinalStatus(status)) {
        this.note(
          `${place}: ${JSON.stringify(storable(status))} is no state that a run ends in: say one of ${
            statuses.join(", ")
          }`
        )
      } else if (span !== undefined) {
        const millis = span === "forever" ? Infinity : millisOf(span)
        if (millis === undefined || (millis === Infinity && span !== "forever")) {
          this.note(
            `${place}: ${status} is ${
              show(span)
            }, it must be a finite duration of at least nothing, such as "30 days", or "forever"`
          )
        } else kept[status] = millis
      }
    }
    return kept
  }

  workflow(name: string, value: unknown): readonly [string, Kept] {
    this.note(nameProblem("the name of workflow", name))
    return [name, this.keep(`workflows.${storable(name)}`, value)]
  }
}

/** What is said of each state, in milliseconds. */
type Kept = { readonly [Status in FinalStatus]?: number }

/** The settings, or all that is wrong. The options are looked at as they are: what they delete does not come back. */
const settingsOf = (options: unknown): Either.Either<Settings, ReadonlyArray<string>> => {
  const reading = new RetentionReading()
  const said = reading.known("what is said", options, "", ["default", "workflows", "every", "batch", "pause"])
  const standard = reading.keep("default", said["default"])
  const workflows = Object.entries(reading.fields("workflows", said["workflows"])).map(([name, keep]) =>
    reading.workflow(name, keep)
  )
  const settings = {
    rules: [
      ...workflows.flatMap(([name, keep]) => rulesOf(name, { ...standard, ...keep })),
      ...rulesOf(null, standard)
    ],
    every: Duration.millis(reading.span("every", said["every"], 60_000, 10)),
    pause: Duration.millis(reading.span("pause", said["pause"], 50, 0)),
    batch: reading.count("batch", said["batch"], 500, 1, 1000)
  }
  if (reading.problems.length === 0 && [standard, ...workflows.map(([, keep]) => keep)].every(isSilent)) {
    reading.note("nothing says how long any run is kept: give default, or workflows")
  }
  return reading.problems.length > 0 ? Either.left(reading.problems) : Either.right(settings)
}

const isSilent = (kept: Kept): boolean => Object.keys(kept).length === 0

const WHAT = "the options of Retention"

const checked = (options: unknown): Effect.Effect<Settings, ConfigurationInvalid> =>
  Effect.suspend(() =>
    Either.mapLeft(settingsOf(options), (problems) => new ConfigurationInvalid({ what: WHAT, problems }))
  )

/** One rule for each state that is spoken of, so that a workflow which is named at all has rules of its own. */
const rulesOf = (workflow: string | null, keep: Kept): ReadonlyArray<RetentionRule> => {
  const rules = statuses.flatMap((status): ReadonlyArray<RetentionRule> => {
    const olderThanMillis = keep[status] ?? Infinity
    return Number.isFinite(olderThanMillis) ? [{ workflow, statuses: [status], olderThanMillis }] : []
  })
  return rules.length > 0 || workflow === null ? rules : [{ workflow, statuses: [], olderThanMillis: Infinity }]
}

/** Delete batch after batch until nothing is left that is old enough. */
const sweep = ({ batch, pause, rules }: Settings): Stream.Stream<Progress, JournalError, Journal> =>
  Stream.paginateEffect(0, (before: number) =>
    Effect.gen(function*() {
      const journal = yield* Journal
      if (before > 0) yield* Effect.sleep(pause)
      const now = yield* journal.retain({ rules, limit: batch })
      const deleted = before + now
      // A batch that is not full may have passed over what others were busy with; they, or the next sweep, take it.
      const done = now < batch
      return [{ deleted, done }, done ? Option.none() : Option.some(deleted)] as const
    }))

/**
 * Delete now what is old enough, telling how far it has come after each batch. Outside of workflows, and in steps.
 *
 * Fails with `ConfigurationInvalid`, which lists all that is wrong with the options, before anything is deleted.
 *
 * @since 0.1.0
 * @category retention
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 * import * as Retention from "perdure/Retention"
 *
 * const program = Retention.run({ default: { completed: "30 days", failed: "90 days" } }).pipe(
 *   Stream.runForEach(({ deleted }) => Effect.log(`${deleted} runs deleted`))
 * )
 * ```
 */
export const run = (
  options: RetentionOptions
): Stream.Stream<Progress, ConfigurationInvalid | JournalError, Journal> =>
  Stream.unwrap(outsideOnly("Retention.run", () => Effect.map(checked(options), sweep)))

/**
 * Delete what is old enough as long as the Layer's scope is open. Whatever goes wrong is logged, and tried again.
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
  Layer.scopedDiscard(Effect.gen(function*() {
    const { process } = yield* Journal
    const settings = settingsOf(options)
    const admitted = yield* process.admit(Either.isLeft(settings) ? badOptions(WHAT, settings.left) : [])
    if (!admitted || Either.isLeft(settings)) return
    yield* Stream.runDrain(sweep(settings.right)).pipe(
      Effect.sandbox,
      Effect.catchAll((cause) => Effect.logWarning("deleting old runs failed, and is tried again", cause)),
      Effect.repeat(Schedule.spaced(settings.right.every)),
      Effect.interruptible,
      Effect.forkScoped
    )
  }))
