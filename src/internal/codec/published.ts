/** Published values as JSON text. */
import type * as Either from "effect/Either"
import type { Json } from "../../driver/JournalDriver.js"
import type { ValueInvalid, ValueTooLarge, ValueUnreadable } from "../../Errors.js"
import type { AnySchema } from "./wire.js"
import { decodeText, encodeText } from "./wire.js"

/** The definition of a published value, without its types. */
export interface PublishedShape {
  readonly key: string
  readonly schema: AnySchema
}

/** The role of the value in error messages. */
const nameOf = (key: string): string => `published value ${key}`

export const encodePublished = (
  { key, schema }: PublishedShape,
  value: unknown,
  limitBytes: number
): Either.Either<Json, ValueInvalid | ValueTooLarge> => encodeText(schema, value, nameOf(key), limitBytes)

export const decodePublished = ({ key, schema }: PublishedShape, text: Json): Either.Either<unknown, ValueUnreadable> =>
  decodeText(schema, text, nameOf(key))
