/** What happens to a run, as reasons to look at it again. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { JournalError } from "../../Errors.js"
import { NoSuchRun } from "../../Errors.js"
import type { RunWatch } from "../process/RunWatch.js"
import { isFinal } from "../../driver/RunStatus.js"

/**
 * A reason to look at the run; whether it is the last. With `commits`, each commit made in this process is one, too.
 */
export const runNews = (
  watch: RunWatch,
  runId: string,
  options?: { readonly commits: boolean }
): Stream.Stream<boolean, NoSuchRun | JournalError> =>
  Stream.asyncPush<boolean, NoSuchRun | JournalError>((emit) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const stopFollowing = options?.commits === true
          ? watch.follow(runId, () => void emit.single(false))
          : () => {}
        const stopListening = watch.listen(runId, (news) => {
          switch (news._tag) {
            case "Missing":
              return emit.fail(new NoSuchRun({ runId }))
            case "Broken":
              return emit.fail(news.error)
            case "Ended":
              return emit.single(true)
            case "Seen":
              return emit.single(isFinal(news.status))
          }
        })
        return () => {
          stopFollowing()
          stopListening()
        }
      }),
      (stop) => Effect.sync(stop)
    ), { bufferSize: 1, strategy: "sliding" })
