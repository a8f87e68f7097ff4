/**
 * Workers: processes that claim runs and execute them. A worker is a Layer beside the workflows' layers; several
 * workers on one storage share the runs. When its scope closes (on SIGTERM, with `NodeRuntime.runMain`), it drains: it
 * claims no more, gives running steps time to end (`drainTimeout`), and releases its runs.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type { ConfigurationInvalid, JournalError, WorkerIdTaken } from "./Errors.js"
import { HostProcess } from "./HostProcess.js"
import { badOptions } from "./internal/process/Problem.js"
import { makeIncarnation } from "./internal/codec/ids.js"
import { requireConfiguration } from "./internal/options/policy.js"
import type { QueueReference } from "./internal/options/queues.js"
import { queueName } from "./internal/options/queues.js"
import type * as Settings from "./internal/worker/settings.js"
import { declaredWorker, workerOptions, workerSettings } from "./internal/worker/settings.js"
import { defineQueue, queueFingerprint } from "./internal/workflow/queueDefinition.js"
import { guardingLoggers } from "./internal/util/guard.js"
import { WorkerCore } from "./internal/worker/WorkerCore.js"
import { Journal } from "./Journal.js"

/**
 * @since 0.1.0
 * @category models
 */
export type WorkerOptions = Settings.WorkerOptions

/**
 * @since 0.2.0
 * @category models
 */
export type HotOptions = Settings.HotOptions

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
  Effect.zipRight(
    requireConfiguration("the options of Worker.layer", workerOptions.problems(options, "")),
    Effect.suspend(() => coreOf(options))
  )

/** A worker with valid options. */
const coreOf = (options: WorkerOptions): Effect.Effect<WorkerCore, never, Journal> =>
  Effect.gen(function*() {
    const incarnation = makeIncarnation()
    const { describe } = yield* HostProcess
    const ref = { id: options.id ?? `worker-${incarnation}`, incarnation }
    return new WorkerCore(yield* Journal, ref, workerSettings(options), describe)
  })

/** A dead loop would leave a worker that looks alive and does nothing: log its failure and start it again. */
const supervise = (name: string, loop: Effect.Effect<never>) =>
  Effect.sandbox(loop).pipe(
    Effect.tapError((cause) => Effect.logError(`the worker's ${name} failed, it starts again in a second`, cause)),
    Effect.retry(Schedule.spaced("1 second")),
    Effect.interruptible,
    Effect.forkScoped
  )

/** The layers of a process are built side by side: a worker may be ready before the handlers are. */
const SETTLING = "1 second"

/** Says which workflows the worker executes, or that it executes none. */
const reportHandlers = (id: string, queues: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    yield* Effect.sleep(SETTLING)
    const { registrations } = (yield* Journal).process
    const all = registrations.queued
    const served = all.filter(({ queue }) => queues.includes(queue))
    const others = all.filter(({ queue }) => !queues.includes(queue)).map(({ queue, workflow }) =>
      `${workflow} (queue "${queue}")`
    )
    const place = `worker "${id}" serves ${queues.map((queue) => `queue "${queue}"`).join(", ")}`
    if (all.length === 0) {
      return yield* Effect.logWarning(
        `${place}, but its process has no workflow with a handler, so it executes no run: add the layers of ` +
          `workflows (Workflow.toLayer) beside Worker.layer`
      )
    }
    if (served.length === 0) {
      return yield* Effect.logWarning(
        `${place}, but the workflows of its process wait in others: ${others.join(", ")}. It executes only runs ` +
          `whose start names one of its queues: add the queues to the options of Worker.layer`
      )
    }
    const names = served.map(({ workflow }) => workflow).join(", ")
    yield* Effect.logInfo(`${place}: ${names}${others.length === 0 ? "" : `. In other queues: ${others.join(", ")}`}`)
  })

/** Stores the definitions among its queues, and makes the others exist. */
const prepareQueues = (names: ReadonlyArray<string>, queues: ReadonlyArray<QueueReference>) =>
  Effect.gen(function*() {
    const journal = yield* Journal
    for (const queue of queues) if (typeof queue !== "string") yield* defineQueue(queue)
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
    guardingLoggers(Effect.gen(function*() {
      const journal = yield* Journal
      const { admit, registrations } = journal.process
      const problems = workerOptions.problems(options, "")
      const { id, queues } = declaredWorker(options)
      yield* registrations.addWorker({ id, queues: queues.map(queueName) })
      for (const queue of queues) {
        if (typeof queue === "string") continue
        const definition = queueFingerprint(queue)
        yield* registrations.addQueue({ name: queue.name, definition, elsewhere: false })
      }
      const core = yield* coreOf(problems.length === 0 ? options : {})
      const place = id === undefined ? "Worker.layer" : `worker "${id}"`
      if (!(yield* admit(badOptions(place, problems)))) return { id: core.ref.id, core }
      yield* prepareQueues(core.settings.queues, queues)
      yield* core.lease.acquire
      yield* core.keepLease
      // Finalizers run in reverse: the loops that a drain needs are stopped after it.
      yield* supervise("timers", core.timers.run)
      yield* supervise("inbox reader", core.inboxReader.run)
      yield* supervise("heartbeat", core.lease.run)
      for (let i = 0; i < core.settings.commitsInFlight; i++) yield* supervise("committer", core.committer.run)
      yield* Effect.acquireRelease(Effect.sync(() => journal.process.workers.add(core)), () =>
        Effect.zipRight(Effect.sync(() => journal.process.workers.delete(core)), guardingLoggers(core.drain)))
      yield* supervise("answers to pings", core.pingResponder.run)
      yield* supervise("reaper", core.lease.reaper)
      yield* supervise("upkeep", core.upkeep.run)
      yield* supervise("claimer", core.claimer.run)
      yield* supervise("schedules", core.scheduleLoop.run)
      yield* Effect.forkScoped(Effect.interruptible(reportHandlers(core.ref.id, core.settings.queues)))
      const stop = journal.process.registrations.onChange(() => {
        core.claimer.hint()
        core.scheduleLoop.hint()
      })
      yield* Effect.addFinalizer(() =>
        Effect.sync(stop)
      )
      return { id: core.ref.id, core }
    }))
  )

/**
 * A worker for tests on `JournalMemory`: it looks for runs only on hints and at due times, and its lease does not end,
 * so `TestClock` passes months in a few steps.
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
  layer({ pollInterval: "365 days", leaseDuration: "36500 days", ...options })
