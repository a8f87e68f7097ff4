/**
 * The boundary between typed values and JSON: value ⇄ (schema) ⇄ data ⇄ text. Encoding is strict: it refuses a value
 * that would not come back the same, before anything is written. Decoding uses the reader's schema.
 */
import * as Either from "effect/Either"
import { identity, pipe } from "effect/Function"
import * as ParseResult from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import { ValueInvalid, ValueTooLarge, ValueUnreadable } from "../../Errors.js"
import { loneSurrogate, shown } from "../util/show.js"

/** A schema that needs no services: encoding and decoding are synchronous and pure. */
export type AnySchema = Schema.Schema.AnyNoContext | Schema.Schema<never>

/**
 * What a program may return where `A` is declared. TypeScript accepts any result for `void`, so a forgotten schema
 * would go unnoticed; for `void | undefined` it does not.
 */
export type ReturnOf<A> = void extends A ? A | undefined : A

/** Levels of nesting. Deeper data is refused: readers, here and in the database, recurse. */
const MAX_DEPTH_LEVELS = 1000

/** Why JSON cannot represent the value without change, with the path to the place; undefined if it can. */
export const notJson = (value: unknown, path = "$", ancestors: ReadonlyArray<object> = []): string | undefined => {
  switch (typeof value) {
    case "string":
      return notStorable(value, path)
    case "boolean":
      return undefined
    case "number":
      return Number.isFinite(value) ? undefined : `${path} is ${value}, which JSON cannot represent`
    case "object":
      break
    default:
      return `${path} is ${typeof value === "undefined" ? "undefined: leave it out, or use null" : `a ${typeof value}`}`
  }
  if (value === null) return undefined
  if (ancestors.includes(value)) return `${path} refers back to a value that contains it`
  if (ancestors.length >= MAX_DEPTH_LEVELS) return `the value is nested more than ${MAX_DEPTH_LEVELS} deep`
  const within = [...ancestors, value]
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const problem = i in value ? notJson(value[i], `${path}[${i}]`, within) : `${path}[${i}] is a hole`
      if (problem !== undefined) return problem
    }
    return undefined
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) {
    const name = Predicate.hasProperty(value, "constructor") && Predicate.isFunction(value.constructor)
      ? value.constructor.name
      : "unknown"
    return `${path} is an instance of ${name}, not plain data`
  }
  if ("toJSON" in value) return `${path} has a toJSON method`
  for (const [key, each] of Object.entries(value)) {
    const problem = notStorable(key, `a key of ${path}`) ?? notJson(each, `${path}.${key}`, within)
    if (problem !== undefined) return problem
  }
  return Object.getOwnPropertySymbols(value).length > 0 ? `${path} has a symbol as key` : undefined
}

/** Why storage cannot hold the string; undefined if it can. */
const notStorable = (text: string, path: string): string | undefined => {
  if (text.includes("\u0000")) return `${path} contains the character NUL, which Postgres cannot store`
  return loneSurrogate.test(text) ? `${path} contains a lone surrogate, which UTF-8 cannot carry` : undefined
}

const utf8 = new TextEncoder()

/** Bytes of UTF-8. */
export const byteLength = (text: string): number => utf8.encode(text).length

/** The size in bytes of UTF-8 if it exceeds the limit, else undefined. */
export const bytesAbove = (text: string, limit: number): number | undefined => {
  // A UTF-16 unit takes at most three bytes, so most strings need no counting.
  if (text.length * 3 <= limit) return undefined
  const bytes = byteLength(text)
  return bytes > limit ? bytes : undefined
}

/** JSON text of at most `limit` bytes. `data` must have passed `notJson`. */
export const stringify = (data: unknown, what: string, limit: number): Either.Either<string, ValueTooLarge> => {
  const text = JSON.stringify(data)
  const bytes = bytesAbove(text, limit)
  return bytes === undefined ? Either.right(text) : Either.left(new ValueTooLarge({ what, bytes, limit }))
}

/** Both directions of a schema, compiled once. */
export interface Codec {
  /** To JSON data; undefined stands for the value of `Schema.Void`. */
  readonly encode: (value: unknown, what: string) => Either.Either<unknown, ValueInvalid>
  readonly decode: (data: unknown, what: string) => Either.Either<unknown, ValueUnreadable>
}

const codecs = new WeakMap<object, Codec>()

export const codecOf = (schema: AnySchema): Codec => {
  const compiled = codecs.get(schema.ast)
  if (compiled !== undefined) return compiled
  // `Schema.Never` works as any other schema; only its invariant type parameters differ.
  const plain = schema as Schema.Schema.AnyNoContext
  const encode = ParseResult.encodeUnknownEither(plain, { onExcessProperty: "error", errors: "all" })
  const decode = ParseResult.decodeUnknownEither(plain, { errors: "all" })
  const encodeLoosely = ParseResult.encodeUnknownEither(plain, { errors: "all" })
  const codec: Codec = {
    encode: (value, what) =>
      Either.mapLeft(
        totally(() =>
          pipe(
            encode(value),
            Either.orElse((issue) => onlyInstanceExtras(issue, value) ? encodeLoosely(value) : Either.left(issue)),
            Either.mapLeft(formatIssue),
            Either.flatMap((encoded) => {
              const problem = encoded === undefined ? undefined : notJson(encoded)
              return problem === undefined ? Either.right(encoded) : Either.left(problem)
            })
          )
        ),
        (detail) => new ValueInvalid({ what, detail })
      ),
    decode: (data, what) =>
      Either.mapLeft(
        totally(() => Either.mapLeft(decode(data), formatIssue)),
        (detail) => new ValueUnreadable({ what, detail })
      )
  }
  codecs.set(schema.ast, codec)
  return codec
}

/** Functions of a schema may throw, also because a value is nested too deeply for them: the value is refused. */
const totally = <A>(run: () => Either.Either<A, string>): Either.Either<A, string> =>
  Either.flatMap(Either.try({ try: run, catch: (cause) => `the schema throws: ${shown(cause)}` }), identity)

const formatIssue = (issue: ParseResult.ParseIssue): string => ParseResult.TreeFormatter.formatIssueSync(issue)

/**
 * Whether a value was refused only for properties that an instance of a class has besides its fields, such as the
 * `stack` of an error. Those are accepted; excess keys of plain data are not.
 */
const onlyInstanceExtras = (issue: ParseResult.ParseIssue, owner: unknown): boolean => {
  switch (issue._tag) {
    case "Unexpected":
      return typeof owner === "object" && owner !== null && Object.getPrototypeOf(owner) !== Object.prototype
    case "Pointer":
      return onlyInstanceExtras(issue.issue, issue.actual)
    case "Transformation":
    case "Refinement":
      return onlyInstanceExtras(issue.issue, issue.actual)
    case "Composite": {
      const issues = Array.isArray(issue.issues) ? issue.issues : [issue.issues]
      const accepts = (each: ParseResult.ParseIssue) => onlyInstanceExtras(each, issue.actual)
      // A union needs one member that accepts the value.
      return issue.ast._tag === "Union" ? issues.some(accepts) : issues.every(accepts)
    }
    case "Type":
    case "Missing":
    case "Forbidden":
      return false
  }
}

/** JSON text of at most `limit` bytes. Void is encoded as `null`. */
export const encodeText = (
  schema: AnySchema,
  value: unknown,
  what: string,
  limit: number
): Either.Either<string, ValueInvalid | ValueTooLarge> =>
  Either.flatMap(
    codecOf(schema).encode(value, what),
    (encoded) => encoded === undefined ? Either.right("null") : stringify(encoded, what, limit)
  )

export const decodeText = (schema: AnySchema, text: string, what: string): Either.Either<unknown, ValueUnreadable> =>
  Either.flatMap(
    Either.try({
      try: (): unknown => JSON.parse(text),
      catch: (cause) => new ValueUnreadable({ what, detail: `not JSON: ${String(cause)}` })
    }),
    (data) => {
      const codec = codecOf(schema)
      // Undefined is also written as `null`. `Schema.Void` accepts any data and decodes to undefined.
      return data === null && schema.ast._tag !== "VoidKeyword"
        ? Either.orElse(codec.decode(null, what), () => codec.decode(undefined, what))
        : codec.decode(data ?? undefined, what)
    }
  )

/** Whether both are the same JSON data; the order of keys does not matter. */
export const sameJson = (a: string, b: string): boolean =>
  a === b || JSON.stringify(withSortedKeys(JSON.parse(a))) === JSON.stringify(withSortedKeys(JSON.parse(b)))

const withSortedKeys = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(withSortedKeys)
    : typeof value === "object" && value !== null
    ? Object.fromEntries(
      Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([key, each]) => [key, withSortedKeys(each)])
    )
    : value
