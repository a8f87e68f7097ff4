/** Waits from outside for a moment of a run: an entry of its journal, or a published value. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { JournalError } from "../../Errors.js"
import { NoSuchRun, RunEndedEarly } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import { type HistoryEntry, isLastPage } from "../../driver/JournalDriver.js"
import { canBeStored } from "../options/names.js"
import { runNews } from "./news.js"

const HISTORY_PAGE_SIZE = 500

/**
 * Looks whenever the run may have changed, until `look` finds something. Commits of this process are seen at once. Of
 * other processes, the run's end and its published values are hinted, everything else is seen by polling.
 */
export const waitUntil = <A, E, R>(
  journal: JournalService,
  runId: string,
  what: string,
  look: Effect.Effect<Option.Option<A>, E, R>
): Effect.Effect<A, E | RunEndedEarly | NoSuchRun | JournalError, R> =>
  canBeStored(runId)
    ? runNews(journal.process.watch, runId, { commits: true }).pipe(
      Stream.mapEffect((ended) => Effect.map(look, (found) => ({ found, ended }))),
      Stream.takeUntil(({ ended, found }) => ended || Option.isSome(found)),
      Stream.filterMap(({ found }) => found),
      Stream.runHead,
      Effect.flatMap(Option.match({
        onNone: () => Effect.fail(new RunEndedEarly({ runId, what })),
        onSome: (found) => Effect.succeed(found)
      }))
    )
    : Effect.fail(new NoSuchRun({ runId }))

/** Looks for the first entry that matches. Each call reads only the entries that are new. */
export const firstEntry = (
  journal: JournalService,
  runId: string,
  matches: (entry: HistoryEntry) => boolean
): Effect.Effect<Option.Option<HistoryEntry>, JournalError> => {
  let from = 0
  const look: Effect.Effect<Option.Option<HistoryEntry>, JournalError> = Effect.suspend(() =>
    Effect.flatMap(journal.history({ run: runId, from, limit: HISTORY_PAGE_SIZE }), (page) => {
      const found = page.find(matches)
      if (found !== undefined) return Effect.succeedSome(found)
      from = (page.at(-1)?.seq ?? from - 1) + 1
      return isLastPage(page, HISTORY_PAGE_SIZE) ? Effect.succeedNone : look
    })
  )
  return look
}
