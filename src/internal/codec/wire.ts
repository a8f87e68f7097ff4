/**
 * The one boundary between typed values and JSON text. Encoding is strict: a value that would not come back the same is
 * refused before anything is written. Decoding is driven by the reader's schema.
 */
import * as Either from "effect/Either"
import { identity, pipe } from "effect/Function"
import * as ParseResult from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import { ValueInvalid, ValueTooLarge, ValueUnreadable } from "../../Errors.js"
import { loneSurrogate, shown } from "../util/show.js"

export { shown, storable } from "../util/show.js"

/** A schema that needs no services: encoding and decoding are synchronous and pure. */
export type AnySchema = Schema.Schema.AnyNoContext | Schema.Schema<never>

/**
 * What a program may give where `A` is declared. TypeScript takes anything for a result of `void`, so that a forgotten
 * schema would go unnoticed; it does not for `void | undefined`.
 */
export type Given<A> = void extends A ? A | undefined : A

/** Deeper data is refused: whoever reads it, here or in the database, does so by recursion. */
const MAX_DEPTH = 1000

/** Why `value` cannot be carried by JSON without change, with the path to the place; undefined if it can. */
export const notJson = (value: unknown, path = "$", ancestors: ReadonlyArray<object> = []): string | undefined => {
  switch (typeof value) {
    case "string":
      return textProblem(value, path)
    case "boolean":
      return undefined
    case "number":
      return Number.isFinite(value) ? undefined : `${path} is ${value}, which JSON has no number for`
    case "object":
      break
    default:
      return `${path} is ${typeof value === "undefined" ? "undefined: leave it out, or use null" : `a ${typeof value}`}`
  }
  if (value === null) return undefined
  if (ancestors.includes(value)) return `${path} refers back to a value that holds it`
  if (ancestors.length >= MAX_DEPTH) return `the value is nested more than ${MAX_DEPTH} deep`
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
    const problem = textProblem(key, `a key of ${path}`) ?? notJson(each, `${path}.${key}`, within)
    if (problem !== undefined) return problem
  }
  return Object.getOwnPropertySymbols(value).length > 0 ? `${path} has a symbol as key` : undefined
}

const textProblem = (text: string, path: string): string | undefined => {
  if (text.includes("\u0000")) return `${path} contains the character NUL, which Postgres cannot store`
  return loneSurrogate.test(text) ? `${path} contains a lone surrogate, which UTF-8 cannot carry` : undefined
}

const utf8 = new TextEncoder()

/** The size of a text, in bytes of UTF-8. */
export const byteLength = (text: string): number => utf8.encode(text).length

/** The size of a text if it is above the limit, in bytes of UTF-8. */
export const bytesAbove = (text: string, limit: number): number | undefined => {
  // No UTF-16 unit takes more than three bytes, so most texts need no counting.
  if (text.length * 3 <= limit) return undefined
  const bytes = byteLength(text)
  return bytes > limit ? bytes : undefined
}

/** JSON text of at most `limit` bytes; for a value that `notJson` has passed. */
export const stringify = (value: unknown, what: string, limit: number): Either.Either<string, ValueTooLarge> => {
  const text = JSON.stringify(value)
  const bytes = bytesAbove(text, limit)
  return bytes === undefined ? Either.right(text) : Either.left(new ValueTooLarge({ what, bytes, limit }))
}

/** A schema's two directions, compiled once. */
export interface Codec {
  /** To plain JSON data; `undefined` stands for the value of `Schema.Void`. */
  readonly encode: (value: unknown, what: string) => Either.Either<unknown, ValueInvalid>
  readonly decode: (json: unknown, what: string) => Either.Either<unknown, ValueUnreadable>
}

const codecs = new WeakMap<object, Codec>()

export const codecOf = (schema: AnySchema): Codec => {
  const made = codecs.get(schema.ast)
  if (made !== undefined) return made
  // `Schema.Never` is a schema like any other here; only its type parameters, being invariant, say otherwise.
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
    decode: (json, what) =>
      Either.mapLeft(
        totally(() => Either.mapLeft(decode(json), formatIssue)),
        (detail) => new ValueUnreadable({ what, detail })
      )
  }
  codecs.set(schema.ast, codec)
  return codec
}

/** A schema's own functions may throw, and values may be too deep for any of them: that is one more way to be refused. */
const totally = <A>(run: () => Either.Either<A, string>): Either.Either<A, string> =>
  Either.flatMap(Either.try({ try: run, catch: (cause) => `the schema throws: ${shown(cause)}` }), identity)

const formatIssue = (issue: ParseResult.ParseIssue): string => ParseResult.TreeFormatter.formatIssueSync(issue)

/**
 * Whether a value was refused only for own properties that an instance has besides its fields (an error has a `stack`):
 * those are the class's business. Excess keys of plain data are not.
 */
const onlyInstanceExtras = (issue: ParseResult.ParseIssue, holder: unknown): boolean => {
  switch (issue._tag) {
    case "Unexpected":
      return typeof holder === "object" && holder !== null && Object.getPrototypeOf(holder) !== Object.prototype
    case "Pointer":
      return onlyInstanceExtras(issue.issue, issue.actual)
    case "Transformation":
    case "Refinement":
      return onlyInstanceExtras(issue.issue, issue.actual)
    case "Composite": {
      const issues = Array.isArray(issue.issues) ? issue.issues : [issue.issues]
      const accepts = (each: ParseResult.ParseIssue) => onlyInstanceExtras(each, issue.actual)
      // One member that takes the value is enough for a union.
      return issue.ast._tag === "Union" ? issues.some(accepts) : issues.every(accepts)
    }
    case "Type":
    case "Missing":
    case "Forbidden":
      return false
  }
}

/** Encode to JSON text of at most `limit` bytes. A `void` value is the text `null`. */
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

/** Decode JSON text. */
export const decodeText = (schema: AnySchema, text: string, what: string): Either.Either<unknown, ValueUnreadable> =>
  Either.flatMap(
    Either.try({
      try: (): unknown => JSON.parse(text),
      catch: (cause) => new ValueUnreadable({ what, detail: `not JSON: ${String(cause)}` })
    }),
    (json) => {
      const codec = codecOf(schema)
      // `null` is also how undefined is written. A `void` takes anything, and is undefined.
      return json === null && schema.ast._tag !== "VoidKeyword"
        ? Either.orElse(codec.decode(null, what), () => codec.decode(undefined, what))
        : codec.decode(json ?? undefined, what)
    }
  )

/** Whether two JSON texts say the same, whatever the order of their keys. */
export const sameJson = (a: string, b: string): boolean =>
  a === b || JSON.stringify(sorted(JSON.parse(a))) === JSON.stringify(sorted(JSON.parse(b)))

const sorted = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(sorted)
    : typeof value === "object" && value !== null
    ? Object.fromEntries(
      Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([key, each]) => [key, sorted(each)])
    )
    : value
