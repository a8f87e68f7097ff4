/** How the loops of a worker survive failures of storage. */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { JournalError } from "../../Errors.js"

/** The pauses between attempts while storage fails: from 20 milliseconds to 5 seconds, with jitter. */
const pauses = Schedule.jittered(Schedule.union(Schedule.exponential("20 millis"), Schedule.spaced("5 seconds")))

/** Retries while the error is retryable. */
export const retryWhileAway = <A, R>(self: Effect.Effect<A, JournalError, R>): Effect.Effect<A, JournalError, R> =>
  Effect.retry(self, { schedule: pauses, while: (error) => error.retryable })

export const logFailure =
  (log: (message: string) => Effect.Effect<void>, message: string) => (error: JournalError): Effect.Effect<void> =>
    Effect.annotateLogs(log(message), { error: error.message })
