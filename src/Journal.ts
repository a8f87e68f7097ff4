/**
 * The journal as the rest of the core uses it: a storage driver, the workflows registered in this process, and what the
 * process knows of its own (its workers, its waiters, its estimate of the driver's clock). One `Journal` is shared by
 * everything in a process that works on the same storage.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { JournalError } from "./Errors.js"
import { DriverTime } from "./internal/process/DriverTime.js"
import { possibleRunsOnly } from "./internal/journal/possibleRuns.js"
import { Registry } from "./internal/process/Registry.js"
import { RunWatch } from "./internal/process/RunWatch.js"
import type { Answer, ClaimedRun, Hint, WorkerRef } from "./driver/JournalDriver.js"
import { JournalDriver } from "./driver/JournalDriver.js"

/**
 * A worker of this process, as those see it who start runs beside it.
 *
 * @since 0.1.0
 * @category models
 */
export interface LocalWorker {
  readonly ref: WorkerRef
  /** How many of `wanted` new runs it could take at once; the slots are kept until `adopt`. */
  readonly reserve: (
    run: { readonly workflow: string; readonly version: string; readonly queue: string },
    wanted: number
  ) => number
  /** Give back `slots` that were reserved, and run what the insert claimed for it. */
  readonly adopt: (slots: number, runs: ReadonlyArray<ClaimedRun>) => void
  /** Whether it holds this run now. */
  readonly holds: (run: string) => boolean
  /** A claim for this worker was sent and its answer lost: reconcile. */
  readonly suspect: () => void
  readonly hint: (hint: Hint) => void
}

/**
 * The service behind the `Journal` tag.
 *
 * @since 0.1.0
 * @category models
 */
export interface JournalService {
  readonly driver: JournalDriver
  /** @internal */
  readonly registry: Registry
  /** @internal */
  readonly time: DriverTime
  /** @internal */
  readonly watch: RunWatch
  /** @internal */
  readonly workers: Set<LocalWorker>
  /** @internal Queues that are known to be there. */
  readonly queues: Set<string>
  /** @internal Queues that were made in a transaction, which may have been undone. */
  readonly unsettledQueues: Set<string>
  /** An operation's value; its `now` refreshes the estimate of the driver's clock. */
  readonly ask: <A>(operation: Effect.Effect<Answer<A>, JournalError>) => Effect.Effect<A, JournalError>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface JournalOptions {
  /** How often waiters ask storage when no hint comes. Default 2 seconds. */
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
  static layer(options?: JournalOptions): Layer.Layer<Journal, never, JournalDriver> {
    return Layer.scoped(Journal, make(options))
  }
}

const make = Effect.fnUntraced(function*(options?: JournalOptions) {
  const time = new DriverTime(yield* Effect.clockWith(Effect.succeed))
  const driver = possibleRunsOnly(yield* JournalDriver, time)
  const watch = new RunWatch(driver, time, Duration.decode(options?.pollInterval ?? "2 seconds"))
  const workers = new Set<LocalWorker>()
  yield* Effect.forkScoped(Stream.runForEach(driver.hints, (hint) =>
    Effect.sync(() => {
      if (hint._tag === "Changed") return watch.changed(hint.run)
      for (const worker of workers) worker.hint(hint)
    })))
  yield* Effect.forkScoped(watch.run)
  const service: JournalService = {
    driver,
    registry: new Registry(),
    time,
    watch,
    workers,
    queues: new Set(),
    unsettledQueues: new Set(),
    ask: (operation) =>
      Effect.map(operation, (answer) => {
        time.observe(answer.now)
        return answer.value
      })
  }
  return service
})
