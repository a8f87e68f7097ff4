/**
 * The claim loop: takes runs while the worker has capacity. Then it waits for a hint, for the next due time, or for the
 * next poll.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { JournalError } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import type { ClaimedRun, UnreadableRun, WorkerRef } from "../../driver/JournalDriver.js"
import { logFailure, orGiveBack, pauseAfter, retryWhileAway } from "./faults.js"
import { Latch } from "./Latch.js"
import { sleep } from "../util/timers.js"

/** Pauses after hints that led to no claim. A claim skips rows that another statement has locked for a moment. */
const HINT_RETRY_MILLIS: ReadonlyArray<number> = [5, 25]

/** The range of the pause while another worker claims from a queue with limits. */
const CONTENTION_RETRY_MILLIS = [2, 10] as const

/** After a full claim, the loop claims again only when this share of the worker's concurrency is free. */
const MIN_FREE_SHARE = 1 / 4

export interface ClaimerOptions {
  readonly worker: WorkerRef
  readonly queues: ReadonlyArray<string>
  /** Most runs in one claim. */
  readonly batch: number
  readonly pollMillis: number
  /** The capacity of an idle worker, in runs. */
  readonly concurrency: number
  /** How many more runs the worker can take. */
  readonly capacity: () => number
  /** The hot machines, as run id and next sequence number. None of them may be dropped until `claimed`. */
  readonly hot: () => ReadonlyMap<string, number>
  /** The claim is over, and its runs were adopted. */
  readonly claimed: () => void
  readonly adopt: (runs: ReadonlyArray<ClaimedRun>) => void
  /** Parks claimed runs that cannot be read. */
  readonly park: (runs: ReadonlyArray<UnreadableRun>) => Effect.Effect<void, JournalError>
  /** Counts the times that the lease had run out. Other workers may have the runs of a claim that was sent before. */
  readonly lapses: () => number
  /** The result of a claim was lost, or came too late. */
  readonly suspect: () => void
  readonly mayClaim: () => boolean
}

export class Claimer {
  private readonly wake = new Latch()
  /** Claims without runs since the last hint. */
  private emptyClaims = Infinity
  private nextDue: number | null = null
  /** The last claim was full: more runs probably wait, and a little capacity is not worth a statement. */
  backlog = false
  /** Runs may be claimable now, but another worker was claiming from their queue. */
  private more = false
  /** Runs of queues with limits wait for other runs to end: any end here may let one of them start. */
  private limited = false
  /** The number of claims: each queue in rotation is the first one. */
  private rotation = 0

  constructor(private readonly journal: JournalService, private readonly options: ClaimerOptions) {}

  /** A run may be claimable. */
  hint(): void {
    this.wake.open()
  }

  /** The worker has more capacity. */
  capacityFreed(): void {
    if (this.limited || (this.backlog && this.hasFreeShare)) this.wake.open()
  }

  /** Claim as many runs as the worker has capacity for. Returns the number of claimed runs. */
  readonly runOnce: Effect.Effect<number, JournalError> = Effect.suspend(() => {
    const { adopt, batch, capacity, claimed, hot, lapses, mayClaim, park, suspect, worker } = this.options
    const limit = Math.min(capacity(), batch)
    const workflows = this.journal.process.registrations.list()
    if (limit <= 0 || workflows.length === 0 || !mayClaim()) {
      this.backlog = limit <= 0
      // The next due time may be long past: nothing can be claimed before something changes.
      this.nextDue = null
      return Effect.succeed(0)
    }
    const lapsesBefore = lapses()
    const queues = this.nextQueues()
    // No claimed run may be forgotten between the result and its hold.
    return Effect.uninterruptibleMask((restore) =>
      restore(this.journal.claim({ worker, workflows, queues, limit, hot: hot() })).pipe(
        Effect.map(({ limited, more, nextDue, runs, unreadable = [] }) => {
          this.nextDue = nextDue
          this.limited = limited
          this.more = more
          const claimedCount = runs.length + unreadable.length
          this.backlog = claimedCount === limit
          if (lapses() === lapsesBefore) adopt(runs)
          else suspect()
          return { claimedCount, unreadable }
        }),
        Effect.flatMap(({ claimedCount, unreadable }) =>
          unreadable.length === 0 ? Effect.succeed(claimedCount) : Effect.as(park(unreadable), claimedCount)
        ),
        // Storage may have given runs to this worker that it does not hold.
        orGiveBack(suspect),
        Effect.ensuring(Effect.sync(claimed))
      )
    )
  })

  readonly run: Effect.Effect<never> = Effect.forever(Effect.gen(this, function*() {
    const claimed = yield* this.runOnce.pipe(
      Effect.tapError(logFailure(Effect.logWarning, "a claim failed")),
      retryWhileAway,
      (claim) => pauseAfter(claim, "claims are refused")
    )
    if (claimed === undefined) return
    if (claimed > 0) this.emptyClaims = Infinity
    if (claimed > 0 && (this.backlog || this.more) && this.hasFreeShare) return
    const pause = sleep(yield* this.pauseMillis)
    const hinted = yield* Effect.raceFirst(Effect.as(this.wake.await, true), Effect.as(pause, false))
    if (hinted) this.emptyClaims = 0
  }))

  /** Until the next due time or poll, or shorter if a run may be claimable now. */
  private get pauseMillis(): Effect.Effect<number> {
    const { pollMillis } = this.options
    const wait = this.nextDue === null
      ? pollMillis
      : Math.min(pollMillis, Math.max(1, this.nextDue - this.journal.now()))
    if (this.more) {
      return Effect.map(Random.nextIntBetween(...CONTENTION_RETRY_MILLIS), (millis) => Math.min(wait, millis))
    }
    return Effect.succeed(Math.min(wait, HINT_RETRY_MILLIS[this.emptyClaims++] ?? wait))
  }

  private get hasFreeShare(): boolean {
    return this.options.capacity() >= this.options.concurrency * MIN_FREE_SHARE
  }

  /** The queues in rotation, so that claims of single runs starve no queue. */
  private nextQueues(): ReadonlyArray<string> {
    const { queues } = this.options
    const first = this.rotation++ % queues.length
    return first === 0 ? queues : [...queues.slice(first), ...queues.slice(0, first)]
  }
}
