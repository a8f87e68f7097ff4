/**
 * A list that a comparator keeps in order, like the index of a database. No two items may be equal under the
 * comparator.
 *
 * The list consists of chunks of bounded length, so a change moves at most a few hundred items.
 */
const MAX_CHUNK_LENGTH = 512

/** The index of the first item that does not come before, found by bisection. */
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
  /** In order. No chunk is empty. */
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
    if (chunk.length > MAX_CHUNK_LENGTH) this.chunks.splice(at + 1, 0, chunk.splice(MAX_CHUNK_LENGTH >>> 1))
  }

  /** Returns false if the list has no item equal to this one. */
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

  /** Removes all items and returns them, in order. */
  drain(): ReadonlyArray<A> {
    return this.chunks.splice(0).flat()
  }

  *[Symbol.iterator](): IterableIterator<A> {
    for (const chunk of this.chunks) yield* chunk
  }

  /** The index of the chunk that has the item, if the list has it. */
  private chunkOf(item: A): number {
    return place(this.chunks, (chunk) => this.order(chunk[chunk.length - 1] ?? item, item) < 0)
  }

  private placeIn(chunk: ReadonlyArray<A>, item: A): number {
    return place(chunk, (other) => this.order(other, item) < 0)
  }
}
