/** The claim loop: takes runs while there are slots, and waits for a hint, a due time or the next poll when there are none. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type { JournalError } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import type { ClaimedRun, WorkerRef } from "../../driver/JournalDriver.js"
import { transientFaults } from "./Committer.js"
import { Latch } from "./Latch.js"

/** When to look again, in milliseconds, after a hint that led to no claim. */
const AGAIN: ReadonlyArray<number> = [5, 25]

/** When to look again, in milliseconds, while somebody else claims from a queue with limits. */
const MEANWHILE = [2, 10] as const

export interface ClaimerOptions {
  readonly worker: WorkerRef
  readonly queues: ReadonlyArray<string>
  /** Most runs in one claim. */
  readonly batch: number
  readonly pollMillis: number
  /** Slots in all. */
  readonly concurrency: number
  readonly freeSlots: () => number
  /** The machines that are kept hot: none of them may be let go of until `claimed`. */
  readonly held: () => ReadonlyMap<string, number>
  /** The claim is over, and its runs are adopted. */
  readonly claimed: () => void
  readonly adopt: (runs: ReadonlyArray<ClaimedRun>) => void
  /** How often the lease has run out: what was claimed before may be another's. */
  readonly lapses: () => number
  /** A claim was sent whose answer did not come, or came too late. */
  readonly suspect: () => void
  readonly mayClaim: () => boolean
}

export class Claimer {
  private readonly wake = new Latch()
  /** Claims that came back empty after a hint. */
  private emptyHanded = Infinity
  private nextDue: number | null = null
  /** The last claim was full: more runs are likely to wait, and a few free slots are not worth a statement. */
  backlog = false
  /** There may be runs to claim now, but somebody else was about to. */
  private more = false
  /** Runs of queues with limits wait for others to end: any end here may let one of them start. */
  private limited = false
  private turn = 0

  constructor(private readonly journal: JournalService, private readonly options: ClaimerOptions) {}

  /** Something may be claimable. */
  hint(): void {
    this.wake.open()
  }

  /** A slot became free. */
  slotFreed(): void {
    if (this.limited) this.wake.open()
    else if (this.backlog && this.options.freeSlots() * 4 >= this.options.concurrency) this.wake.open()
  }

  /** Claim as much as there are slots for. Answers how many runs were claimed. */
  readonly runOnce: Effect.Effect<number, JournalError> = Effect.suspend(() => {
    const { adopt, batch, claimed, freeSlots, held, lapses, mayClaim, suspect, worker } = this.options
    const limit = Math.min(freeSlots(), batch)
    const workflows = this.journal.process.registrations.list()
    if (limit <= 0 || workflows.length === 0 || !mayClaim()) {
      this.backlog = limit <= 0
      // What was due then may be long overdue: it is no reason to look again before something changes.
      this.nextDue = null
      return Effect.succeed(0)
    }
    const before = lapses()
    const queues = this.nextQueues()
    // Claimed runs must not be forgotten between the answer and their hold.
    return Effect.uninterruptibleMask((restore) =>
      restore(this.journal.claim({ worker, workflows, queues, limit, hot: held() })).pipe(
        Effect.onError(() => Effect.sync(suspect)),
        Effect.map(({ limited, more, nextDue, runs }) => {
          this.nextDue = nextDue
          this.limited = limited
          this.more = more
          this.backlog = runs.length === limit
          if (lapses() === before) adopt(runs)
          else suspect()
          return runs.length
        }),
        Effect.ensuring(Effect.sync(claimed))
      )
    )
  })

  /** Each queue comes first in turn, so that none is starved by claims of a single run. */
  private nextQueues(): ReadonlyArray<string> {
    const { queues } = this.options
    const first = this.turn++ % queues.length
    return first === 0 ? queues : [...queues.slice(first), ...queues.slice(0, first)]
  }

  readonly run: Effect.Effect<never> = Effect.forever(Effect.gen(this, function*() {
    const claimed = yield* this.runOnce.pipe(
      Effect.tapError((error) =>
        Effect.logWarning("a claim failed").pipe(Effect.annotateLogs({ error: error.message }))
      ),
      Effect.retry(transientFaults.pipe(Schedule.whileInput((error: JournalError) => error.retryable))),
      Effect.catchAll((error) =>
        Effect.as(Effect.logError("claims are refused").pipe(Effect.annotateLogs({ error: error.message })), 0)
      )
    )
    if (claimed > 0) this.emptyHanded = Infinity
    if (claimed > 0 && (this.backlog || this.more) && this.options.freeSlots() * 4 >= this.options.concurrency) return
    const now = this.journal.now()
    const { pollMillis } = this.options
    const wait = this.nextDue === null ? pollMillis : Math.min(pollMillis, Math.max(1, this.nextDue - now))
    // A claim passes over rows that somebody else has locked for a moment, so a hint that led to nothing is followed again.
    const again = this.more ? yield* Random.nextIntBetween(...MEANWHILE) : AGAIN[this.emptyHanded++]
    const pause = Duration.millis(again === undefined ? wait : Math.min(wait, again))
    const hinted = yield* Effect.raceFirst(Effect.as(this.wake.await, true), Effect.as(Effect.sleep(pause), false))
    if (hinted) this.emptyHanded = 0
  }))
}
