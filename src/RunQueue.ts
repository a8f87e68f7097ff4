/**
 * Queues: where runs wait to be claimed, and what limits how many of them start and run. A queue's settings are stored
 * in the database, hold for all workers together, and may be changed while workers serve the queue.
 *
 * | setting          | limits                                                                               |
 * |------------------|--------------------------------------------------------------------------------------|
 * | `concurrency`    | runs that are running at a time; a run that waits (suspended) does not count           |
 * | `admission`      | runs that have begun and not ended, waiting ones too                                  |
 * | `keyConcurrency` | runs of each key that have begun and not ended; 1: strictly one after the other       |
 * | `rate`           | runs that begin in a time                                                             |
 *
 * The limits are exact, also while several workers claim and when workers die; `docs/queues.md` says how.
 *
 * Operations ask storage at once, which no replay could repeat: call them outside of workflows, or in a step. Arguments
 * of the wrong type or out of range are a defect (`Misuse`); nothing is written then.
 *
 * @since 0.1.0
 */
import * as Array from "effect/Array"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type { Inspectable } from "effect/Inspectable"
import * as Layer from "effect/Layer"
import type { Pipeable } from "effect/Pipeable"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { outsideOnly } from "./CurrentRun.js"
import type { PausedWorkflow, QueueCounts, QueueRecord, QueueSettings } from "./driver/JournalDriver.js"
import type { ConfigurationInvalid, JournalError, ValueInvalid } from "./Errors.js"
import { UnknownQueue } from "./Errors.js"
import type { Attribution } from "./internal/options/Attribution.js"
import { attribution } from "./internal/options/Attribution.js"
import type { WorkflowReference } from "./internal/options/names.js"
import { canBeName, canBeStored, workflowName, workflowReference } from "./internal/options/names.js"
import type * as Pages from "./internal/options/pages.js"
import { makeList, sliceOf } from "./internal/options/pages.js"
import { requireArguments } from "./internal/options/policy.js"
import type * as Queues from "./internal/options/queues.js"
import {
  changedSettings,
  isQueueDefinition,
  queueName,
  queueOptions,
  queueReference,
  QueueTypeId
} from "./internal/options/queues.js"
import { count, fields, oneOrMore, optional } from "./internal/options/Rule.js"
import { isFields } from "./internal/util/show.js"
import { makeValue } from "./internal/util/value.js"
import { defineQueue } from "./internal/workflow/queueDefinition.js"
import { Journal, type JournalService } from "./Journal.js"

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
 * How many runs begin in a time: a token bucket. `limit` tokens come evenly in the time `per`, at most `burst` are
 * kept, and each run that begins takes one. So in any stretch of time `t`, at most `burst + limit * t / per` runs
 * begin.
 *
 * @since 0.1.0
 * @category models
 */
export type Rate = Queues.Rate

/**
 * Settings of a queue. One that is left out, or `"unlimited"`, has no limit.
 *
 * @since 0.1.0
 * @category models
 */
export type Options = Queues.QueueOptions

/**
 * The definition of a queue.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunQueue extends Queues.QueueDefinition, Pipeable, Inspectable {
  readonly [TypeId]: TypeId
  /**
   * Stores the definition if it differs from the one that was stored last: what an operator changed by hand stays until
   * then. A worker that serves the queue does the same, and so does the handler (`toLayer`) of a workflow that waits on
   * it.
   *
   * Fails with `ConfigurationInvalid`, before anything is written.
   */
  readonly layer: Layer.Layer<never, ConfigurationInvalid | JournalError, Journal>
}

/**
 * A queue, or its name.
 *
 * @since 0.2.0
 * @category models
 */
export type Reference = Queues.QueueReference

/**
 * A page of queues, in order of name.
 *
 * @since 0.2.0
 * @category models
 */
export type Page = Pages.Page<QueueRecord>

/**
 * @since 0.2.0
 * @category models
 */
export type PageOptions = Pages.PageOptions

/**
 * @since 0.2.0
 * @category models
 */
export interface CountOptions {
  /** Where each count stops, a positive integer. Default 10,000. */
  readonly limit?: number
}

/**
 * Whether a value is the definition of a queue.
 *
 * @since 0.1.0
 * @category guards
 */
export const isRunQueue = (u: unknown): u is RunQueue => isQueueDefinition(u)

/**
 * Defines a queue.
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
    layer: Layer.scopedDiscard(Effect.suspend(() => defineQueue(queue)))
  }
  return queue
}

/** An operation on one queue, whose arguments are valid. */
const onQueue = <A, E, R>(
  operation: string,
  queue: Reference,
  problems: ReadonlyArray<string>,
  use: (name: string) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  outsideOnly(operation, () =>
    Effect.zipRight(
      requireArguments(operation, [...queueReference.problems(queue, "queue"), ...problems]),
      Effect.suspend(() => use(queueName(queue)))
    ))

/** Whether a call without required options begins with the queue: `pause("q")`, not `pause({ by: "ann" })`. */
const beginsWithQueue = (args: IArguments): boolean =>
  args.length > 0 && !(isFields(args[0]) && !isQueueDefinition(args[0]))

/**
 * Returns a queue's settings as they are stored. Fails with `UnknownQueue`.
 *
 * @since 0.1.0
 * @category operations
 * @example
 * ```ts
 * import * as RunQueue from "perdure/RunQueue"
 *
 * const settings = RunQueue.get("emails")
 * ```
 */
export const get = (queue: Reference): Effect.Effect<QueueRecord, UnknownQueue | JournalError, Journal> =>
  onQueue("RunQueue.get", queue, [], (name) =>
    Effect.gen(function*() {
      const journal = yield* Journal
      yield* journal.process.queues.require(name)
      const [found] = yield* journal.queues([name])
      return found === undefined ? yield* new UnknownQueue({ queue: name }) : found
    }))

const queueList = makeList("RunQueue.list", Schema.String.pipe(Schema.filter(canBeStored)))

const readQueues = (after: string | null, limit: number) =>
  Effect.gen(function*() {
    const journal = yield* Journal
    const records = yield* journal.queuePage({ after, limit: limit + 1 })
    return sliceOf(records, limit, ({ name }) => name)
  })

/**
 * Returns a page of all queues, in order of name. Fails with `ValueInvalid` of a cursor that is not from such a page.
 *
 * @since 0.1.0
 * @category operations
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as RunQueue from "perdure/RunQueue"
 *
 * const names = Effect.map(RunQueue.list({ limit: 20 }), ({ items, next }) => [items.map(({ name }) => name), next])
 * ```
 */
export const list = (options?: PageOptions): Effect.Effect<Page, ValueInvalid | JournalError, Journal> =>
  outsideOnly("RunQueue.list", () => queueList.page(options, readQueues))

/**
 * All queues, in order of name.
 *
 * @since 0.2.0
 * @category operations
 * @example
 * ```ts
 * import * as Stream from "effect/Stream"
 * import * as RunQueue from "perdure/RunQueue"
 *
 * const paused = RunQueue.stream.pipe(Stream.filter(({ paused }) => paused), Stream.runCollect)
 * ```
 */
export const stream: Stream.Stream<QueueRecord, JournalError, Journal> = queueList.stream((after, limit) =>
  outsideOnly("RunQueue.stream", () => readQueues(after, limit))
)

const countOptions = optional(fields<CountOptions>({ limit: optional(count({ min: 1 })) }))

const DEFAULT_RUN_COUNT = 10_000

/**
 * Returns how many of a queue's runs are in which state. Fails with `UnknownQueue`.
 *
 * @since 0.1.0
 * @category operations
 * @example
 * ```ts
 * import * as RunQueue from "perdure/RunQueue"
 *
 * const backlog = RunQueue.counts("emails", { limit: 100 })
 * ```
 */
export const counts: {
  (options?: CountOptions): (queue: Reference) => Effect.Effect<QueueCounts, UnknownQueue | JournalError, Journal>
  (queue: Reference, options?: CountOptions): Effect.Effect<QueueCounts, UnknownQueue | JournalError, Journal>
} = dual(
  beginsWithQueue,
  (queue: Reference, options?: CountOptions): Effect.Effect<QueueCounts, UnknownQueue | JournalError, Journal> =>
    onQueue("RunQueue.counts", queue, countOptions.problems(options, ""), (name) =>
      Effect.gen(function*() {
        const journal = yield* Journal
        yield* journal.process.queues.require(name)
        const [found] = yield* journal.queueCounts({ names: [name], limit: options?.limit ?? DEFAULT_RUN_COUNT })
        return found ?? { name, ready: 0, delayed: 0, running: 0, suspended: 0, halted: 0 }
      }))
)

/** Storage is not asked about a name that no queue can have. */
const changed = (
  name: string,
  change: Partial<QueueSettings>,
  by?: Attribution
): Effect.Effect<QueueRecord, UnknownQueue | JournalError, Journal> =>
  Effect.gen(function*() {
    const journal = yield* Journal
    const found = canBeName(name) ? yield* journal.changeQueue({ name, change, ...by }) : null
    return found === null ? yield* new UnknownQueue({ queue: name }) : found
  })

type QueueUpdate = Effect.Effect<QueueRecord, UnknownQueue | JournalError, Journal>

/**
 * Changes some settings, and returns all. They hold for all claims that begin from now on; runs that run already are
 * not stopped. A definition in code brings its own settings back when it changes. Who changes settings, and why, is not
 * stored: log the result if you need to know. Fails with `UnknownQueue`.
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
export const change: {
  (options: Options): (queue: Reference) => QueueUpdate
  (queue: Reference, options: Options): QueueUpdate
} = dual(
  2,
  (queue: Reference, options: Options): QueueUpdate =>
    onQueue(
      "RunQueue.change",
      queue,
      queueOptions.problems(options, ""),
      (name) => changed(name, changedSettings(options))
    )
)

const setPaused = (operation: string, paused: boolean) => (queue: Reference, by?: Attribution): QueueUpdate =>
  onQueue(operation, queue, optional(attribution).problems(by, ""), (name) => changed(name, { paused }, by))

/**
 * Pauses a queue: none of its runs is claimed until `resume`. Runs that run already are not stopped. `get` and `list`
 * show who asked, and why; a queue that is paused already stays as it is. Fails with `UnknownQueue`.
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
export const pause: {
  (by?: Attribution): (queue: Reference) => QueueUpdate
  (queue: Reference, by?: Attribution): QueueUpdate
} = dual(beginsWithQueue, setPaused("RunQueue.pause", true))

/**
 * Lets the runs of a paused queue be claimed again. `get` and `list` show who asked, and why, until it is paused again.
 * Fails with `UnknownQueue`.
 *
 * @since 0.1.0
 * @category operations
 * @example
 * ```ts
 * import * as RunQueue from "perdure/RunQueue"
 *
 * const again = RunQueue.resume("emails", { by: "ann", reason: "the provider works" })
 * ```
 */
export const resume: {
  (by?: Attribution): (queue: Reference) => QueueUpdate
  (queue: Reference, by?: Attribution): QueueUpdate
} = dual(beginsWithQueue, setPaused("RunQueue.resume", false))

type Workflows = WorkflowReference | ReadonlyArray<WorkflowReference>

/** An operation on workflows, whose arguments are valid. */
const onWorkflows = (
  operation: string,
  workflows: Workflows,
  by: Attribution | undefined,
  use: (journal: JournalService, names: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<string>, JournalError>
): Effect.Effect<ReadonlyArray<string>, JournalError, Journal> =>
  outsideOnly(operation, () =>
    Effect.gen(function*() {
      yield* requireArguments(operation, [
        ...oneOrMore(workflowReference).problems(workflows, "workflows"),
        ...optional(attribution).problems(by, "")
      ])
      return yield* use(yield* Journal, Array.ensure(workflows).map(workflowName))
    }))

/**
 * Pauses workflows: none of their runs is claimed until `resumeWorkflows`, whatever their queue. Returns the names of
 * those that were not paused before. `pausedWorkflows` shows who asked, and why.
 *
 * Any valid name will do: a workflow may be paused before a process has its code.
 *
 * @since 0.1.0
 * @category operations
 * @example
 * ```ts
 * import * as RunQueue from "perdure/RunQueue"
 *
 * const calm = RunQueue.pauseWorkflows(["Fulfil", "Refund"], { by: "ann", reason: "stock count" })
 * ```
 */
export const pauseWorkflows = (
  workflows: Workflows,
  by?: Attribution
): Effect.Effect<ReadonlyArray<string>, JournalError, Journal> =>
  onWorkflows(
    "RunQueue.pauseWorkflows",
    workflows,
    by,
    (journal, names) => journal.pauseWorkflows({ workflows: names, by: by?.by ?? null, reason: by?.reason ?? null })
  )

/**
 * Lets the runs of paused workflows be claimed again. Returns the names of those that were paused.
 *
 * @since 0.1.0
 * @category operations
 * @example
 * ```ts
 * import * as RunQueue from "perdure/RunQueue"
 *
 * const again = RunQueue.resumeWorkflows(["Fulfil", "Refund"])
 * ```
 */
export const resumeWorkflows = (
  workflows: Workflows
): Effect.Effect<ReadonlyArray<string>, JournalError, Journal> =>
  onWorkflows("RunQueue.resumeWorkflows", workflows, undefined, (journal, names) => journal.resumeWorkflows(names))

/**
 * The workflows that are paused, in order of name: since when, who asked, and why.
 *
 * @since 0.1.0
 * @category operations
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as RunQueue from "perdure/RunQueue"
 *
 * const reasons = Effect.map(RunQueue.pausedWorkflows, (all) => all.map(({ name, reason }) => `${name}: ${reason}`))
 * ```
 */
export const pausedWorkflows: Effect.Effect<ReadonlyArray<PausedWorkflow>, JournalError, Journal> = outsideOnly(
  "RunQueue.pausedWorkflows",
  () => Effect.flatMap(Journal, (journal) => journal.pausedWorkflows())
)
