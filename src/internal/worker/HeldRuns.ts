/**
 * The runs that a worker holds, and its capacity for more. Idle runs use no capacity. Reserved capacity is for runs
 * whose start is on its way to storage.
 */
import type { Hold } from "./Hold.js"

export class HeldRuns {
  private readonly holds = new Map<string, Hold>()
  /** The idle holds, the longest idle first. */
  private readonly idle = new Set<Hold>()
  private reserved = 0

  /** `concurrency` is the capacity of a worker without runs. */
  constructor(private readonly concurrency: number) {}

  get(run: string): Hold | undefined {
    return this.holds.get(run)
  }

  has(run: string): boolean {
    return this.holds.has(run)
  }

  get ids(): ReadonlyArray<string> {
    return [...this.holds.keys()]
  }

  /** A copy, which stays valid while holds are removed. */
  get all(): ReadonlyArray<Hold> {
    return [...this.holds.values()]
  }

  add(hold: Hold): void {
    this.holds.set(hold.id, hold)
  }

  /** Remove a hold, unless a later hold of the same run replaced it. */
  remove(hold: Hold): void {
    if (this.holds.get(hold.id) === hold) this.holds.delete(hold.id)
  }

  /** Note whether a hold is idle. Returns the longest idle hold if more than `maxIdle` are. */
  setIdle(hold: Hold, maxIdle: number): Hold | undefined {
    this.idle.add(hold)
    if (this.idle.size > maxIdle) { for (const oldest of this.idle) return oldest }
    return undefined
  }

  setBusy(hold: Hold): void {
    this.idle.delete(hold)
  }

  /** How many more runs the worker can take. */
  get capacity(): number {
    return this.concurrency - (this.holds.size - this.idle.size) - this.reserved
  }

  /** Reserve capacity for up to `wanted` runs. Returns how many. */
  reserve(wanted: number): number {
    const count = Math.max(0, Math.min(wanted, this.capacity))
    this.reserved += count
    return count
  }

  release(count: number): void {
    this.reserved -= count
  }

  get isReserving(): boolean {
    return this.reserved > 0
  }

  get isEmpty(): boolean {
    return this.holds.size === 0 && this.reserved === 0
  }

  get counts(): { readonly held: number; readonly active: number; readonly idle: number } {
    const [held, idle] = [this.holds.size, this.idle.size]
    return { held, active: held - idle, idle }
  }
}
