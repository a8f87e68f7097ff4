/**
 * Group commit: whatever holds have to write is written together, a few statements at a time, with no added delay. While
 * a statement is on its way, the next batch gathers.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { JournalError } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import type { WorkerRef } from "../../driver/JournalDriver.js"
import type { Hold } from "./Hold.js"
import { Latch } from "./Latch.js"

/** Pauses between attempts when storage is away. */
export const transientFaults = Schedule.jittered(
  Schedule.union(Schedule.exponential("20 millis"), Schedule.spaced("5 seconds"))
)

export class Committer {
  private readonly dirty = new Set<Hold>()
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
    this.dirty.add(hold)
    this.work.open()
  }

  get isIdle(): boolean {
    return this.dirty.size === 0 && this.inFlight === 0
  }

  /** Write one batch of what waits now. Answers how many runs it had. */
  readonly runOnce: Effect.Effect<number> = Effect.suspend(() => {
    const holds: Array<Hold> = []
    for (const hold of this.dirty) {
      if (holds.length >= this.batch) break
      this.dirty.delete(hold)
      if (hold.canCommit) holds.push(hold)
    }
    if (holds.length === 0) return Effect.succeed(0)
    return Effect.as(this.write(holds), holds.length)
  })

  /** For ever: write what waits. Several of these may run side by side. */
  readonly run: Effect.Effect<never> = Effect.forever(
    Effect.flatMap(this.runOnce, (count) => count > 0 ? Effect.void : this.work.await)
  )

  private write(holds: ReadonlyArray<Hold>): Effect.Effect<void> {
    const commits = holds.map((hold) => hold.takeCommit().commit)
    this.inFlight += holds.length
    return this.journal.commit({ worker: this.worker, commits }).pipe(
      Effect.tapError((error) =>
        Effect.logWarning("a commit failed").pipe(Effect.annotateLogs({ error: error.message }))
      ),
      // Commits are idempotent: the fence tells one that was applied before from one that was not.
      Effect.retry({ schedule: transientFaults, while: (error) => error.retryable }),
      Effect.matchEffect({
        onSuccess: (answers) =>
          Effect.sync(() => {
            this.inFlight -= holds.length
            answers.forEach((answer, index) => holds[index]?.committed(answer))
          }),
        onFailure: (error) => {
          this.inFlight -= holds.length
          return this.refused(holds, error)
        }
      })
    )
  }

  /** A statement that is refused for one run must not hold up the rest: write them one by one, park the culprit. */
  private refused(holds: ReadonlyArray<Hold>, error: JournalError): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (holds.length === 1) {
        for (const hold of holds) hold.refused(error.message)
        return Effect.logError("a run's commit was refused").pipe(
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
