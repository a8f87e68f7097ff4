/**
 * A list kept in order by a comparator: what an index is to a database. Items must differ under the comparator.
 *
 * It is kept in chunks of bounded length, so that a change moves a few hundred items at most, however long it is.
 */
const most = 512

/** Index of the first item that does not come before, by bisection. */
const place = <A>(items: ReadonlyArray<A>, isBefore: (item: A) => boolean): number => {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const item = items[middle]
    if (item !== undefined && isBefore(item)) low = middle + 1
    else high = middle
  }
  return low
}

export class SortedList<A extends object> {
  /** None is empty; each is before the next. */
  private chunks: Array<Array<A>> = []
  private readonly order: (a: A, b: A) => number

  constructor(order: (a: A, b: A) => number) {
    this.order = order
  }

  get first(): A | undefined {
    return this.chunks[0]?.[0]
  }

  insert(item: A): void {
    const at = Math.min(this.chunkOf(item), this.chunks.length - 1)
    const chunk = this.chunks[at]
    if (chunk === undefined) {
      this.chunks.push([item])
      return
    }
    chunk.splice(this.placeIn(chunk, item), 0, item)
    if (chunk.length > most) this.chunks.splice(at + 1, 0, chunk.splice(most >>> 1))
  }

  /** False if the list does not hold an item equal to this one. */
  remove(item: A): boolean {
    const at = this.chunkOf(item)
    const chunk = this.chunks[at]
    if (chunk === undefined) return false
    const index = this.placeIn(chunk, item)
    const found = chunk[index]
    if (found === undefined || this.order(found, item) !== 0) return false
    chunk.splice(index, 1)
    if (chunk.length === 0) this.chunks.splice(at, 1)
    return true
  }

  /** Empty the list and give what was in it, in order. */
  drain(): ReadonlyArray<A> {
    return this.chunks.splice(0).flat()
  }

  *[Symbol.iterator](): IterableIterator<A> {
    for (const chunk of this.chunks) yield* chunk
  }

  /** Index of the chunk in which the item is, if it is in any. */
  private chunkOf(item: A): number {
    return place(this.chunks, (chunk) => this.order(chunk[chunk.length - 1] ?? item, item) < 0)
  }

  private placeIn(chunk: ReadonlyArray<A>, item: A): number {
    return place(chunk, (other) => this.order(other, item) < 0)
  }
}
