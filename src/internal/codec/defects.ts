/**
 * Thrown values as JSON data: name, message, stack, own fields and the chain of causes, all bounded. Values of
 * `Redacted` are stored as `<redacted>`, because nothing here knows a schema.
 *
 * | data           | holds                                                                             |
 * |----------------|-----------------------------------------------------------------------------------|
 * | `runtimeError` | an error of the runtime, by its schema; alone                                     |
 * | `name`, `message`, `stack` | those of the error                                                    |
 * | `fields`       | its other own properties                                                          |
 * | `cause`        | what it was made from, in the same form                                           |
 * | `suppressed`   | failures of other fibers, which happened at the same time, in the same form       |
 */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Either from "effect/Either"
import * as Inspectable from "effect/Inspectable"
import * as Predicate from "effect/Predicate"
import { RuntimeError } from "../../Errors.js"
import { shown, storable } from "../util/show.js"
import { notJson } from "./notJson.js"
import { codecOf } from "./wire.js"

export const runtimeErrors = codecOf(RuntimeError)

export const isRuntimeError = (value: unknown): boolean =>
  value instanceof Error && RuntimeError.members.some((member) => value instanceof member)

/** Longest stored string of the first error, and of those behind it, in UTF-16 units. */
const FIRST_STRING_LENGTH = 8192
const NEXT_STRING_LENGTH = 2048

/** Longest JSON of an error's fields, in UTF-16 units. */
const FIELDS_LENGTH = 4096

/** Errors in a chain of causes, the first one included. */
const CHAIN_COUNT = 8

/** Failures of other fibers. */
const SUPPRESSED_COUNT = 4

const text = (value: unknown, length: number, absent?: string): string => {
  const string = typeof value === "string" ? value : value === undefined && absent !== undefined ? absent : shown(value)
  return storable(string.slice(0, length))
}

/** Fields that are stored apart, or that follow from others. */
const apart: ReadonlySet<string> = new Set(["name", "message", "stack", "cause", "suppressed"])

/** Shortens strings, and stops at the length of all of them: a field can have any size. */
const limitedStrings = () => {
  let length = 0
  return (key: string, value: unknown): unknown => {
    length += key.length + (typeof value === "string" ? Math.min(value.length, NEXT_STRING_LENGTH) : 1)
    if (length > FIELDS_LENGTH) throw new RangeError("the field is too large")
    return typeof value === "string" ? storable(value.slice(0, NEXT_STRING_LENGTH)) : value
  }
}

/** The JSON data of a field; what it is, if it is no data or too large; undefined for what JSON omits. */
const fieldOf = (value: unknown): unknown => {
  if (typeof value === "bigint") return String(value).slice(0, NEXT_STRING_LENGTH)
  const json = Either.try(() => JSON.stringify(value, limitedStrings()))
  if (Either.isLeft(json)) return "a value that cannot be stored, or that is too large"
  if (json.right === undefined) return undefined
  const data: unknown = JSON.parse(json.right)
  return notJson(data) === undefined ? data : text(json.right, NEXT_STRING_LENGTH)
}

/** The own properties of an error that a system adds: `code`, `errno`, `_tag`, … */
const fieldsOf = (error: Error): { readonly fields?: Readonly<Record<string, unknown>> } => {
  const fields: Array<readonly [string, unknown]> = []
  let length = 0
  for (const [key, value] of Object.entries(error)) {
    if (apart.has(key) || value === error.cause || storable(key) !== key) continue
    const field = fieldOf(value)
    if (field === undefined) continue
    length += key.length + JSON.stringify(field).length
    if (length > FIELDS_LENGTH) break
    fields.push([key, field])
  }
  return fields.length === 0 ? {} : { fields: Object.fromEntries(fields) }
}

const causeOf = (error: Error, depth: number): { readonly cause?: object } =>
  error.cause === undefined || error.cause === error || depth + 1 >= CHAIN_COUNT
    ? {}
    : { cause: encodeAt(error.cause, depth + 1) }

const dataOf = (defect: unknown, depth: number): object => {
  if (Predicate.isTagged(defect, "JournalError") || isRuntimeError(defect)) {
    const encoded = runtimeErrors.encode(defect, "defect")
    if (Either.isRight(encoded)) return { runtimeError: encoded.right }
  }
  const length = depth === 0 ? FIRST_STRING_LENGTH : NEXT_STRING_LENGTH
  return defect instanceof Error
    ? {
      name: text(defect.name, length, "Error"),
      message: text(defect.message, length),
      stack: text(defect.stack, length, ""),
      ...fieldsOf(defect),
      ...causeOf(defect, depth)
    }
    : { name: "Defect", message: text(defect, length) }
}

const encodeAt = (defect: unknown, depth: number): object =>
  Either.getOrElse(
    Either.try(() => dataOf(defect, depth)),
    () => ({ name: "Defect", message: "a defect that cannot be shown" })
  )

/** Any thrown value as JSON data: errors of the runtime whole, others as the table above says. */
export const encodeDefect = (defect: unknown): object => encodeAt(defect, 0)

/** The failures and defects of a cause besides the one that counts. */
const othersOf = (cause: Cause.Cause<unknown>, first: unknown): ReadonlyArray<unknown> =>
  // Most causes have one.
  cause._tag === "Fail" || cause._tag === "Die"
    ? []
    : [...Chunk.toReadonlyArray(Cause.failures(cause)), ...Chunk.toReadonlyArray(Cause.defects(cause))]
      .filter((each, index, all) => each !== first && all.indexOf(each) === index)

const suppressedOf = (
  cause: Cause.Cause<unknown>,
  first: unknown
): { readonly suppressed?: ReadonlyArray<object> } => {
  const others = othersOf(cause, first)
  if (others.length === 0) return {}
  return { suppressed: others.slice(0, SUPPRESSED_COUNT).map((each) => encodeAt(each, CHAIN_COUNT - 2)) }
}

/** The defect that counts, with what failed beside it. */
export const encodeDefectOf = (cause: Cause.Cause<unknown>): object => {
  const defect = Cause.squash(cause)
  return { ...encodeDefect(defect), ...suppressedOf(cause, defect) }
}

/** Where a typed failure comes from; undefined for one that says nothing about that. */
export const encodeOrigin = (cause: Cause.Cause<unknown>, failure: unknown): object | undefined => {
  if (isRuntimeError(failure)) return undefined
  const origin = {
    ...failure instanceof Error
      ? { stack: text(failure.stack, NEXT_STRING_LENGTH, ""), ...causeOf(failure, 0) }
      : {},
    ...suppressedOf(cause, failure)
  }
  return Object.keys(origin).length === 0 ? undefined : origin
}

const property = (data: unknown, name: string): unknown => Predicate.hasProperty(data, name) ? data[name] : undefined

/** Sets a property that a listing of the error's fields leaves out, as JavaScript does with `stack` and `cause`. */
const hide = (error: Error, name: string, value: unknown): void => {
  Object.defineProperty(error, name, { value, enumerable: false, writable: true, configurable: true })
}

/** Gives an error its stored origin, except what it has itself. */
export const restoreOrigin = (error: unknown, data: unknown): void => {
  if (!(error instanceof Error)) return
  const stack = property(data, "stack")
  const cause = property(data, "cause")
  const suppressed = property(data, "suppressed")
  if (typeof stack === "string" && stack !== "") hide(error, "stack", stack)
  if (cause !== undefined && error.cause === undefined) hide(error, "cause", decodeDefect(cause))
  if (Array.isArray(suppressed)) hide(error, "suppressed", suppressed.map(decodeDefect))
}

/** The error that a program dies with, from the data of a stored defect. */
export const decodeDefect = (data: unknown): unknown => {
  const runtimeError = property(data, "runtimeError")
  if (runtimeError !== undefined) {
    const decoded = runtimeErrors.decode(runtimeError, "defect")
    if (Either.isRight(decoded)) {
      restoreOrigin(decoded.right, { suppressed: property(data, "suppressed") })
      return decoded.right
    }
  }
  const message = property(data, "message")
  const name = property(data, "name")
  const fields = property(data, "fields")
  const error = new Error(typeof message === "string" ? message : Inspectable.toStringUnknown(data))
  error.name = typeof name === "string" ? name : "Defect"
  if (Predicate.isRecord(fields)) {
    for (const key of Object.keys(fields)) if (!apart.has(key)) define(error, key, fields)
  }
  restoreOrigin(error, data)
  return error
}

const define = (error: Error, key: string, fields: Readonly<Record<PropertyKey, unknown>>): void => {
  Object.defineProperty(error, key, { value: fields[key], enumerable: true, writable: true, configurable: true })
}

const describe = (error: unknown): string =>
  error instanceof Error ? `${error.name}: ${error.message}` : Inspectable.toStringUnknown(error)

const chainOf = (error: unknown): ReadonlyArray<string> => {
  const chain: Array<string> = []
  for (let each = error; each !== undefined && chain.length < CHAIN_COUNT;) {
    chain.push(describe(each))
    each = each instanceof Error ? each.cause : undefined
  }
  return chain
}

/** An error with its causes, and the failures beside it, on one line. No encoded value of a `Redacted` schema. */
export const describeError = (error: unknown): string => {
  const suppressed = property(error, "suppressed")
  const beside = Array.isArray(suppressed) ? suppressed.map((each) => chainOf(each).join(", caused by ")) : []
  return [chainOf(error).join(", caused by "), ...beside].join("; at the same time ")
}

/** The name and message of a stored defect, with its causes. */
export const describeDefect = (data: unknown): string => describeError(decodeDefect(data))
