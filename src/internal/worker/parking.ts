/** Parks claimed runs that the driver cannot read, so that no claim takes them again and again. */
import * as Effect from "effect/Effect"
import type { JournalError } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import type { RunCommit, UnreadableRun, WorkerRef } from "../../driver/JournalDriver.js"
import { retryWhileAway } from "./faults.js"

const parking = ({ detail, epoch, id, nextSeq }: UnreadableRun): RunCommit => ({
  run: id,
  epoch,
  from: nextSeq,
  entries: [],
  consumed: [],
  children: [],
  messages: [],
  published: [],
  closes: [],
  seen: 0,
  transition: { _tag: "Diverge", detail: JSON.stringify({ reason: "unreadable", detail }) }
})

export const parkUnreadable = (
  journal: JournalService,
  worker: WorkerRef,
  runs: ReadonlyArray<UnreadableRun>
): Effect.Effect<void, JournalError> =>
  Effect.zipRight(
    Effect.forEach(runs, ({ detail, id }) =>
      Effect.annotateLogs(Effect.logError("a run cannot be read: it is parked"), { run: id, error: detail })),
    Effect.asVoid(retryWhileAway(journal.commit({ worker, commits: runs.map(parking) })))
  )
