/** Published values as they are stored. */
import type * as Either from "effect/Either"
import type { Json } from "../../driver/JournalDriver.js"
import type { ValueInvalid, ValueTooLarge, ValueUnreadable } from "../../Errors.js"
import type { AnySchema } from "./wire.js"
import { decodeText, encodeText } from "./wire.js"

/** A published value's definition without its types. */
export interface PublishedShape {
  readonly key: string
  readonly schema: AnySchema
}

/** What errors call a published value. */
const nameOf = (key: string): string => `published value ${key}`

export const encodePublished = (
  { key, schema }: PublishedShape,
  value: unknown,
  limitBytes: number
): Either.Either<Json, ValueInvalid | ValueTooLarge> => encodeText(schema, value, nameOf(key), limitBytes)

export const decodePublished = ({ key, schema }: PublishedShape, text: Json): Either.Either<unknown, ValueUnreadable> =>
  decodeText(schema, text, nameOf(key))
