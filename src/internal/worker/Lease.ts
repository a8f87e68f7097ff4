/**
 * The lease of a worker: one row, which heartbeats extend. While the lease is good, no other worker can take the
 * worker's runs. The reaper of each worker releases the runs of workers whose lease has run out.
 */
import * as Effect from "effect/Effect"
import type { JournalError } from "../../Errors.js"
import { WorkerIdTaken } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import type { LeaseKeeper, WorkerRef } from "../../driver/JournalDriver.js"
import { logFailure } from "./faults.js"
import { sleep } from "../util/timers.js"

/** Most runs that one sweep releases or ends. */
const SWEEP_RUN_COUNT = 100

/** Heartbeats within the duration of a lease: two of them can fail. */
const BEATS_PER_LEASE = 3

/** How long a start waits for the lease of a dead predecessor with the same id, in durations of a lease. */
const ACQUIRE_TIMEOUT_LEASES = 1.5

export interface LeaseOptions {
  readonly worker: WorkerRef
  readonly leaseMillis: number
  /** Deaths of workers in a row, without a commit between, after which a run is exhausted. */
  readonly maxCrashes: number
  /** The lease had run out: other workers may have taken runs. */
  readonly onLapse: Effect.Effect<void, JournalError>
  /** The lease became good again, or was lost. */
  readonly onChange: () => void
  /** Names the step bodies that execute, for a message. Default none. */
  readonly executing?: () => string
  /** The description of the worker in each heartbeat, as JSON text. Default none. */
  readonly info?: () => string
  /** A heartbeat returned an unanswered ping. */
  readonly onPing?: (nonce: string) => void
}

export class Lease {
  /** The lease is certainly good until then, in monotonic milliseconds of this process. */
  private goodUntil = -Infinity
  /** The lease had run out, and `onLapse` has not succeeded since. */
  private lapsed = false
  /** Heartbeats that found the lease run out. Other workers may have the runs of a claim that was sent before. */
  lapses = 0
  /** Extends the lease while the event loop is busy. */
  private keeper: LeaseKeeper | undefined
  /** The driver time of the last lapse, in milliseconds since the epoch. */
  lapsedAt = -Infinity

  constructor(private readonly journal: JournalService, private readonly options: LeaseOptions) {}

  /** Whether the lease is good. It is false in a process that was frozen for too long. */
  get isGood(): boolean {
    return this.journal.process.time.monotonic() < this.goodUntil || (this.keeper?.remainingMillis() ?? 0) > 0
  }

  /** From now on, `keeper` extends the lease while the event loop is busy. */
  keepWith(keeper: LeaseKeeper): void {
    this.keeper = keeper
    keeper.beat()
  }

  /** Acquire or extend the lease. Returns false if another process has it. */
  readonly beat: Effect.Effect<boolean, JournalError> = Effect.suspend(() => {
    const { info, leaseMillis, onPing, worker } = this.options
    // From before the heartbeat is sent: never later than the end that storage computes.
    const goodUntil = this.journal.process.time.monotonic() + leaseMillis
    return Effect.flatMap(
      this.journal.heartbeat({ worker, leaseMillis, info: info?.() ?? null }),
      ({ now, value }) => {
        if (value._tag === "Taken") return Effect.as(this.lose, false)
        if (value.ping !== null) onPing?.(value.ping)
        this.detectLapse(value.lapsed, now)
        return Effect.as(Effect.zipRight(this.recover, Effect.sync(() => this.extend(goodUntil))), true)
      }
    )
  })

  /** Another process acquired the lease because it had run out. */
  private readonly lose: Effect.Effect<void> = Effect.sync(() => {
    this.lapsed = true
    this.goodUntil = -Infinity
    this.keeper?.stop()
    this.options.onChange()
  })

  private detectLapse(isReported: boolean, now: number): void {
    // Storage reports a lapse once, and that result may have been lost: the clock of this process counts, too.
    this.lapsed ||= isReported || (this.goodUntil > -Infinity && !this.isGood)
    if (!this.lapsed) return
    // Nothing starts before `recover` has found out which runs the worker still holds.
    this.goodUntil = -Infinity
    this.keeper?.stop()
    this.lapsedAt = now
    this.lapses++
  }

  private readonly recover: Effect.Effect<void, JournalError> = Effect.suspend(() =>
    this.lapsed
      ? Effect.zipRight(
        Effect.logWarning("the lease of the worker had run out: other workers may have taken its runs"),
        this.options.onLapse
      )
      : Effect.void
  )

  private extend(goodUntil: number): void {
    this.lapsed = false
    const wasGood = this.isGood
    this.goodUntil = goodUntil
    this.keeper?.beat()
    if (!wasGood) this.options.onChange()
  }

  /** Acquire the lease at start. Waits for the lease of a dead predecessor with the same id to run out. */
  readonly acquire: Effect.Effect<void, JournalError | WorkerIdTaken> = Effect.suspend(() => {
    const deadline = this.journal.process.time.monotonic() + this.options.leaseMillis * ACQUIRE_TIMEOUT_LEASES
    const attempt: Effect.Effect<void, JournalError | WorkerIdTaken> = Effect.flatMap(this.beat, (isOwner) => {
      if (isOwner) return Effect.void
      return this.journal.process.time.monotonic() >= deadline
        ? new WorkerIdTaken({ workerId: this.options.worker.id })
        : Effect.zipRight(sleep(Math.max(1, this.options.leaseMillis / 10)), attempt)
    })
    return attempt
  })

  /** Waits for the time of the next heartbeat. Says so if the event loop was busy at that time. */
  private get pause(): Effect.Effect<void> {
    const { executing, leaseMillis } = this.options
    const pauseMillis = leaseMillis / BEATS_PER_LEASE
    const due = this.journal.process.time.monotonic() + pauseMillis
    return Effect.zipRight(
      sleep(pauseMillis),
      Effect.suspend(() => {
        const late = this.journal.process.time.monotonic() - due
        if (late < pauseMillis) return Effect.void
        const names = executing?.() ?? ""
        return Effect.logWarning(
          `a heartbeat is ${Math.round(late)} ms late, of a lease of ${leaseMillis} ms: the process was frozen, or a ` +
            `step computed without a pause. ${names === "" ? "No step executes now" : `Executing now: ${names}`}`
        )
      })
    )
  }

  /** Sends heartbeats forever. */
  readonly run: Effect.Effect<never> = Effect.forever(
    Effect.zipRight(
      Effect.suspend(() => this.pause),
      Effect.suspend(() => this.beat).pipe(
        Effect.flatMap((isOwner) =>
          isOwner
            ? Effect.void
            : Effect.logError(
              `another process uses the worker id "${this.options.worker.id}": this worker claims no runs`
            )
        ),
        Effect.catchAll(logFailure(Effect.logWarning, "a heartbeat failed"))
      )
    )
  )

  /** Release runs of workers whose lease has run out. Returns their number. */
  readonly reapOnce: Effect.Effect<number, JournalError> = Effect.suspend(() =>
    this.journal.reap({ limit: SWEEP_RUN_COUNT, maxCrashes: this.options.maxCrashes }).pipe(
      Effect.tap(({ exhausted }) => exhausted === 0 ? Effect.void : logExhausted(exhausted)),
      Effect.map(({ exhausted, released }) => exhausted + released)
    )
  )

  /** End runs that were not claimed before their deadline. Returns their number. */
  readonly expireOnce: Effect.Effect<number, JournalError> = Effect.suspend(() =>
    Effect.map(
      this.journal.expire({ limit: SWEEP_RUN_COUNT }),
      ({ expired }) => expired
    )
  )

  /**
   * Reaps and expires forever, without a pause after a full batch. Without a good lease it does not reap: after a pause
   * of the process, the next heartbeat must come first, or the worker would release its own runs.
   */
  readonly reaper: Effect.Effect<never> = Effect.forever(
    Effect.flatMap(
      Effect.zipWith(
        sweep("reaping", Effect.suspend(() => this.isGood ? this.reapOnce : Effect.succeed(0))),
        sweep("expiring", this.expireOnce),
        Math.max
      ),
      (most) => most >= SWEEP_RUN_COUNT ? Effect.void : sleep(this.options.leaseMillis / 2)
    )
  )
}

const logExhausted = (count: number): Effect.Effect<void> =>
  Effect.logError(
    `${count} run(s) ended as exhausted, because too many workers in a row died with them: ` +
      `list them by Runs.list({ status: "exhausted" })`
  )

const sweep = (what: string, once: Effect.Effect<number, JournalError>): Effect.Effect<number> =>
  Effect.catchAll(once, (error) => Effect.as(logFailure(Effect.logWarning, `${what} failed`)(error), 0))
