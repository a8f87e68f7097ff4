/**
 * How much one answer of a driver holds. A verb that lists values ends its answer with the item that reaches the bound,
 * and the caller reads on from there. So an answer has at most one item more than its bound, and it always has one.
 *
 * @since 0.1.0
 */
import type { Json } from "./Answer.js"
import type { Message, MessageContent } from "./Message.js"
import type { EncodedExit } from "./Entry.js"

/**
 * The bounds of one answer: the bytes of its values in UTF-8, and its items.
 *
 * @since 0.1.0
 * @category constants
 */
export const AnswerBounds = { bytes: 8 * 1024 * 1024, items: 20_000 } as const

/** A UTF-16 unit takes at most three bytes. */
const MAX_BYTES_PER_UNIT = 3

const encoder = new TextEncoder()

const bytesOf = (value: Json | null): number => value === null ? 0 : encoder.encode(value).length

/** The values of a message. */
const valuesOf = (content: MessageContent): ReadonlyArray<Json | null> => {
  switch (content.kind) {
    case "signal":
    case "callback":
    case "defect":
      return [content.payload]
    case "cancel":
      return []
    case "child":
      return [content.ending.exit?.value ?? null]
  }
}

/**
 * The bytes of values, in UTF-8.
 *
 * @since 0.1.0
 * @category accessors
 */
export const sizeOf = (values: ReadonlyArray<Json | null>): number =>
  values.reduce((size, value) => size + bytesOf(value), 0)

/**
 * The bytes of the values of a message.
 *
 * @since 0.1.0
 * @category accessors
 */
export const sizeOfMessage = (message: MessageContent): number => sizeOf(valuesOf(message))

/**
 * The bytes of the value of an entry.
 *
 * @since 0.1.0
 * @category accessors
 */
export const sizeOfEntry = ({ exit }: { readonly exit: EncodedExit }): number => sizeOf([exit.value])

/**
 * The first items up to the bounds.
 *
 * @since 0.1.0
 * @category accessors
 */
export const boundedBy = <A>(items: ReadonlyArray<A>, sizeOfItem: (item: A) => number): ReadonlyArray<A> => {
  let size = 0
  const end = items.findIndex((item, index) => {
    if (size >= AnswerBounds.bytes || index >= AnswerBounds.items) return true
    size += sizeOfItem(item)
    return false
  })
  return end < 0 ? items : items.slice(0, end)
}

/** Whether the values have reached the bound: a cheap upper estimate first, because most answers are small. */
const isFull = (values: ReadonlyArray<Json | null>, bytes: number): boolean => {
  let units = 0
  for (const value of values) units += value?.length ?? 0
  return units * MAX_BYTES_PER_UNIT >= bytes && sizeOf(values) >= bytes
}

/**
 * Whether the last page of a list was read: it has fewer items than the limit, and it did not end at a bound.
 *
 * @since 0.1.0
 * @category accessors
 */
export const isLastPage = (entries: ReadonlyArray<{ readonly exit: EncodedExit }>, limit: number): boolean =>
  entries.length < Math.min(limit, AnswerBounds.items) &&
  !isFull(entries.map(({ exit }) => exit.value), AnswerBounds.bytes)

/**
 * Whether an answer with these messages may lack others, because it ended at a bound.
 *
 * @since 0.1.0
 * @category accessors
 */
export const mayLackMessages = (messages: ReadonlyArray<Message>, bytes: number = AnswerBounds.bytes): boolean =>
  messages.length >= AnswerBounds.items || isFull(messages.flatMap(valuesOf), bytes)
