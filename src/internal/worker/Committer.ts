/**
 * Group commit: the commits of many holds are written by one statement, with no added delay. While a statement is on
 * its way, the next batch gathers.
 */
import * as Effect from "effect/Effect"
import type { JournalError } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import type { WorkerRef } from "../../driver/JournalDriver.js"
import { logFailure, retryWhileAway } from "./faults.js"
import type { Hold } from "./Hold.js"
import { Latch } from "./Latch.js"

export class Committer {
  /** Holds with a commit to write. */
  private readonly waiting = new Set<Hold>()
  private readonly work = new Latch()
  /** Commits on their way to storage. */
  inFlight = 0

  constructor(
    private readonly journal: JournalService,
    private readonly worker: WorkerRef,
    /** Most runs in one statement. */
    private readonly batch: number
  ) {}

  add(hold: Hold): void {
    this.waiting.add(hold)
    this.work.open()
  }

  get isIdle(): boolean {
    return this.waiting.size === 0 && this.inFlight === 0
  }

  /** Write one batch. Returns the number of its commits. */
  readonly runOnce: Effect.Effect<number> = Effect.suspend(() => {
    const holds: Array<Hold> = []
    for (const hold of this.waiting) {
      if (holds.length >= this.batch) break
      this.waiting.delete(hold)
      if (hold.canCommit) holds.push(hold)
    }
    if (holds.length === 0) return Effect.succeed(0)
    return Effect.as(this.write(holds), holds.length)
  })

  /** Writes batches forever. Several of these loops can run concurrently. */
  readonly run: Effect.Effect<never> = Effect.forever(
    Effect.flatMap(this.runOnce, (count) => count > 0 ? Effect.void : this.work.await)
  )

  private write(holds: ReadonlyArray<Hold>): Effect.Effect<void> {
    const commits = holds.map((hold) => hold.takeCommit().commit)
    this.inFlight += holds.length
    return this.journal.commit({ worker: this.worker, commits }).pipe(
      Effect.tapError(logFailure(Effect.logWarning, "a commit failed")),
      // A repeated commit is harmless: the fence shows whether it was applied before.
      retryWhileAway,
      Effect.matchEffect({
        onSuccess: (results) =>
          Effect.sync(() => {
            this.inFlight -= holds.length
            results.forEach((result, index) => holds[index]?.committed(result))
          }),
        onFailure: (error) => {
          this.inFlight -= holds.length
          return this.refused(holds, error)
        }
      })
    )
  }

  /** Storage refused the statement, perhaps because of one commit: write them one by one, and park the culprit. */
  private refused(holds: ReadonlyArray<Hold>, error: JournalError): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (holds.length === 1) {
        for (const hold of holds) hold.refused(error.message)
        return Effect.logError("the commit of a run was refused").pipe(
          Effect.annotateLogs({ run: holds[0]?.id, error: error.message })
        )
      }
      return Effect.forEach(holds, (hold) => {
        hold.notWritten()
        return hold.canCommit ? this.write([hold]) : Effect.void
      }, { discard: true })
    })
  }
}
