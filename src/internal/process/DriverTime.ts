/**
 * An estimate of the driver's clock: an offset over this process's monotonic clock, refreshed by every answer.
 *
 * An answer's `now` was read at most one round trip before it arrived, so the largest recent offset is the best one. A
 * jump of the driver's clock by more than a second is followed at once.
 */
import type * as Clock from "effect/Clock"

/** A larger difference is a jump of the clock, not the latency of an answer. */
const JUMP_MILLIS = 1000

/** The share of the distance to a smaller offset that each answer corrects, so that slow drift counts. */
const DRIFT_SHARE = 0.02

export class DriverTime {
  private offset: number | undefined

  constructor(private readonly clock: Clock.Clock) {}

  /** Monotonic milliseconds of this process. */
  monotonic(): number {
    return Number(this.clock.unsafeCurrentTimeNanos() / 1000n) / 1000
  }

  /** Whether an answer has had the driver's time. Until then, `now` is this process's clock. */
  get isKnown(): boolean {
    return this.offset !== undefined
  }

  /** Refreshes the estimate by an answer's `now`; not by one that is not finite, which no storage gave. */
  observe(now: number): void {
    if (!Number.isFinite(now)) return
    const seen = now - this.monotonic()
    if (this.offset === undefined || seen > this.offset || this.offset - seen > JUMP_MILLIS) this.offset = seen
    else this.offset -= (this.offset - seen) * DRIFT_SHARE
  }

  /** The driver's time as estimated, in whole milliseconds since the epoch. */
  now(): number {
    return Math.floor(this.monotonic() + (this.offset ?? 0))
  }
}
