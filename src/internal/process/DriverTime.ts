/**
 * A worker's estimate of the driver's clock: an offset over this process's monotonic clock, refreshed by every answer.
 *
 * An answer's `now` was taken at most one round trip before it arrived, so the largest offset of late is the best one;
 * a jump of the driver's clock by more than a second is followed at once.
 */
import type * as Clock from "effect/Clock"

/** A difference, in milliseconds, that is a jump of a clock and not the latency of an answer. */
const JUMP = 1000

/** How much of the distance to a smaller offset is followed with each answer, so that slow drift is not ignored. */
const DRIFT = 0.02

export class DriverTime {
  private offset: number | undefined

  constructor(private readonly clock: Clock.Clock) {}

  /** Monotonic milliseconds of this process. */
  monotonic(): number {
    return Number(this.clock.unsafeCurrentTimeNanos() / 1000n) / 1000
  }

  /** Take note of an answer's `now`. */
  observe(now: number): void {
    const seen = now - this.monotonic()
    if (this.offset === undefined || seen > this.offset || this.offset - seen > JUMP) this.offset = seen
    else this.offset -= (this.offset - seen) * DRIFT
  }

  /** The driver's time as estimated, in whole milliseconds since the epoch. */
  now(): number {
    return Math.floor(this.monotonic() + (this.offset ?? 0))
  }
}
