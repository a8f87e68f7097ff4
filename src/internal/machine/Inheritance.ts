/**
 * The children of a fork: a run whose first entries were inherited from another run.
 *
 * - A child that ended within the inherited entries belongs to the other run. The fork uses that child's id and does
 *   not start it.
 * - Any other child that the program started by then is started as a child of the fork when the fork first waits for it
 *   or sends it a message, and not before.
 */
import * as Predicate from "effect/Predicate"
import type { ChildSpec, MachineEntry, OpData } from "./Op.js"

/** The last part of a child's id: the op by which its parent started it. */
const placeOf = (id: string): string => id.slice(id.lastIndexOf("."))

export class Inheritance {
  /** Ids of children that ended within the inherited entries, by their place. */
  private readonly ended = new Map<string, string>()
  private readonly unstarted = new Map<string, ChildSpec>()
  /** Inherited entries are still to be delivered. */
  private isInherited: boolean
  /** The last inherited entry is being delivered, and no own entry follows it: what the program does now is new. */
  isAtCut = false

  /** The first `count` of the entries to be replayed are inherited. */
  constructor(private readonly replay: ReadonlyArray<MachineEntry>, private readonly count: number) {
    this.isInherited = count > 0
    for (const { exit, kind } of replay.slice(0, count)) {
      if (kind !== "child" || !Predicate.hasProperty(exit.data, "run") || !Predicate.isString(exit.data.run)) continue
      this.ended.set(placeOf(exit.data.run), exit.data.run)
    }
  }

  /** An entry is about to be delivered. */
  before(index: number): void {
    this.isAtCut = this.count > 0 && index === this.count - 1 && this.replay.length === this.count
  }

  /** An entry was delivered. Returns whether it was the last inherited one. */
  after(index: number): boolean {
    const isLast = index === this.count - 1
    if (isLast) this.isInherited = false
    return isLast
  }

  /** The child with the id that it has for this run, and whether to start it now. */
  start(child: ChildSpec): { readonly child: ChildSpec; readonly now: boolean } {
    const ended = this.ended.get(placeOf(child.id))
    if (ended !== undefined) return { child: { ...child, id: ended }, now: false }
    if (this.isInherited) this.unstarted.set(child.id, child)
    return { child, now: !this.isInherited }
  }

  /** The unstarted child that this op needs. */
  wanted(data: OpData): ChildSpec | undefined {
    if (this.isInherited) return undefined
    const id = data._tag === "Child" ? data.id : data._tag === "Send" ? data.to : ""
    const child = this.unstarted.get(id)
    this.unstarted.delete(id)
    return child
  }

  /** The program gave up waiting for a child. Returns whether the child was unstarted. */
  dropped(id: string): boolean {
    return this.unstarted.delete(id)
  }
}
