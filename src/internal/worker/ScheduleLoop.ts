/**
 * The schedule loop: fires due schedules. Then it waits for the next due time, a hint, the end of a run that a schedule
 * waits for, or the next poll.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { JournalError } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import { fireDue } from "../schedules/firing.js"
import { logFailure, retryWhileAway } from "./faults.js"
import { Latch } from "./Latch.js"
import { sleep } from "../util/timers.js"

/**
 * The longest pause while another process fires the due schedules: at least this multiple of the time that the read
 * took, and doubled each time, within the two bounds. The process that fires does not pause, and is faster without
 * interference. If it dies, another process takes over within a second.
 */
const CONTENTION_READ_FACTOR = 8
const MIN_CONTENTION_MILLIS = 20
const MAX_CONTENTION_MILLIS = 1_000

/** How often the loop reports to storage which definitions this process has. */
const REPORT_INTERVAL_MILLIS = 60_000

export class ScheduleLoop {
  private readonly wake = new Latch()
  /** The runs that schedules wait for, each with the function that stops listening to it. */
  private readonly listening = new Map<string, () => void>()
  private nextDue: number | null = null
  /** The longest pause while another process fires; 0 if none does. */
  private contentionMillis = 0
  private reportedAt = -Infinity

  constructor(private readonly journal: JournalService, private readonly pollMillis: number) {}

  /** A schedule may be due. */
  hint(): void {
    this.wake.open()
  }

  /** Fire a page of due schedules. Returns their number. */
  readonly runOnce: Effect.Effect<number, JournalError> = Effect.gen(this, function*() {
    const { time } = this.journal.process
    this.nextDue = null
    yield* this.report
    const startedAt = time.monotonic()
    const { awaited, fired, found, nextDue } = yield* fireDue(this.journal)
    this.nextDue = nextDue
    this.contentionMillis = found === 0 || fired > 0 ? 0 : this.nextContentionMillis(time.monotonic() - startedAt)
    this.listen(new Set(awaited))
    return fired
  })

  readonly run: Effect.Effect<never> = Effect.forever(Effect.gen(this, function*() {
    const fired = yield* this.runOnce.pipe(
      Effect.tapError(logFailure(Effect.logWarning, "schedules were not fired")),
      retryWhileAway,
      Effect.catchAll((error) => Effect.as(logFailure(Effect.logError, "schedules cannot be fired")(error), 0))
    )
    if (fired > 0) return
    const pause = this.contentionMillis === 0 ? this.pollMillis : yield* Random.nextRange(2, this.contentionMillis)
    const due = this.nextDue === null ? Infinity : Math.max(1, this.nextDue - this.journal.now())
    yield* Effect.raceFirst(this.wake.await, sleep(Math.min(pause, due)))
  })).pipe(Effect.ensuring(Effect.sync(() => this.listen(new Set()))))

  private nextContentionMillis(readMillis: number): number {
    const millis = Math.max(MIN_CONTENTION_MILLIS, readMillis * CONTENTION_READ_FACTOR, this.contentionMillis * 2)
    return Math.min(millis, MAX_CONTENTION_MILLIS)
  }

  /** Report the schedules that this process defines, if the last report is old. */
  private readonly report: Effect.Effect<void, JournalError> = Effect.suspend(() => {
    const { registrations, time } = this.journal.process
    const now = time.monotonic()
    if (now < this.reportedAt + REPORT_INTERVAL_MILLIS) return Effect.void
    const names = [...registrations.schedules.keys()]
    if (names.length === 0) return Effect.void
    return Effect.map(this.journal.seeSchedules(names), () => {
      this.reportedAt = now
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
