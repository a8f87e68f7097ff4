/**
 * The drain of a worker that stops:
 *
 * 1. It claims no run and starts no step. Steps that run are finished, for `drainMillis` at most.
 * 2. It interrupts the steps that still run, and waits a little for their runs to be released.
 * 3. It gives up the lease, by which storage releases the rest.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { JournalService } from "../../Journal.js"
import type { WorkerRef } from "../../driver/JournalDriver.js"
import { logFailure } from "./faults.js"
import type { HeldRuns } from "./HeldRuns.js"
import type { Latch } from "./Latch.js"
import { timeoutOption } from "../util/timers.js"

/** How long the second and the third stage can take, each. */
const STAGE_TIMEOUT_MILLIS = 5_000

export const drain = (options: {
  readonly journal: JournalService
  readonly worker: WorkerRef
  readonly runs: HeldRuns
  /** Opened when `runs` is empty. */
  readonly emptied: Latch
  readonly drainMillis: number
}): Effect.Effect<void> => {
  const { drainMillis, emptied, journal, runs, worker } = options
  const emptying: Effect.Effect<void> = Effect.suspend(() =>
    runs.isEmpty ? Effect.void : Effect.zipRight(emptied.await, emptying)
  )
  const interruptBodies = Effect.sync(() => {
    for (const hold of runs.all) {
      hold.stopBodies()
      hold.advance()
    }
  })
  return finishWithin(emptying, Duration.millis(drainMillis)).pipe(
    Effect.flatMap((finished) =>
      Option.isSome(finished)
        ? Effect.void
        : Effect.zipRight(interruptBodies, finishWithin(emptying, STAGE_TIMEOUT_MILLIS))
    ),
    Effect.zipRight(finishWithin(journal.retire(worker), STAGE_TIMEOUT_MILLIS)),
    Effect.catchAll(
      logFailure(Effect.logWarning, "the lease was not given up: its runs are released when it runs out")
    ),
    Effect.asVoid,
    Effect.ensuring(Effect.sync(() => {
      for (const hold of runs.all) hold.drop()
    }))
  )
}

/** A drain is a finalizer, which is uninterruptible: a timeout needs an interruptible region. */
const finishWithin = <A, E>(self: Effect.Effect<A, E>, duration: Duration.DurationInput) =>
  timeoutOption(Effect.interruptible(self), duration)
