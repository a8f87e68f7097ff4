/**
 * The journal: the typed service above a storage driver, through which everything else of the core reads and writes
 * runs.
 *
 * It encodes and decodes values, answers questions about runs that cannot exist, and observes the driver's clock. One
 * `Journal` is shared by everything in a process that works on the same storage.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { JournalDriver } from "./driver/JournalDriver.js"
import type { ConfigurationInvalid, JournalError } from "./Errors.js"
import type { Operations } from "./internal/journal/operations.js"
import { makeOperations } from "./internal/journal/operations.js"
import { storableOnly } from "./internal/journal/storable.js"
import type { ValueOperations } from "./internal/journal/values.js"
import { makeRecordOperations, makeValueOperations } from "./internal/journal/values.js"
import { requireConfiguration } from "./internal/options/policy.js"
import { duration, fields, optional } from "./internal/options/Rule.js"
import { DriverTime } from "./internal/process/DriverTime.js"
import { KnownQueues } from "./internal/process/KnownQueues.js"
import * as Process from "./internal/process/Process.js"
import { RunWatch } from "./internal/process/RunWatch.js"

/**
 * The service behind the `Journal` tag: the operations of the storage contract (`JournalDriver`). Each returns its
 * value, without the driver's time. Only `enqueue`, `heartbeat`, `schedules` and `dueSchedules` return the whole
 * `Answer`, because their callers compute with its `now`. Operations on values take the definition of the value and the
 * value itself.
 *
 * @since 0.1.0
 * @category models
 */
export interface JournalService
  extends
    Omit<Operations, "deliver" | keyof ValueOperations>,
    ValueOperations,
    Pick<JournalDriver, "inTransaction" | "keepLease" | "transaction">
{
  /** The driver's time as estimated, in whole milliseconds since the epoch. */
  readonly now: () => number
  /** As `now`. Asks storage once, if no operation of this process has returned its time yet. */
  readonly currentTime: Effect.Effect<number, JournalError>
  /** @internal */
  readonly process: Process.Process
}

/**
 * @since 0.1.0
 * @category models
 */
export interface JournalOptions {
  /** How often waiters ask storage if no hint comes, at least every 10 milliseconds. Default 2 seconds. */
  readonly pollInterval?: Duration.DurationInput
}

/**
 * The journal. Storage layers (`JournalMemory.layer`, `PgJournal.layer`, `PgliteJournal.layer`) provide it.
 *
 * @since 0.1.0
 * @category tags
 */
export class Journal extends Context.Tag("perdure/Journal")<Journal, JournalService>() {
  /** A journal over a storage driver. */
  static layer(options?: JournalOptions): Layer.Layer<Journal, ConfigurationInvalid, JournalDriver> {
    const problems = journalOptions.problems(options, "")
    const checked = requireConfiguration("the options of Journal.layer", problems)
    return Layer.scoped(Journal, Effect.zipRight(checked, Effect.suspend(() => make(options))))
  }
}

const journalOptions = optional(fields<JournalOptions>({ pollInterval: optional(duration({ min: 10 })) }))

const make = Effect.fnUntraced(function*(options?: JournalOptions) {
  const time = new DriverTime(yield* Effect.clockWith(Effect.succeed))
  const driver = storableOnly(yield* JournalDriver)
  const { hints, inTransaction, keepLease, transaction } = driver
  const encoded = makeOperations(driver, time)
  const operations = { ...encoded, ...makeRecordOperations(encoded) }
  const process = Process.make({
    time,
    watch: new RunWatch(operations, time, Duration.decode(options?.pollInterval ?? "2 seconds")),
    queues: new KnownQueues({ queues: operations.queues, inTransaction })
  })
  yield* Effect.forkScoped(Stream.runForEach(hints, (hint) =>
    Effect.sync(() => {
      if (hint._tag === "Changed") return process.watch.changed(hint.run)
      for (const worker of process.workers) worker.hint(hint)
    })))
  // A dead loop would leave all waits of the process without an end.
  yield* Effect.forkScoped(Effect.retry(
    Effect.tapErrorCause(
      Effect.sandbox(process.watch.run),
      (cause) => Effect.logError("waiting for runs failed, it starts again in a second", cause)
    ),
    Schedule.spaced("1 second")
  ))
  const service: JournalService = {
    ...operations,
    ...makeValueOperations(operations),
    transaction,
    inTransaction,
    ...(keepLease === undefined ? {} : { keepLease }),
    now: () => time.now(),
    currentTime: Effect.suspend(() => Effect.map(time.isKnown ? Effect.void : operations.get([]), () => time.now())),
    process
  }
  return service
})
