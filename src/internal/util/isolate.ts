/** Reads of many items of which one may be unreadable: the others are read without it. */
import * as Effect from "effect/Effect"
import type { JournalError } from "../../Errors.js"

/**
 * Reads items together. If an item is `Corrupt`, it is found by halves, and `skip` gets it with the error. So one bad
 * item of n costs about 2 log n reads, and no item costs any.
 */
export const isolateCorrupt = <Item, R>(
  items: ReadonlyArray<Item>,
  read: (items: ReadonlyArray<Item>) => Effect.Effect<void, JournalError, R>,
  skip: (item: Item, error: JournalError) => Effect.Effect<void, JournalError, R>
): Effect.Effect<void, JournalError, R> =>
  Effect.catchIf(read(items), (error) => error.code === "Corrupt", (error) => {
    const [first] = items
    if (first === undefined) return Effect.fail(error)
    if (items.length === 1) return skip(first, error)
    const half = Math.ceil(items.length / 2)
    return Effect.zipRight(
      isolateCorrupt(items.slice(0, half), read, skip),
      isolateCorrupt(items.slice(half), read, skip)
    )
  })
