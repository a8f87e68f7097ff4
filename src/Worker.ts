/**
 * Workers: processes that claim runs and execute them. A worker is a Layer beside the workflows' layers; several workers
 * on one storage share the runs. When its scope closes (on SIGTERM, with `NodeRuntime.runMain`), it drains: it claims no
 * more, lets running steps end for a while, and hands everything back.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type { JournalError, WorkerIdTaken } from "./Errors.js"
import { ConfigurationInvalid } from "./Errors.js"
import { HostProcess } from "./HostProcess.js"
import { badOptions } from "./internal/process/Problem.js"
import { makeIncarnation } from "./internal/codec/ids.js"
import { readOptions } from "./internal/worker/settings.js"
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
    const reading = readOptions(options)
    const { problems } = reading
    if (problems.length > 0) return yield* new ConfigurationInvalid({ what: "the options of Worker.layer", problems })
    return yield* coreOf(reading)
  })

/** A worker with these settings; an option with a problem has its default. */
const coreOf = ({ id, settings }: ReturnType<typeof readOptions>): Effect.Effect<WorkerCore, never, Journal> =>
  Effect.gen(function*() {
    const incarnation = makeIncarnation()
    const { describe } = yield* HostProcess
    return new WorkerCore(yield* Journal, { id: id ?? `worker-${incarnation}`, incarnation }, settings, describe)
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
    const { queues: seen } = journal.process
    const others = names.filter((name) => !seen.has(name))
    if (others.length > 0) yield* seen.making(others, journal.ensureQueues(others))
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
      const { admit, registrations } = journal.process
      const reading = readOptions(options)
      const { id, problems, queues } = reading
      const core = yield* coreOf(reading)
      yield* registrations.addWorker({ id, queues: core.settings.queues })
      for (const queue of queues) {
        if (typeof queue === "string") continue
        const definition = RunQueue.definitionOf(queue)
        yield* registrations.addQueue({ name: queue.name, definition, elsewhere: false })
      }
      const place = id === undefined ? "Worker.layer" : `worker "${id}"`
      if (!(yield* admit(badOptions(place, problems)))) return { id: core.ref.id, core }
      yield* prepareQueues(core.settings.queues, queues)
      yield* core.lease.acquire
      // Finalizers run in reverse: the loops that a drain needs are stopped after it.
      yield* supervise("timers", core.timers.run)
      yield* supervise("inbox reader", core.inboxReader.run)
      yield* supervise("heartbeat", core.lease.run)
      for (let i = 0; i < core.settings.commitsInFlight; i++) yield* supervise("committer", core.committer.run)
      yield* Effect.acquireRelease(Effect.sync(() => journal.process.workers.add(core)), () =>
        Effect.zipRight(Effect.sync(() => journal.process.workers.delete(core)), core.drain))
      yield* supervise("answers to pings", core.pingResponder.run)
      yield* supervise("reaper", core.lease.reaper)
      yield* supervise("upkeep", core.upkeep.run)
      yield* supervise("claimer", core.claimer.run)
      yield* supervise("schedules", core.scheduleLoop.run)
      const stop = journal.process.registrations.onChange(() => {
        core.claimer.hint()
        core.scheduleLoop.hint()
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
