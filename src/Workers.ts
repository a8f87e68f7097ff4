/**
 * The workers of a journal: which exist, how much each does, and whether one answers. A worker describes itself with
 * each heartbeat. Idle workers are listed, too, and those whose lease has run out, for a week.
 *
 * All of this asks storage at once, which no replay could repeat: call it outside of workflows, or in a step.
 *
 * Arguments of the wrong type or out of range are a defect (`Misuse`); storage is not asked then.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { outsideOnly } from "./CurrentRun.js"
import type { WorkerRecord, WorkerSample } from "./driver/JournalDriver.js"
import type { JournalError, ValueInvalid } from "./Errors.js"
import { NoSuchWorker, WorkerUnresponsive } from "./Errors.js"
import { makeIncarnation } from "./internal/codec/ids.js"
import { canBeStored } from "./internal/options/names.js"
import type * as Pages from "./internal/options/pages.js"
import { makeList, sliceOf } from "./internal/options/pages.js"
import { requireArguments } from "./internal/options/policy.js"
import { count, duration, fields, optional, string } from "./internal/options/Rule.js"
import { storable } from "./internal/util/show.js"
import { timeoutFail } from "./internal/util/timers.js"
import { Journal } from "./Journal.js"

/**
 * A worker's description of itself. The worker's `HostProcess` may leave out all but the version.
 *
 * @since 0.1.0
 * @category models
 */
export const WorkerInfo = Schema.Struct({
  host: Schema.optional(Schema.String),
  pid: Schema.optional(Schema.Number),
  runtime: Schema.optional(Schema.String),
  /** Of Perdure. */
  version: Schema.String,
  queues: Schema.Array(Schema.String),
  /** Most runs that it executes at a time. */
  concurrency: Schema.Number,
  /** It is stopping: it claims no more. */
  draining: Schema.Boolean,
  /** Held runs are active (executing) or idle (waiting); hot are the machines kept of suspended ones. */
  runs: Schema.Struct({
    held: Schema.Number,
    active: Schema.Number,
    idle: Schema.Number,
    hot: Schema.Number
  }),
  /**
   * The step bodies that execute. Abandoned are those that ignore their interruption after a time limit. `oldest` is
   * the one that started first.
   */
  steps: Schema.optional(Schema.Struct({
    executing: Schema.Number,
    abandoned: Schema.Number,
    oldest: Schema.optional(Schema.Struct({ run: Schema.String, step: Schema.String, millis: Schema.Number }))
  })),
  memory: Schema.optional(Schema.Struct({ rssBytes: Schema.Number, heapBytes: Schema.Number })),
  /** Shares of the time since the beat before: of one core, and of the event loop. */
  load: Schema.optional(Schema.Struct({ cpu: Schema.Number, eventLoop: Schema.Number }))
})

/**
 * @since 0.1.0
 * @category models
 */
export type WorkerInfo = typeof WorkerInfo.Type

/**
 * A worker. Instants are milliseconds of the journal's clock.
 *
 * @since 0.1.0
 * @category models
 */
export interface WorkerState extends Omit<WorkerRecord, "info" | "ping"> {
  /** None if it has not described itself in a form that this version can read. */
  readonly info: Option.Option<WorkerInfo>
}

/**
 * A worker's description of itself at an instant.
 *
 * @since 0.1.0
 * @category models
 */
export interface Sample extends Omit<WorkerSample, "info"> {
  readonly info: Option.Option<WorkerInfo>
}

const decodeInfo = Schema.decodeOption(Schema.parseJson(WorkerInfo))

const stateOf = ({ info, ping: _, ...record }: WorkerRecord): WorkerState => ({
  ...record,
  info: info === null ? Option.none() : decodeInfo(info)
})

/**
 * A page of workers, in order of id.
 *
 * @since 0.2.0
 * @category models
 */
export type Page = Pages.Page<WorkerState>

/**
 * @since 0.2.0
 * @category models
 */
export type PageOptions = Pages.PageOptions

const workerList = makeList("Workers.list", Schema.String.pipe(Schema.filter(canBeStored)))

const read = (after: string | null, limit: number) =>
  Effect.gen(function*() {
    const journal = yield* Journal
    const records = yield* journal.workers({ id: null, after, limit: limit + 1 })
    const { items, next } = sliceOf(records, limit, ({ id }) => id)
    return { items: items.map(stateOf), next }
  })

/**
 * Returns a page of all workers, in order of id: those with a lease (`live`), idle ones too, and those whose lease has
 * run out during the last week. A worker that stopped cleanly is not listed.
 *
 * Fails with `ValueInvalid` if the cursor is not from such a page.
 *
 * @since 0.1.0
 * @category reading
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Workers from "perdure/Workers"
 *
 * const live = Effect.map(Workers.list({ limit: 50 }), ({ items }) => items.filter(({ live }) => live))
 * ```
 */
export const list = (options?: PageOptions): Effect.Effect<Page, ValueInvalid | JournalError, Journal> =>
  outsideOnly("Workers.list", () => workerList.page(options, read))

/**
 * All workers that `list` has, in order of id.
 *
 * @since 0.2.0
 * @category reading
 * @example
 * ```ts
 * import * as Option from "effect/Option"
 * import * as Stream from "effect/Stream"
 * import * as Workers from "perdure/Workers"
 *
 * const busy = Workers.stream.pipe(
 *   Stream.filter(({ info, live }) => live && Option.exists(info, ({ runs }) => runs.active > 0)),
 *   Stream.runCollect
 * )
 * ```
 */
export const stream: Stream.Stream<WorkerState, JournalError, Journal> = workerList.stream((after, limit) =>
  outsideOnly("Workers.stream", () => read(after, limit))
)

/**
 * @since 0.2.0
 * @category models
 */
export interface SampleOptions {
  /** Most samples, a positive integer. Default 500. */
  readonly limit?: number
}

const sampleOptions = optional(fields<SampleOptions>({ limit: optional(count({ min: 1 })) }))

const DEFAULT_SAMPLE_COUNT = 500

const workerId = string()

/**
 * Returns the latest samples of a worker, oldest first: one every ten seconds or more, at most 360, none older than a
 * day. They outlive the worker, and come from every process that had that id. Empty if no samples exist.
 *
 * @since 0.1.0
 * @category reading
 * @example
 * ```ts
 * import * as Workers from "perdure/Workers"
 *
 * const latest = Workers.samples("worker-1", { limit: 60 })
 * ```
 */
export const samples = (
  id: string,
  options?: SampleOptions
): Effect.Effect<ReadonlyArray<Sample>, JournalError, Journal> =>
  outsideOnly("Workers.samples", () =>
    Effect.gen(function*() {
      const problems = [...workerId.problems(id, "id"), ...sampleOptions.problems(options, "")]
      yield* requireArguments("Workers.samples", problems)
      if (!canBeStored(id)) return []
      const journal = yield* Journal
      const all = yield* journal.samples({ worker: id, limit: options?.limit ?? DEFAULT_SAMPLE_COUNT })
      return all.map((sample) => ({ ...sample, info: decodeInfo(sample.info) }))
    }))

/** The pause before the next look for the worker's answer. */
const lookInterval = (attempt: number): Duration.Duration =>
  Duration.millis(Math.min(1_000, 10 * 2 ** Math.min(attempt, 10)))

/**
 * @since 0.2.0
 * @category models
 */
export interface PingOptions {
  /** How long to wait for the answer. Default 10 seconds. */
  readonly timeout?: Duration.DurationInput
}

const pingOptions = optional(fields<PingOptions>({ timeout: optional(duration()) }))

/**
 * Asks a worker to answer, waits until it does, and returns how long that took. The worker is notified at once. If that
 * notification is lost, its answer comes with its next heartbeat, so a timeout below a third of its lease may report a
 * healthy worker as unresponsive.
 *
 * Fails with `NoSuchWorker` if no worker of that id exists (any more), and with `WorkerUnresponsive` after the timeout.
 *
 * @since 0.1.0
 * @category pings
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Workers from "perdure/Workers"
 *
 * const health = Workers.ping("worker-1", { timeout: "20 seconds" }).pipe(
 *   Effect.as("well"),
 *   Effect.catchTag("WorkerUnresponsive", () => Effect.succeed("hanging")),
 *   Effect.catchTag("NoSuchWorker", () => Effect.succeed("gone"))
 * )
 * ```
 */
export const ping = (
  id: string,
  options?: PingOptions
): Effect.Effect<Duration.Duration, NoSuchWorker | WorkerUnresponsive | JournalError, Journal> =>
  outsideOnly("Workers.ping", () =>
    Effect.gen(function*() {
      yield* requireArguments("Workers.ping", [...workerId.problems(id, "id"), ...pingOptions.problems(options, "")])
      if (!canBeStored(id)) return yield* new NoSuchWorker({ workerId: storable(id) })
      const limit = Duration.decode(options?.timeout ?? "10 seconds")
      const journal = yield* Journal
      const before = yield* Clock.currentTimeNanos
      const nonce = yield* Effect.sync(makeIncarnation)
      const open = yield* journal.ping({ worker: id, nonce })
      if (open === null) return yield* new NoSuchWorker({ workerId: id })
      const answered = Effect.gen(function*() {
        for (let attempt = 0;; attempt++) {
          const [record] = yield* journal.workers({ id, after: null, limit: 1 })
          if (record === undefined) return yield* new NoSuchWorker({ workerId: id })
          // A ping is replaced only after it has been answered.
          if (record.ping !== open) return
          yield* Effect.sleep(lookInterval(attempt))
        }
      })
      yield* timeoutFail(answered, {
        duration: limit,
        onTimeout: () => new WorkerUnresponsive({ workerId: id, millis: Duration.toMillis(limit) })
      })
      return Duration.nanos((yield* Clock.currentTimeNanos) - before)
    }))
