/**
 * Sets of queues whose last claim found limits. The next claim of such a set begins with the statement for limits. A
 * wrong guess costs one more statement: each of the two claim statements reports when the other one was needed.
 */

/** Sets that are kept at most; beyond that, all are forgotten. */
const MAX_SETS = 1_000

/** The set's name, in any order of its queues. */
const nameOf = (queues: ReadonlyArray<string>): string => JSON.stringify(queues.toSorted())

export class LimitedQueueSets {
  private readonly sets = new Set<string>()

  has(queues: ReadonlyArray<string>): boolean {
    return this.sets.has(nameOf(queues))
  }

  set(queues: ReadonlyArray<string>, isLimited: boolean): void {
    if (this.sets.size > MAX_SETS) this.sets.clear()
    if (isLimited) this.sets.add(nameOf(queues))
    else this.sets.delete(nameOf(queues))
  }
}
