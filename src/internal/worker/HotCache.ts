/**
 * Machines of suspended runs, kept for a while so that the next claim needs no replay. Only a cache: bounded by count and
 * age, and of no use when the run has moved on elsewhere.
 */
import type { ClaimedRun } from "../../driver/JournalDriver.js"
import type { Hold } from "./Hold.js"
import type { TimerQueue } from "./TimerQueue.js"
import { Alarm } from "./TimerQueue.js"

interface Kept {
  readonly hold: Hold
  readonly until: number
}

export class HotCache {
  /** Those that have been kept longest come first. */
  private readonly kept = new Map<string, Kept>()
  /** The next sequence number of each kept run: what a claim must find for the machine to be of use. */
  private readonly nextSeqs = new Map<string, number>()
  private readonly expiry = new Alarm(() => this.expire())
  private offers = 0
  private isClosed = false

  constructor(
    private readonly capacity: number,
    private readonly maxAgeMillis: number,
    private readonly timers: TimerQueue,
    private readonly now: () => number
  ) {}

  get sequences(): ReadonlyMap<string, number> {
    return this.nextSeqs
  }

  /**
   * What is kept, for a claim. A run that is claimed as kept comes without its journal, so nothing that was offered may be
   * let go of before `release`.
   */
  offer(): ReadonlyMap<string, number> {
    this.offers++
    return this.nextSeqs
  }

  /** The claim is over, and what it brought has been taken. */
  release(): void {
    this.offers--
    this.trim()
    this.expire()
  }

  add(hold: Hold): void {
    this.remove(hold.id)?.forget()
    if (this.capacity <= 0 || this.maxAgeMillis <= 0) return hold.forget()
    this.kept.set(hold.id, { hold, until: this.now() + this.maxAgeMillis })
    this.nextSeqs.set(hold.id, hold.nextSeq)
    this.trim()
    this.expire()
  }

  /** The kept hold of a run that was claimed again, if its machine stands where the run's journal ends. */
  take(run: ClaimedRun): Hold | undefined {
    const hold = this.remove(run.id)
    if (hold === undefined) return undefined
    if (hold.nextSeq === run.nextSeq && hold.run.generation === run.generation) return hold
    hold.forget()
    return undefined
  }

  /** Keep nothing from now on. */
  clear(): void {
    this.isClosed = true
    this.trim()
  }

  /** Let go of the oldest ones beyond the capacity, unless a claim is under way that may need them. */
  private trim(): void {
    if (this.offers > 0) return
    const capacity = this.isClosed ? 0 : this.capacity
    for (const [oldest, { hold }] of this.kept) {
      if (this.kept.size <= capacity) break
      this.remove(oldest)
      hold.forget()
    }
  }

  /** Let go of those that are too old, and look again when the next one will be. `release` comes back to it, too. */
  private expire(): void {
    if (this.offers > 0 || this.expiry.due < Infinity) return
    const now = this.now()
    for (const [oldest, { hold, until }] of this.kept) {
      if (until > now) return this.timers.set(this.expiry, until)
      this.remove(oldest)
      hold.forget()
    }
  }

  private remove(run: string): Hold | undefined {
    const kept = this.kept.get(run)
    this.kept.delete(run)
    this.nextSeqs.delete(run)
    return kept?.hold
  }
}
