/**
 * The machines of suspended runs, kept for a while so that the next claim needs no replay. It is only a cache, bounded
 * by count and age. A machine is useless when its run was executed elsewhere since.
 */
import type { ClaimedRun } from "../../driver/JournalDriver.js"
import type { Hold } from "./Hold.js"
import type { TimerQueue } from "./TimerQueue.js"
import { Alarm } from "./TimerQueue.js"

interface HotMachine {
  readonly hold: Hold
  readonly expiresAt: number
}

export class HotCache {
  /** The oldest first. */
  private readonly machines = new Map<string, HotMachine>()
  /** The next sequence number of each run: a machine is useful only if the claim returns the same number. */
  private readonly nextSeqs = new Map<string, number>()
  private readonly expiry = new Alarm(() => this.expire())
  /** Claims that are on their way. */
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
   * The next sequence numbers, for a claim. Storage omits the journal of a run that matches, so no machine is dropped
   * before `release`.
   */
  offer(): ReadonlyMap<string, number> {
    this.offers++
    return this.nextSeqs
  }

  /** The claim is over, and its runs were taken. */
  release(): void {
    this.offers--
    this.trim()
    this.expire()
  }

  add(hold: Hold): void {
    this.remove(hold.id)?.forget()
    if (this.capacity <= 0 || this.maxAgeMillis <= 0) return hold.forget()
    this.machines.set(hold.id, { hold, expiresAt: this.now() + this.maxAgeMillis })
    this.nextSeqs.set(hold.id, hold.nextSeq)
    this.trim()
    this.expire()
  }

  /** Take the hold of a run that was claimed again, if its machine is at the end of the run's journal. */
  take(run: ClaimedRun): Hold | undefined {
    const hold = this.remove(run.id)
    if (hold === undefined) return undefined
    if (hold.nextSeq === run.nextSeq && hold.run.generation === run.generation) return hold
    hold.forget()
    return undefined
  }

  /** Keep no machine from now on. */
  clear(): void {
    this.isClosed = true
    this.trim()
  }

  /** Drop the oldest machines above the capacity, unless a claim is on its way. */
  private trim(): void {
    if (this.offers > 0) return
    const capacity = this.isClosed ? 0 : this.capacity
    for (const [oldest, { hold }] of this.machines) {
      if (this.machines.size <= capacity) break
      this.remove(oldest)
      hold.forget()
    }
  }

  /**
   * Drop the machines that are too old, and set the alarm for the next one. While a claim is on its way, `release`
   * does.
   */
  private expire(): void {
    if (this.offers > 0 || this.expiry.due < Infinity) return
    const now = this.now()
    for (const [oldest, { expiresAt, hold }] of this.machines) {
      if (expiresAt > now) return this.timers.set(this.expiry, expiresAt)
      this.remove(oldest)
      hold.forget()
    }
  }

  private remove(run: string): Hold | undefined {
    const machine = this.machines.get(run)
    this.machines.delete(run)
    this.nextSeqs.delete(run)
    return machine?.hold
  }
}
