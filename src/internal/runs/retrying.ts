/** The retry of many runs. Those that were retried before are not retried again, so that it can be repeated. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { JournalError, UnknownQueue } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import { RetryableStatus } from "../../driver/JournalDriver.js"
import type { Attribution } from "../options/Attribution.js"
import { nextAttemptId } from "./attempts.js"
import { retryRun } from "./forking.js"
import type { Outcome } from "./outcomes.js"

/** Runs that are retried at a time, each by its own statements. */
const RETRY_CONCURRENCY = 4

export const retryRuns = (
  journal: JournalService,
  runs: ReadonlyArray<string>,
  by: Attribution
): Effect.Effect<ReadonlyArray<Outcome>, UnknownQueue | JournalError> =>
  Effect.gen(function*() {
    const records = yield* journal.get(runs.map(nextAttemptId))
    const retried = new Set(
      records.flatMap(({ id, source }) => source !== null && nextAttemptId(source.run) === id ? [source.run] : [])
    )
    return yield* Effect.forEach(runs, (run): Effect.Effect<Outcome, UnknownQueue | JournalError> =>
      retried.has(run) ? Effect.succeed("AlreadyRetried") : retryRun(journal, run, by).pipe(
        Effect.as<Outcome>("Changed"),
        Effect.catchTags({
          NoSuchRun: () =>
            Effect.succeed<Outcome>("NoSuchRun"),
          NotRetryable: ({ status }) =>
            Effect.succeed<Outcome>(Schema.is(RetryableStatus)(status) ? "Compensated" : "OtherStatus"),
          // Its journal, or the run that took the id of its retry, was deleted in between.
          ForkInvalid: () => Effect.succeed<Outcome>("NoSuchRun"),
          ValueInvalid: () => Effect.succeed<Outcome>("NoSuchRun")
        })
      ), { concurrency: RETRY_CONCURRENCY })
  })
