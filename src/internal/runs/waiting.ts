/** Waiting from outside for something that happens in a run while it goes on. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Stream from "effect/Stream"
import type { JournalError } from "../../Errors.js"
import { NoSuchRun, WaitInVain } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import type { HistoryEntry } from "../../driver/JournalDriver.js"
import { isPublished } from "../../Published.js"
import { canBeStored } from "../options/names.js"
import { isFields, show, strangers } from "../options/reading.js"
import { runNews } from "./news.js"

const PAGE = 500

/**
 * Look at each reason to, until there is something. Commits of this process are reasons at once; of what other processes
 * do, the run's end and its published values are told, the rest is seen by polling.
 */
export const waitUntil = <A, E, R>(
  journal: JournalService,
  runId: string,
  what: string,
  look: Effect.Effect<Option.Option<A>, E, R>
): Effect.Effect<A, E | WaitInVain | NoSuchRun | JournalError, R> =>
  canBeStored(runId)
    ? runNews(journal.process.watch, runId, { commits: true }).pipe(
      Stream.mapEffect((ended) => Effect.map(look, (found) => ({ found, ended }))),
      Stream.takeUntil(({ ended, found }) => ended || Option.isSome(found)),
      Stream.filterMap(({ found }) => found),
      Stream.runHead,
      Effect.flatMap(Option.match({
        onNone: () => Effect.fail(new WaitInVain({ runId, what })),
        onSome: (found) => Effect.succeed(found)
      }))
    )
    : Effect.fail(new NoSuchRun({ runId }))

/** Looks for the first entry that is meant, each time only at what has been added. */
export const firstEntry = (
  journal: JournalService,
  runId: string,
  isMeant: (entry: HistoryEntry) => boolean
): Effect.Effect<Option.Option<HistoryEntry>, JournalError> => {
  let from = 0
  const look: Effect.Effect<Option.Option<HistoryEntry>, JournalError> = Effect.suspend(() =>
    Effect.flatMap(journal.history({ run: runId, from, limit: PAGE }), (page) => {
      const found = page.find(isMeant)
      if (found !== undefined) return Effect.succeedSome(found)
      from = (page.at(-1)?.seq ?? from - 1) + 1
      return page.length < PAGE ? Effect.succeedNone : look
    })
  )
  return look
}

/** What is wrong with a run and with what is to happen in it, if anything. */
export const waitProblem = (run: unknown, moment: unknown): string | undefined => {
  if (typeof run !== "string" && !(Predicate.hasProperty(run, "id") && typeof run.id === "string")) {
    return `the run is ${show(run)}, it must be a run or its id`
  }
  if (!isFields(moment)) return `the moment is ${show(moment)}, it must be { step }, { signal } or { published }`
  const [stranger] = strangers("", moment, ["step", "signal", "published", "until"])
  if (stranger !== undefined) return stranger
  const { published, signal, step, until } = moment
  if (["published", "signal", "step"].filter((key) => key in moment).length !== 1) {
    return `the moment is ${show(moment)}, it must be one of { step }, { signal } and { published }`
  }
  if (!("published" in moment)) {
    if (until !== undefined) return "until is of published values: leave it out"
    return typeof (step ?? signal) === "string"
      ? undefined
      : `the moment is ${show(moment)}, it must name a step or a signal by a text`
  }
  if (!isPublished(published)) return `published is ${show(published)}, it must be a Published`
  return until === undefined || typeof until === "function"
    ? undefined
    : `until is ${show(until)}, it must be a function`
}
