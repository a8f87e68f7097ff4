/** A worker's lease: one row that beats. While it is good, the runs it holds are its own; the reaper frees those of others. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { JournalError } from "../../Errors.js"
import { WorkerIdTaken } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import type { WorkerRef } from "../../driver/JournalDriver.js"

/** Runs that one sweep of the reaper frees, or ends. */
const REAP_BATCH = 100

export interface LeaseOptions {
  readonly worker: WorkerRef
  readonly leaseMillis: number
  /** Deaths in a row, without progress, after which a run is exhausted. */
  readonly maxCrashes: number
  /** The lease had run out: others may have taken runs. */
  readonly onLapse: Effect.Effect<void, JournalError>
  /** The lease became good again, or was lost. */
  readonly onChange: () => void
  /** What the worker says of itself with each beat, as JSON. Default: nothing. */
  readonly info?: () => string
  /** Somebody asks whether the worker answers. */
  readonly onPing?: (nonce: string) => void
}

export class Lease {
  /** Until when the lease is surely good, in monotonic milliseconds of this process. */
  private goodUntil = -Infinity
  /** The lease had run out, and what that means for the held runs has not been found out yet. */
  private lapsed = false
  /**
   * How often a beat found that the lease had run out, and when last, in the driver's time. What was claimed before, and is
   * heard of only now, may be another's.
   */
  lapses = 0
  lapsedAt = -Infinity

  constructor(private readonly journal: JournalService, private readonly options: LeaseOptions) {}

  /** Whether the lease is good. A process that was paused finds out here that it may no longer start anything. */
  get isGood(): boolean {
    return this.journal.process.time.monotonic() < this.goodUntil
  }

  /** Take or renew the lease. False if another incarnation holds it. */
  readonly beat: Effect.Effect<boolean, JournalError> = Effect.suspend(() => {
    const { info, leaseMillis, onChange, onLapse, onPing, worker } = this.options
    // Counted from before the beat is sent: never later than what storage counts.
    const goodUntil = this.journal.process.time.monotonic() + leaseMillis
    return Effect.flatMap(
      this.journal.heartbeat({ worker, leaseMillis, info: info?.() ?? null }),
      ({ now, value: answer }) => {
        if (answer._tag === "Taken") {
          // It was given to another because it had run out.
          this.lapsed = true
          this.goodUntil = -Infinity
          return Effect.as(Effect.sync(onChange), false)
        }
        if (answer.ping !== null) onPing?.(answer.ping)
        // Storage says so once, and that answer may have been lost: what this process knows by itself counts as well.
        this.lapsed ||= answer.lapsed || (this.goodUntil > -Infinity && !this.isGood)
        // Whatever this process's clock says: nothing starts before it is known which runs are still its own.
        if (this.lapsed) {
          this.goodUntil = -Infinity
          this.lapsedAt = now
          this.lapses++
        }
        return Effect.as(
          Effect.zipRight(
            this.lapsed
              ? Effect.zipRight(
                Effect.logWarning("the worker's lease had run out: others may have taken its runs"),
                onLapse
              )
              : Effect.void,
            Effect.sync(() => {
              this.lapsed = false
              const wasGood = this.isGood
              this.goodUntil = goodUntil
              if (!wasGood) onChange()
            })
          ),
          true
        )
      }
    )
  })

  /** Take the lease at start. A predecessor of the same id that died is waited for as long as its lease may last. */
  readonly acquire: Effect.Effect<void, JournalError | WorkerIdTaken> = Effect.suspend(() => {
    const deadline = this.journal.process.time.monotonic() + this.options.leaseMillis * 1.5
    const attempt: Effect.Effect<void, JournalError | WorkerIdTaken> = Effect.flatMap(this.beat, (held) => {
      if (held) return Effect.void
      return this.journal.process.time.monotonic() >= deadline
        ? new WorkerIdTaken({ workerId: this.options.worker.id })
        : Effect.zipRight(Effect.sleep(Duration.millis(Math.max(1, this.options.leaseMillis / 10))), attempt)
    })
    return attempt
  })

  /** For ever: beat three times a lease, so that two may fail. */
  readonly run: Effect.Effect<never> = Effect.forever(
    Effect.zipRight(
      Effect.suspend(() => Effect.sleep(Duration.millis(this.options.leaseMillis / 3))),
      Effect.suspend(() => this.beat).pipe(
        Effect.flatMap((held) =>
          held
            ? Effect.void
            : Effect.logError(`another worker holds the id "${this.options.worker.id}": this one takes no runs`)
        ),
        Effect.catchAll((error) =>
          Effect.logWarning("a heartbeat failed").pipe(Effect.annotateLogs({ error: error.message }))
        )
      )
    )
  )

  /** Free runs of workers whose lease has run out. Answers how many. */
  readonly reapOnce: Effect.Effect<number, JournalError> = Effect.suspend(() =>
    Effect.map(
      this.journal.reap({ limit: REAP_BATCH, maxCrashes: this.options.maxCrashes }),
      ({ exhausted, released }) => exhausted + released
    )
  )

  /** End runs that were not claimed before their deadline. Answers how many. */
  readonly expireOnce: Effect.Effect<number, JournalError> = Effect.suspend(() =>
    Effect.map(
      this.journal.expire({ limit: REAP_BATCH }),
      ({ expired }) => expired
    )
  )

  /** For ever: reap and expire, at once again while there is a full batch. */
  readonly reaper: Effect.Effect<never> = Effect.forever(
    Effect.flatMap(
      Effect.zipWith(sweep("reaping", this.reapOnce), sweep("expiring", this.expireOnce), Math.max),
      (most) => most >= REAP_BATCH ? Effect.void : Effect.sleep(Duration.millis(this.options.leaseMillis / 2))
    )
  )
}

const sweep = (what: string, once: Effect.Effect<number, JournalError>): Effect.Effect<number> =>
  Effect.catchAll(
    once,
    (error) => Effect.as(Effect.logWarning(`${what} failed`).pipe(Effect.annotateLogs({ error: error.message })), 0)
  )
