/**
 * Workers: processes that claim runs and execute them. A worker is a Layer beside the workflows' layers; several workers
 * on one storage share the runs. When its scope closes (on SIGTERM, with `NodeRuntime.runMain`), it drains: it claims no
 * more, lets running steps end for a while, and hands everything back.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type { JournalError, WorkerIdTaken } from "./Errors.js"
import { ConfigurationInvalid } from "./Errors.js"
import { nameProblem } from "./internal/definition.js"
import { HostProcess } from "./HostProcess.js"
import { makeIncarnation } from "./internal/ids.js"
import { DEFAULT_QUEUE, nameOf } from "./internal/queues.js"
import type { WorkerSettings } from "./internal/worker/WorkerCore.js"
import { WorkerCore } from "./internal/worker/WorkerCore.js"
import { Journal } from "./Journal.js"
import * as RunQueue from "./RunQueue.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface WorkerOptions {
  /** Unique among live workers. Default: a random one. */
  readonly id?: string
  /** The queues that it serves, definitions or names. Default `["default"]`. */
  readonly queues?: ReadonlyArray<RunQueue.Ref>
  /** Runs that it executes at a time; runs that only wait do not count. Default 100. */
  readonly concurrency?: number
  /** Most runs in one claim. Default 100. */
  readonly claimBatch?: number
  /** Most runs in one commit. Small enough that one batch is written while the next is made. Default 250. */
  readonly commitBatch?: number
  /** Commits on their way to storage at a time. Default 3. */
  readonly commitsInFlight?: number
  /** How often it looks for runs when no hint comes. Default 1 second. */
  readonly pollInterval?: Duration.DurationInput
  /** How long after its last heartbeat a worker counts as dead. It beats three times as often. Default 15 seconds. */
  readonly lease?: Duration.DurationInput
  /** Deaths of workers in a row, without progress, after which a run is `exhausted`. Default 10. */
  readonly maxCrashes?: number
  /** How long a run that waits for a message is held before it is written down as suspended. Default 1 second. */
  readonly linger?: Duration.DurationInput
  /** Machines of waiting runs that are kept in memory (15 to 20 KB each), and for how long. Default 2,000 for 1 minute. */
  readonly hot?: { readonly runs?: number; readonly keep?: Duration.DurationInput }
  /** How long running steps may take to end when the worker stops. Default 20 seconds. */
  readonly drain?: Duration.DurationInput
}

const optionProblems = (options: WorkerOptions): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const count = (name: string, value: number | undefined, least: number) => {
    if (value !== undefined && !(Number.isInteger(value) && value >= least)) {
      problems.push(`${name} is ${value}, it must be an integer of at least ${least}`)
    }
  }
  const time = (name: string, value: Duration.DurationInput | undefined, leastMillis: number) => {
    if (value === undefined) return
    const millis = Duration.toMillis(value)
    if (!(millis >= leastMillis && Number.isFinite(millis))) {
      problems.push(
        `${name} is ${Duration.format(Duration.decode(value))}, it must be finite and at least ${leastMillis} ms`
      )
    }
  }
  count("concurrency", options.concurrency, 1)
  count("claimBatch", options.claimBatch, 1)
  count("commitBatch", options.commitBatch, 1)
  count("commitsInFlight", options.commitsInFlight, 1)
  count("maxCrashes", options.maxCrashes, 1)
  count("hot.runs", options.hot?.runs, 0)
  time("pollInterval", options.pollInterval, 10)
  time("lease", options.lease, 100)
  time("linger", options.linger, 0)
  time("hot.keep", options.hot?.keep, 0)
  time("drain", options.drain, 0)
  const { id, queues } = options
  const idProblem = id === undefined ? undefined : nameProblem("the worker id", id)
  if (idProblem !== undefined) problems.push(idProblem)
  if (queues !== undefined && queues.length === 0) problems.push("queues is empty: name at least one queue")
  for (const queue of queues ?? []) {
    problems.push(
      ...(typeof queue === "string"
        ? RunQueue.problemsOf(queue, {})
        : RunQueue.problemsOf(queue.name, queue.options).map((problem) => `queue "${queue.name}": ${problem}`))
    )
  }
  return problems
}

const settingsOf = (options: WorkerOptions): WorkerSettings => {
  const millis = (value: Duration.DurationInput | undefined, standard: Duration.DurationInput) =>
    Duration.toMillis(value ?? standard)
  const concurrency = options.concurrency ?? 100
  return {
    queues: [...new Set((options.queues ?? [DEFAULT_QUEUE]).map(nameOf))],
    concurrency,
    claimBatch: options.claimBatch ?? 100,
    commitBatch: options.commitBatch ?? 250,
    commitsInFlight: options.commitsInFlight ?? 3,
    pollMillis: millis(options.pollInterval, "1 second"),
    leaseMillis: millis(options.lease, "15 seconds"),
    maxCrashes: options.maxCrashes ?? 10,
    lingerMillis: millis(options.linger, "1 second"),
    hotRuns: options.hot?.runs ?? 2000,
    hotMillis: millis(options.hot?.keep, "1 minute"),
    drainMillis: millis(options.drain, "20 seconds")
  }
}

/**
 * A running worker.
 *
 * @since 0.1.0
 * @category tags
 */
export class Worker extends Context.Tag("perdure/Worker")<Worker, {
  readonly id: string
  /** @internal */
  readonly core: WorkerCore
}>() {}

/**
 * A worker whose loops are not started: a test calls `claimer.runOnce`, `committer.runOnce` … itself.
 *
 * @internal
 */
export const makeCore = (
  options: WorkerOptions
): Effect.Effect<WorkerCore, ConfigurationInvalid, Journal> =>
  Effect.gen(function*() {
    const journal = yield* Journal
    const problems = optionProblems(options)
    if (problems.length > 0 && !journal.registry.checking)
      return yield* new ConfigurationInvalid({ what: "the options of Worker.layer", problems })
    const incarnation = makeIncarnation()
    const { describe } = yield* HostProcess
    return new WorkerCore(
      journal,
      { id: options.id ?? `worker-${incarnation}`, incarnation },
      settingsOf(options),
      describe
    )
  })

/** A loop that dies would leave a worker that looks alive and does nothing: it is logged, and begins again. */
const supervise = (name: string, loop: Effect.Effect<never>) =>
  Effect.sandbox(loop).pipe(
    Effect.tapError((cause) => Effect.logError(`the worker's ${name} failed, and begins again in a second`, cause)),
    Effect.retry(Schedule.spaced("1 second")),
    Effect.interruptible,
    Effect.forkScoped
  )

/** The queues that it serves are there from now on; those that are given as definitions are stored. */
const prepareQueues = (names: ReadonlyArray<string>, queues: ReadonlyArray<RunQueue.Ref>) =>
  Effect.gen(function*() {
    const journal = yield* Journal
    for (const queue of queues) if (typeof queue !== "string") yield* RunQueue.define(queue)
    const others = names.filter((name) => !journal.queues.has(name))
    if (others.length > 0) yield* journal.ask(journal.driver.ensureQueues(others))
    for (const name of others) journal.queues.add(name)
  })

/**
 * A worker that runs as long as the Layer's scope is open.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import * as Worker from "perdure/Worker"
 *
 * const WorkerLive = Worker.layer({ queues: ["default"], concurrency: 200 })
 * ```
 */
export const layer = (
  options: WorkerOptions = {}
): Layer.Layer<Worker, ConfigurationInvalid | WorkerIdTaken | JournalError, Journal> =>
  Layer.scoped(
    Worker,
    Effect.gen(function*() {
      const journal = yield* Journal
      const core = yield* makeCore(options)
      yield* journal.registry.addWorker({ id: options.id, queues: core.settings.queues })
      if (journal.registry.checking) {
        for (const queue of options.queues ?? []) {
          if (typeof queue !== "string") yield* journal.registry.defineQueue(queue.name, RunQueue.definitionOf(queue))
        }
        yield* journal.registry.note(
          optionProblems(options).map((detail) => ({
            code: "BadOption",
            place: options.id === undefined ? "Worker.layer" : `worker "${options.id}"`,
            detail,
            cure: "mend the option as the detail says"
          }))
        )
        return { id: core.ref.id, core }
      }
      yield* prepareQueues(core.settings.queues, options.queues ?? [])
      yield* core.lease.acquire
      // Finalizers run in reverse: the loops that a drain needs are stopped after it.
      yield* supervise("timers", core.timers.run)
      yield* supervise("inbox reader", core.inboxLoop)
      yield* supervise("heartbeat", core.lease.run)
      for (let i = 0; i < core.settings.commitsInFlight; i++) yield* supervise("committer", core.committer.run)
      yield* Effect.acquireRelease(Effect.sync(() => journal.workers.add(core)), () =>
        Effect.zipRight(Effect.sync(() => journal.workers.delete(core)), core.drain))
      yield* supervise("answers to pings", core.answerer.run)
      yield* supervise("reaper", core.lease.reaper)
      yield* supervise("upkeep", core.upkeepLoop)
      yield* supervise("claimer", core.claimer.run)
      yield* supervise("schedules", core.scheduler.run)
      const stop = journal.registry.onChange(() => {
        core.claimer.hint()
        core.scheduler.hint()
      })
      yield* Effect.addFinalizer(() =>
        Effect.sync(stop)
      )
      return { id: core.ref.id, core }
    })
  )

/**
 * A worker for tests on `JournalMemory`: nothing but hints and due times makes it look, and its lease does not end, so
 * `TestClock` passes months in a few steps.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import * as Worker from "perdure/Worker"
 *
 * const WorkerTest = Worker.layerTest()
 * ```
 */
export const layerTest = (
  options: WorkerOptions = {}
): Layer.Layer<Worker, ConfigurationInvalid | WorkerIdTaken | JournalError, Journal> =>
  layer({ pollInterval: "365 days", lease: "36500 days", ...options })
