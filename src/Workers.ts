/**
 * The workers of a journal: who there is, how much each does, and whether one answers. A worker describes itself with
 * each heartbeat; workers that are idle, and those whose lease has run out, are shown as well (those for a week).
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { JournalError } from "./Errors.js"
import { ConfigurationInvalid, NoSuchWorker, WorkerUnresponsive } from "./Errors.js"
import { makeIncarnation } from "./internal/codec/ids.js"
import { canBeStored } from "./internal/options/names.js"
import { Reading } from "./internal/options/reading.js"
import { storable } from "./internal/util/show.js"
import { Journal } from "./Journal.js"
import type { WorkerRecord, WorkerSample } from "./driver/JournalDriver.js"

/**
 * What a worker says of itself. All but the version may be missing: it is up to the worker's `HostProcess`.
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
  /** Runs that it executes at a time. */
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
  /** None if it has not said anything that this version understands. */
  readonly info: Option.Option<WorkerInfo>
}

/**
 * What a worker said of itself at an instant.
 *
 * @since 0.1.0
 * @category models
 */
export interface Sample extends Omit<WorkerSample, "info"> {
  readonly info: Option.Option<WorkerInfo>
}

const decodeInfo = Schema.decodeOption(Schema.parseJson(WorkerInfo))

const PAGE = 500

const stateOf = ({ info, ping: _, ...record }: WorkerRecord): WorkerState => ({
  ...record,
  info: info === null ? Option.none() : decodeInfo(info)
})

/**
 * All workers, in order of id: those with a lease (`live`), whether they do anything or not, and those whose lease has run
 * out during the last week. One that stopped in good order is not listed any more.
 *
 * @since 0.1.0
 * @category reading
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Option from "effect/Option"
 * import * as Workers from "perdure/Workers"
 *
 * const busy = Effect.map(Workers.list, (workers) =>
 *   workers.filter(({ info, live }) => live && Option.exists(info, ({ runs }) => runs.active > 0)))
 * ```
 */
export const list: Effect.Effect<ReadonlyArray<WorkerState>, JournalError, Journal> = Effect.gen(function*() {
  const journal = yield* Journal
  const all: Array<WorkerState> = []
  let after: string | null = null
  while (true) {
    const page: ReadonlyArray<WorkerRecord> = yield* journal.workers({ id: null, after, limit: PAGE })
    for (const record of page) all.push(stateOf(record))
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE) return all
    after = last.id
  }
})

/**
 * The latest samples of a worker, oldest first: one every ten seconds or more, at most 360, none older than a day. They
 * outlive the worker, and are of every process that had that id. Empty if there are none. Fails with `ConfigurationInvalid`
 * if `limit` (default 500) is no positive integer.
 *
 * @since 0.1.0
 * @category reading
 */
export const samples = (
  id: string,
  options?: { readonly limit?: number }
): Effect.Effect<ReadonlyArray<Sample>, ConfigurationInvalid | JournalError, Journal> =>
  Effect.gen(function*() {
    const reading = new Reading()
    const { limit } = reading.known("what is said", options, "", ["limit"])
    const most = reading.count("limit", limit, PAGE, 1)
    yield* refused("Workers.samples", reading)
    if (!canBeNamed(id)) return []
    const journal = yield* Journal
    const all = yield* journal.samples({ worker: id, limit: most })
    return all.map((sample) => ({ ...sample, info: decodeInfo(sample.info) }))
  })

const refused = (what: string, { problems }: Reading): Effect.Effect<void, ConfigurationInvalid> =>
  problems.length === 0 ? Effect.void : new ConfigurationInvalid({ what, problems })

/** Whether there can be a worker of that id. */
const canBeNamed = (id: unknown): boolean => typeof id === "string" && canBeStored(id)

/** How long to wait before looking whether the answer has come. */
const looks = (attempt: number): Duration.Duration => Duration.millis(Math.min(1000, 10 * 2 ** Math.min(attempt, 10)))

/**
 * Ask a worker to answer, and wait until it does; answers how long that took. It hears of it at once, or with its next
 * heartbeat if notices are lost, so a limit below a third of its lease may say of a healthy worker that it does not answer.
 *
 * Fails with `NoSuchWorker` if there is none of that id (any more), and with `WorkerUnresponsive` after `timeout` (default
 * 10 seconds); with `ConfigurationInvalid` if that is no finite duration.
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
  options?: { readonly timeout?: Duration.DurationInput }
): Effect.Effect<Duration.Duration, ConfigurationInvalid | NoSuchWorker | WorkerUnresponsive | JournalError, Journal> =>
  Effect.gen(function*() {
    const reading = new Reading()
    const { timeout } = reading.known("what is said", options, "", ["timeout"])
    const limit = Duration.millis(reading.span("timeout", timeout, 10_000, 0))
    yield* refused("Workers.ping", reading)
    if (!canBeNamed(id)) return yield* new NoSuchWorker({ workerId: storable(String(id)) })
    const journal = yield* Journal
    const before = yield* Clock.currentTimeNanos
    const nonce = yield* Effect.sync(makeIncarnation)
    const open = yield* journal.ping({ worker: id, nonce })
    if (open === null) return yield* new NoSuchWorker({ workerId: id })
    const answered = Effect.gen(function*() {
      for (let attempt = 0;; attempt++) {
        const [record] = yield* journal.workers({ id, after: null, limit: 1 })
        if (record === undefined) return yield* new NoSuchWorker({ workerId: id })
        // A ping is replaced only once it is answered.
        if (record.ping !== open) return
        yield* Effect.sleep(looks(attempt))
      }
    })
    yield* Effect.timeoutFail(answered, {
      duration: limit,
      onTimeout: () => new WorkerUnresponsive({ workerId: id, millis: Duration.toMillis(limit) })
    })
    return Duration.nanos((yield* Clock.currentTimeNanos) - before)
  })
