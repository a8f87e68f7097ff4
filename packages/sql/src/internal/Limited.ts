/**
 * Which claims are about queues with limits, as far as is known: they begin with the statement for those. It is only a
 * guess, for each of the two statements says when it was for the other one.
 */

/** So many sets of queues at most; then all are forgotten. */
const most = 1_000

/** The set's name, whatever the order. */
const nameOf = (queues: ReadonlyArray<string>): string => JSON.stringify(queues.toSorted())

export class Limited {
  private readonly sets = new Set<string>()

  has(queues: ReadonlyArray<string>): boolean {
    return this.sets.has(nameOf(queues))
  }

  note(queues: ReadonlyArray<string>, limited: boolean): void {
    if (this.sets.size > most) this.sets.clear()
    if (limited) this.sets.add(nameOf(queues))
    else this.sets.delete(nameOf(queues))
  }
}
