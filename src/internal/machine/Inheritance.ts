/**
 * What a fork's machine knows of the entries that its run took over from another one.
 *
 * A child that has ended in these entries is the other run's: it keeps that run's id for it, and is not started again. Of
 * the other children that the program started by then, each is started, as the fork's own, when the fork first waits for
 * it or writes to it; those of which it wants nothing are left to the other run.
 */
import * as Predicate from "effect/Predicate"
import type { ChildSpec, MachineEntry, OpData } from "./Op.js"

/** The part of a child's id that says where its parent started it. */
const placeOf = (id: string): string => id.slice(id.lastIndexOf("."))

export class Inheritance {
  /** Ids of children that have ended, by their place. */
  private readonly ended = new Map<string, string>()
  private readonly unstarted = new Map<string, ChildSpec>()
  private within: boolean
  /** The program goes beyond what was taken over, and what it does now has not been committed. */
  isAtCut = false

  /** The entries that are replayed, of which the first so many were taken over. */
  constructor(private readonly replay: ReadonlyArray<MachineEntry>, private readonly count: number) {
    this.within = count > 0
    for (const { exit, kind } of replay.slice(0, count)) {
      if (kind !== "child" || !Predicate.hasProperty(exit.data, "run") || !Predicate.isString(exit.data.run)) continue
      this.ended.set(placeOf(exit.data.run), exit.data.run)
    }
  }

  /** An entry is about to be delivered. */
  before(index: number): void {
    this.isAtCut = this.count > 0 && index === this.count - 1 && this.replay.length === this.count
  }

  /** An entry was delivered. Answers whether it was the last one that was taken over. */
  after(index: number): boolean {
    const isLast = index === this.count - 1
    if (isLast) this.within = false
    return isLast
  }

  /** The child that is started at a place, and whether that is to be done now. */
  start(child: ChildSpec): { readonly child: ChildSpec; readonly now: boolean } {
    const ended = this.ended.get(placeOf(child.id))
    if (ended !== undefined) return { child: { ...child, id: ended }, now: false }
    if (this.within) this.unstarted.set(child.id, child)
    return { child, now: !this.within }
  }

  /** The child that must be started for this op. */
  wanted(data: OpData): ChildSpec | undefined {
    if (this.within) return undefined
    const id = data._tag === "Child" ? data.id : data._tag === "Send" ? data.to : ""
    const child = this.unstarted.get(id)
    this.unstarted.delete(id)
    return child
  }

  /** Nobody waits for a child any more. Answers whether it was not even started. */
  dropped(id: string): boolean {
    return this.unstarted.delete(id)
  }
}
