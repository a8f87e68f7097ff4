/** Values as text for error messages. Nothing here throws, whatever the value is. */
import * as Either from "effect/Either"
import * as Inspectable from "effect/Inspectable"
import * as Predicate from "effect/Predicate"

/** Longest excerpt of a value in a message, in UTF-16 units. */
const EXCERPT_LENGTH = 200

export const loneSurrogate = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/
const loneSurrogates = new RegExp(loneSurrogate, "g")

/** The text with U+FFFD in place of NUL and lone surrogates, which Postgres cannot store. */
export const storable = (text: string): string => text.replaceAll("\u0000", "\uFFFD").replace(loneSurrogates, "\uFFFD")

/** The whole value as text. */
export const shown = (value: unknown): string =>
  Either.getOrElse(
    Either.try(() => value instanceof Error ? `${value.name}: ${value.message}` : Inspectable.toStringUnknown(value)),
    () => `a ${typeof value} that cannot be shown`
  )

/** The beginning of the value as storable text. */
export const show = (value: unknown): string => storable(shown(value)).slice(0, EXCERPT_LENGTH)

/** The beginning of the value on one line, as a program writes it: strings in quotes, no source of functions. */
export const quote = (value: unknown): string => {
  const text = typeof value === "string"
    ? JSON.stringify(value)
    : typeof value === "function"
    ? "a function"
    : value instanceof Date
    ? Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString()
    : shown(value).replaceAll(/\s+/g, " ")
  return storable(text.length > EXCERPT_LENGTH ? `${text.slice(0, EXCERPT_LENGTH)}…` : text)
}

/** Whether the value is an object with named fields: not null, a string, a list, a map or another iterable. */
export const isFields = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Predicate.isIterable(value)
