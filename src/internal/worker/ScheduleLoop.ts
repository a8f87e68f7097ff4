/** The schedule loop: fires what is due, and waits for the next due time, a hint, the end of a run, or the next poll. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type { JournalError } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import { fireDue } from "../schedules/firing.js"
import { transientFaults } from "./Committer.js"
import { Latch } from "./Latch.js"

/**
 * When to look again, in milliseconds, while others fire what is due: within a few times as long as it took to find that out,
 * and within twice that each time anew. Whoever was first goes on at once, and gets the further the less the others are in the
 * way; if they die, somebody is back within a second.
 */
const MEANWHILE = { least: 20, most: 1_000, times: 8 }

/** How often storage is told which definitions this process has, in milliseconds. */
const SEE = 60_000

export class ScheduleLoop {
  private readonly wake = new Latch()
  /** Runs that schedules wait for, and how to stop listening. */
  private readonly listening = new Map<string, () => void>()
  private nextDue: number | null = null
  /** Within which time to look again, since others have fired what was due; 0: they have not. */
  private meanwhile = 0
  private seenAt = -Infinity

  constructor(private readonly journal: JournalService, private readonly pollMillis: number) {}

  /** Something may be due. */
  hint(): void {
    this.wake.open()
  }

  /** Fire up to a page of what is due. Answers how many schedules that were. */
  readonly runOnce: Effect.Effect<number, JournalError> = Effect.gen(this, function*() {
    this.nextDue = null
    yield* this.see
    const began = this.journal.process.time.monotonic()
    const { awaited, fired, found, nextDue } = yield* fireDue(this.journal)
    this.nextDue = nextDue
    const took = this.journal.process.time.monotonic() - began
    this.meanwhile = found === 0 || fired > 0
      ? 0
      : Math.min(Math.max(MEANWHILE.least, took * MEANWHILE.times, this.meanwhile * 2), MEANWHILE.most)
    this.listen(new Set(awaited))
    return fired
  })

  readonly run: Effect.Effect<never> = Effect.forever(Effect.gen(this, function*() {
    const fired = yield* this.runOnce.pipe(
      Effect.tapError((error) =>
        Effect.logWarning("schedules were not fired").pipe(Effect.annotateLogs({ error: error.message }))
      ),
      Effect.retry(transientFaults.pipe(Schedule.whileInput((error: JournalError) => error.retryable))),
      Effect.catchAll((error) =>
        Effect.as(
          Effect.logError("schedules cannot be fired").pipe(Effect.annotateLogs({ error: error.message })),
          0
        )
      )
    )
    if (fired > 0) return
    const again = this.meanwhile === 0 ? this.pollMillis : yield* Random.nextRange(2, this.meanwhile)
    const due = this.nextDue === null ? Infinity : Math.max(1, this.nextDue - this.journal.now())
    yield* Effect.raceFirst(this.wake.await, Effect.sleep(Duration.millis(Math.min(again, due))))
  })).pipe(Effect.ensuring(Effect.sync(() => this.listen(new Set()))))

  /** Say now and then which definitions there are. */
  private readonly see: Effect.Effect<void, JournalError> = Effect.suspend(() => {
    const now = this.journal.process.time.monotonic()
    if (now < this.seenAt + SEE) return Effect.void
    const names = [...this.journal.process.registrations.schedules.keys()]
    if (names.length === 0) return Effect.void
    return Effect.map(this.journal.seeSchedules(names), () => {
      this.seenAt = now
    })
  })

  private listen(awaited: ReadonlySet<string>): void {
    for (const [run, stop] of this.listening) {
      if (awaited.has(run)) continue
      stop()
      this.listening.delete(run)
    }
    for (const run of awaited) {
      if (this.listening.has(run)) continue
      this.listening.set(
        run,
        this.journal.process.watch.listen(run, (news) => {
          if (news._tag !== "Seen") this.wake.open()
        })
      )
    }
  }
}
