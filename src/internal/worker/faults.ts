/** How the loops of a worker survive failures of storage, and defects. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { JournalError } from "../../Errors.js"

/** The pause after a failure that the same call would meet again at once. */
const REFUSED_PAUSE = Duration.seconds(1)

/** The pauses between attempts while storage fails: from 20 milliseconds to 5 seconds, with jitter. */
const pauses = Schedule.jittered(Schedule.union(Schedule.exponential("20 millis"), Schedule.spaced("5 seconds")))

/** Retries while the error is retryable. */
export const retryWhileAway = <A, R>(self: Effect.Effect<A, JournalError, R>): Effect.Effect<A, JournalError, R> =>
  Effect.retry(self, { schedule: pauses, while: (error) => error.retryable })

export const logFailure =
  (log: (message: string) => Effect.Effect<void>, message: string) => (error: JournalError): Effect.Effect<void> =>
    Effect.annotateLogs(log(message), { error: error.message })

/** For a loop that must continue: logs a failure that is not retryable, and pauses, so that the loop does not spin. */
export const pauseAfter = <A, R>(
  self: Effect.Effect<A, JournalError, R>,
  message: string
): Effect.Effect<A | undefined, never, R> =>
  Effect.catchAll(
    self,
    (error) =>
      Effect.as(Effect.zipRight(logFailure(Effect.logError, message)(error), Effect.sleep(REFUSED_PAUSE)), undefined)
  )

/**
 * For work that a loop has taken from its queue. `giveBack` is called unless `self` succeeds: after an error, a defect
 * or an interruption, what was taken and got no result must be taken again.
 */
export const orGiveBack = (giveBack: () => void) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.onError(self, () => Effect.sync(giveBack))
