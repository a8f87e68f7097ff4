/**
 * Queues: where runs wait to be claimed, and what limits how many of them start and run. A queue's settings are stored in
 * the database, hold for all workers together, and may be changed while they run.
 *
 * | setting          | limits                                                                             |
 * |------------------|------------------------------------------------------------------------------------|
 * | `concurrency`    | runs that are running at a time; a run that waits (suspended) takes no slot          |
 * | `admission`      | runs that have begun and not ended, waiting ones too                                |
 * | `keyConcurrency` | the same for the runs of each key; 1: strictly one after the other, in order        |
 * | `rate`           | how many runs begin in a time                                                      |
 *
 * The limits are exact, whoever claims and whoever dies; `docs/queues.md` says how.
 *
 * @since 0.1.0
 */
import * as Array from "effect/Array"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Inspectable } from "effect/Inspectable"
import * as Layer from "effect/Layer"
import type { Pipeable } from "effect/Pipeable"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import { outsideOnly } from "./CurrentRun.js"
import type { JournalError, ValueInvalid } from "./Errors.js"
import { ConfigurationInvalid, UnknownQueue } from "./Errors.js"
import type { Problem } from "./internal/process/Problem.js"
import { badOptions } from "./internal/process/Problem.js"
import { nameProblem } from "./internal/options/legacyNames.js"
import { queueProblems } from "./internal/options/queueOptions.js"
import { QueueTypeId } from "./internal/options/queues.js"
import { Reading } from "./internal/options/reading.js"
import { nameOf } from "./internal/options/queueReference.js"
import { refuse, requestProblem } from "./internal/options/requests.js"
import { makeValue } from "./internal/util/value.js"
import { Journal, type JournalService } from "./Journal.js"
import type { PausedWorkflow, QueueCounts, QueueRecord, QueueSettings } from "./driver/JournalDriver.js"
import type { Attribution as Request } from "./Run.js"

/**
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: typeof QueueTypeId = QueueTypeId

/**
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * How many runs begin in a time: a token bucket. `limit` tokens come evenly in the time `per`, at most `burst` are kept, and
 * each run that begins takes one. So in any stretch of time `t`, at most `burst + limit * t / per` runs begin.
 *
 * @since 0.1.0
 * @category models
 */
export interface Rate {
  /** A positive integer. */
  readonly limit: number
  readonly per: Duration.DurationInput
  /** How many may begin at once after a quiet time, a positive integer. Default: `limit`. */
  readonly burst?: number
}

/**
 * What may be said of a queue. What is left out, or `"unlimited"`, has no limit.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
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

/**
 * A queue's definition.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunQueue extends Pipeable, Inspectable {
  readonly [TypeId]: TypeId
  readonly name: string
  readonly options: Options
  /**
   * Store the definition, if it has changed since it was stored last: what an operator changes by hand stays until then.
   * A worker that serves the queue does the same, and so does the handler (`toLayer`) of a workflow that waits on it.
   *
   * Fails with `ConfigurationInvalid`, before anything is written.
   */
  readonly layer: Layer.Layer<never, ConfigurationInvalid | JournalError, Journal>
}

/**
 * A queue, or its name.
 *
 * @since 0.1.0
 * @category models
 */
export type Ref = RunQueue | string

/**
 * Whether a value is a queue's definition.
 *
 * @since 0.1.0
 * @category guards
 */
export const isRunQueue = (u: unknown): u is RunQueue => Predicate.hasProperty(u, TypeId)

/**
 * What is wrong with settings, in words.
 *
 * @internal
 */
export const problemsOf = (name: string, options: Options): ReadonlyArray<string> => queueProblems(name, options)

const encodeLimit = (limit: number | "unlimited"): number | null => limit === "unlimited" ? null : limit

const encodeRate = (rate: Rate | "unlimited"): QueueSettings["rate"] =>
  rate === "unlimited"
    ? null
    : { limit: rate.limit, millis: Duration.toMillis(rate.per), burst: rate.burst ?? rate.limit }

/** The settings that are spoken of, if there is no problem with them. */
const encode = (options: Options): Partial<QueueSettings> => ({
  ...(options.priority === undefined ? {} : { priority: options.priority }),
  ...(options.concurrency === undefined ? {} : { concurrency: encodeLimit(options.concurrency) }),
  ...(options.admission === undefined ? {} : { admission: encodeLimit(options.admission) }),
  ...(options.keyConcurrency === undefined ? {} : { keyConcurrency: encodeLimit(options.keyConcurrency) }),
  ...(options.rate === undefined ? {} : { rate: encodeRate(options.rate) })
})

const unlimited: Omit<QueueSettings, "paused"> = {
  priority: 0,
  concurrency: null,
  admission: null,
  keyConcurrency: null,
  rate: null
}

const settingsOf = (options: Options) => ({ ...unlimited, ...encode(options) })

/**
 * A definition as it is compared with others: one that cannot be is what is wrong with it.
 *
 * @internal
 */
export const definitionOf = ({ name, options }: RunQueue): string => {
  const problems = problemsOf(name, options)
  return JSON.stringify(problems.length > 0 ? problems : settingsOf(options))
}

/**
 * The problems of a definition.
 *
 * @internal
 */
export const configurationProblems = ({ name, options }: RunQueue): ReadonlyArray<Problem> => {
  const place = `queue "${name}"`
  return badOptions(place, problemsOf(name, options).map((problem) => `${place}: ${problem}`))
}

/**
 * Store a definition; `by` itself, or with a workflow that waits on it.
 *
 * @internal
 */
export const define = (
  queue: RunQueue,
  by: "itself" | "workflow" = "itself"
): Effect.Effect<void, ConfigurationInvalid | JournalError, Journal | Scope.Scope> =>
  Effect.gen(function*() {
    const { name, options } = queue
    const journal = yield* Journal
    const { queues, registrations } = journal.process
    yield* registrations.addQueue({ name, definition: definitionOf(queue), elsewhere: by === "itself" })
    if (!(yield* journal.process.admit(configurationProblems(queue)))) return
    const settings = settingsOf(options)
    yield* queues.making([name], journal.defineQueue({ name, definition: JSON.stringify(settings), settings }))
  })

/**
 * Define a queue.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import * as RunQueue from "perdure/RunQueue"
 * import * as Worker from "perdure/Worker"
 *
 * // At most 20 at a time, 100 a minute, and one at a time for each key.
 * const Emails = RunQueue.make("emails", {
 *   concurrency: 20,
 *   rate: { limit: 100, per: "1 minute", burst: 10 },
 *   keyConcurrency: 1
 * })
 *
 * const WorkerLive = Worker.layer({ queues: [Emails, "default"] })
 * ```
 */
export const make = (name: string, options: Options = {}): RunQueue => {
  const queue: RunQueue = {
    ...makeValue({ _id: "perdure/RunQueue", name }),
    [TypeId]: TypeId,
    name,
    options,
    layer: Layer.scopedDiscard(Effect.suspend(() => define(queue)))
  }
  return queue
}

/** What is stored about a queue. */
const read = (name: string) =>
  Effect.flatMap(Journal, (journal) =>
    Effect.flatMap(
      journal.process.queues.require(name),
      () =>
        Effect.flatMap(
          journal.queues([name]),
          ([found]) => found === undefined ? new UnknownQueue({ queue: name }) : Effect.succeed(found)
        )
    ))

/**
 * A queue's settings as they are stored. Outside of workflows, and in steps.
 *
 * @since 0.1.0
 * @category operations
 */
export const get = (queue: Ref): Effect.Effect<QueueRecord, UnknownQueue | JournalError, Journal> =>
  outsideOnly("RunQueue.get", () => read(nameOf(queue)))

/**
 * All queues, in order of name. Outside of workflows, and in steps.
 *
 * @since 0.1.0
 * @category operations
 */
export const list: Effect.Effect<ReadonlyArray<QueueRecord>, JournalError, Journal> = outsideOnly(
  "RunQueue.list",
  () => Effect.flatMap(Journal, (journal) => journal.queues(null))
)

/**
 * How many of a queue's runs are in which state; each count stops at `most` (a positive integer, default 10,000). Outside of
 * workflows, and in steps.
 *
 * @since 0.1.0
 * @category operations
 */
export const counts = (
  queue: Ref,
  options?: { readonly most?: number }
): Effect.Effect<QueueCounts, ConfigurationInvalid | UnknownQueue | JournalError, Journal> =>
  outsideOnly("RunQueue.counts", () =>
    Effect.gen(function*() {
      const name = nameOf(queue)
      const reading = new Reading()
      const most = reading.count("most", reading.known("what is said", options, "", ["most"])["most"], 10_000, 1)
      if (reading.problems.length > 0) {
        const what = `RunQueue.counts of queue "${name}"`
        return yield* new ConfigurationInvalid({ what, problems: reading.problems })
      }
      const journal = yield* Journal
      yield* journal.process.queues.require(name)
      const [found] = yield* journal.queueCounts({ names: [name], limit: most })
      return found ?? { name, ready: 0, delayed: 0, running: 0, suspended: 0, parked: 0 }
    }))

const changed = (
  queue: Ref,
  change: Partial<QueueSettings>,
  request?: Request
): Effect.Effect<QueueRecord, UnknownQueue | JournalError, Journal> =>
  Effect.flatMap(Journal, (journal) =>
    Effect.flatMap(
      journal.changeQueue({ name: nameOf(queue), change, ...request }),
      (found) => found === null ? new UnknownQueue({ queue: nameOf(queue) }) : Effect.succeed(found)
    ))

/**
 * Change some settings now. They hold for all claims that begin from now on; what runs already goes on. A definition in
 * code brings its own settings back when it changes. By whom and why is not kept: log what this answers, if somebody must
 * account for it. Outside of workflows, and in steps.
 *
 * @since 0.1.0
 * @category operations
 * @example
 * ```ts
 * import * as RunQueue from "perdure/RunQueue"
 *
 * const calm = RunQueue.change("emails", { concurrency: 2, rate: "unlimited" })
 * ```
 */
export const change = (
  queue: Ref,
  options: Options
): Effect.Effect<QueueRecord, ConfigurationInvalid | UnknownQueue | JournalError, Journal> =>
  outsideOnly("RunQueue.change", (): Effect.Effect<
    QueueRecord,
    ConfigurationInvalid | UnknownQueue | JournalError,
    Journal
  > => {
    const problems = problemsOf(nameOf(queue), options)
    return problems.length > 0
      ? new ConfigurationInvalid({ what: `queue "${nameOf(queue)}"`, problems })
      : changed(queue, encode(options))
  })

/**
 * Let no run of a queue be claimed until `resume`. What runs goes on; what waits, waits. Who asks for it and why is shown by
 * `get` and `list`; a queue that is paused already stays as it is. Fails with `ValueInvalid` of a request that is none.
 * Outside of workflows, and in steps.
 *
 * @since 0.1.0
 * @category operations
 * @example
 * ```ts
 * import * as RunQueue from "perdure/RunQueue"
 *
 * const calm = RunQueue.pause("emails", { by: "ann", reason: "the provider is down" })
 * ```
 */
export const pause = (
  queue: Ref,
  request?: Request
): Effect.Effect<QueueRecord, ValueInvalid | UnknownQueue | JournalError, Journal> =>
  outsideOnly("RunQueue.pause", () =>
    Effect.zipRight(
      refuse(`RunQueue.pause of queue "${nameOf(queue)}"`, requestProblem(request)),
      changed(queue, { paused: true }, request)
    ))

/**
 * Let the runs of a paused queue be claimed again. Who asks for it and why is shown by `get` and `list`, until it is paused
 * again. Fails with `ValueInvalid` of a request that is none. Outside of workflows, and in steps.
 *
 * @since 0.1.0
 * @category operations
 */
export const resume = (
  queue: Ref,
  request?: Request
): Effect.Effect<QueueRecord, ValueInvalid | UnknownQueue | JournalError, Journal> =>
  outsideOnly("RunQueue.resume", () =>
    Effect.zipRight(
      refuse(`RunQueue.resume of queue "${nameOf(queue)}"`, requestProblem(request)),
      changed(queue, { paused: false }, request)
    ))

type Workflows = WorkflowRef | ReadonlyArray<WorkflowRef>

type WorkflowRef = { readonly name: string } | string

/**
 * Let no run of these workflows be claimed until `resumeWorkflows`, in whichever queue it waits. Answers which were not
 * paused before. Outside of workflows, and in steps.
 *
 * A workflow may be paused before any process has it, so a name that nobody knows is as good as any. Fails with
 * `ConfigurationInvalid`, before anything is written, if one is no name, or the request is none. Who asks for it and why is shown by
 * `pausedWorkflows`.
 *
 * @since 0.1.0
 * @category operations
 */
export const pauseWorkflows = (
  workflows: Workflows,
  request?: Request
): Effect.Effect<ReadonlyArray<string>, ConfigurationInvalid | JournalError, Journal> =>
  outsideOnly(
    "RunQueue.pauseWorkflows",
    () =>
      withWorkflows("RunQueue.pauseWorkflows", workflows, request, (journal, names) =>
        journal.pauseWorkflows({ workflows: names, by: request?.by ?? null, reason: request?.reason ?? null }))
  )

/**
 * Let the runs of paused workflows be claimed again. Answers which were paused. Outside of workflows, and in steps.
 *
 * @since 0.1.0
 * @category operations
 */
export const resumeWorkflows = (
  workflows: Workflows
): Effect.Effect<ReadonlyArray<string>, ConfigurationInvalid | JournalError, Journal> =>
  outsideOnly(
    "RunQueue.resumeWorkflows",
    () =>
      withWorkflows(
        "RunQueue.resumeWorkflows",
        workflows,
        undefined,
        (journal, names) => journal.resumeWorkflows(names)
      )
  )

/**
 * The workflows that are paused, in order of name: since when, by whom and why. Outside of workflows, and in steps.
 *
 * @since 0.1.0
 * @category operations
 */
export const pausedWorkflows: Effect.Effect<ReadonlyArray<PausedWorkflow>, JournalError, Journal> = outsideOnly(
  "RunQueue.pausedWorkflows",
  () => Effect.flatMap(Journal, (journal) => journal.pausedWorkflows())
)

const withWorkflows = <A>(
  operation: string,
  given: Workflows,
  request: Request | undefined,
  run: (journal: JournalService, workflows: ReadonlyArray<string>) => Effect.Effect<A, JournalError>
) =>
  Effect.gen(function*() {
    const workflows = Array.ensure(given).map(nameOf)
    const problems = [...workflows.map((name) => nameProblem("the workflow", name)), requestProblem(request)].filter(
      (problem) => problem !== undefined
    )
    if (problems.length > 0) return yield* new ConfigurationInvalid({ what: operation, problems })
    const journal = yield* Journal
    return yield* run(journal, workflows)
  })
