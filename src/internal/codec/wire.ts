/**
 * The boundary between typed values and JSON: value ⇄ (schema) ⇄ data ⇄ text. Encoding is strict: it refuses a value
 * that would not come back the same, before anything is written. Decoding uses the reader's schema.
 */
import * as Either from "effect/Either"
import { identity } from "effect/Function"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import { ValueInvalid, ValueTooLarge, ValueUnreadable } from "../../Errors.js"
import { isFields, shown } from "../util/show.js"
import { notJson } from "./notJson.js"
import { hasRedacted } from "./redacted.js"
import { sameValue } from "./sameValue.js"
import { freshnessOf, isAsStored, withoutUndefined } from "./stored.js"
import { fitUnions } from "./unions.js"

export { notJson } from "./notJson.js"

/** A schema that needs no services: encoding and decoding are synchronous and pure. */
export type AnySchema = Schema.Schema.AnyNoContext | Schema.Schema<never>

/**
 * What a program may return where `A` is declared. TypeScript accepts any result for `void`, so a forgotten schema
 * would go unnoticed; for `void | undefined` it does not.
 */
export type ReturnOf<A> = void extends A ? A | undefined : A

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
  /** To JSON data; undefined stands for the value of `Schema.Void`. Refuses excess keys of plain data. */
  readonly encode: (value: unknown, what: string) => Either.Either<unknown, ValueInvalid>
  /**
   * As `encode`, for a value that exists because a side effect happened: the result of a step or a run. Keys that the
   * schema does not declare are dropped, as its type allows them.
   */
  readonly encodeResult: (value: unknown, what: string) => Either.Either<unknown, ValueInvalid>
  readonly decode: (data: unknown, what: string) => Either.Either<unknown, ValueUnreadable>
  /** Whether encoded data can have secrets, which messages must not show. */
  readonly isSecret: boolean
  /** Whether the JSON text of encoded data reads as this data. */
  readonly isAsStored: (data: unknown) => boolean
}

const codecs = new WeakMap<object, Codec>()

export const codecOf = (schema: AnySchema): Codec => {
  const compiled = codecs.get(schema.ast)
  if (compiled !== undefined) return compiled
  const codec = makeCodec(schema)
  codecs.set(schema.ast, codec)
  return codec
}

const makeCodec = (schema: AnySchema): Codec => {
  const { ast, isAmbiguous } = fitUnions(schema.ast)
  const plain = Schema.make<unknown, unknown>(ast)
  const encodedSide = AST.encodedAST(schema.ast)
  const freshness = freshnessOf(encodedSide)
  const isSecret = hasRedacted(schema.ast)
  const format = isSecret ? formatPlaces : formatIssue
  const encode = ParseResult.encodeUnknownEither(plain, { onExcessProperty: "error", errors: "all" })
  const encodeLoosely = ParseResult.encodeUnknownEither(plain, { errors: "all" })
  const decode = ParseResult.decodeUnknownEither(plain, { errors: "all" })

  /** The data as JSON has it, if the value comes back from it. */
  const storable = (value: unknown, encoded: unknown): Either.Either<unknown, string> => {
    if (encoded === undefined) return Either.right(undefined)
    const problem = notJson(encoded)
    const data = problem === undefined ? encoded : withoutUndefined(encodedSide, encoded)
    const remaining = problem === undefined ? undefined : notJson(data)
    if (remaining !== undefined) return Either.left(remaining)
    if (problem === undefined && !isAmbiguous) return Either.right(data)
    return Either.flatMap(Either.mapLeft(decode(data), format), (back) =>
      isAmbiguous && !sameValue(value, back)
        ? Either.left(
          "it would be read as another member of a union: give the members a tag " +
            "(Schema.TaggedStruct, Schema.TaggedClass, Schema.TaggedError)"
        )
        : Either.right(data))
  }

  const encodeWith =
    (run: (value: unknown) => Either.Either<unknown, ParseResult.ParseIssue>): Codec["encode"] => (value, what) =>
      Either.mapLeft(
        totally(
          isSecret,
          () => Either.flatMap(Either.mapLeft(run(value), format), (encoded) => storable(value, encoded))
        ),
        (detail) => new ValueInvalid({ what, detail })
      )

  return {
    encode: encodeWith((value) =>
      Either.orElse(
        encode(value),
        (issue) => onlyInstanceExtras(issue, value) ? encodeLoosely(value) : Either.left(issue)
      )
    ),
    encodeResult: encodeWith(encodeLoosely),
    decode: (data, what) =>
      Either.mapLeft(
        totally(isSecret, () => Either.mapLeft(decode(data), format)),
        (detail) => new ValueUnreadable({ what, detail })
      ),
    isSecret,
    isAsStored: (data) => isAsStored(freshness, data)
  }
}

/** Functions of a schema may throw, also because a value is nested too deeply for them: the value is refused. */
const totally = <A>(hidden: boolean, run: () => Either.Either<A, string>): Either.Either<A, string> =>
  Either.flatMap(
    Either.try({ try: run, catch: (cause) => `the schema throws${hidden ? "" : `: ${shown(cause)}`}` }),
    identity
  )

const formatIssue = (issue: ParseResult.ParseIssue): string => ParseResult.TreeFormatter.formatIssueSync(issue)

/** Only the places of what does not match: the values may be secrets. */
const formatPlaces = (issue: ParseResult.ParseIssue): string => {
  const places = ParseResult.ArrayFormatter.formatIssueSync(issue).map(({ _tag, path }) =>
    `$${path.map((key) => `[${typeof key === "symbol" ? String(key) : JSON.stringify(key)}]`).join("")} (${_tag})`
  )
  return `these places do not match: ${[...new Set(places)].join(", ")}. ` +
    "Values are not shown, because the schema has Redacted ones"
}

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

/** JSON text of at most `limit` bytes. Void and undefined are encoded as `null`. */
export const encodeText = (
  schema: AnySchema,
  value: unknown,
  what: string,
  limit: number
): Either.Either<string, ValueInvalid | ValueTooLarge> =>
  Either.flatMap(
    codecOf(schema).encode(value, what),
    (encoded): Either.Either<string, ValueInvalid | ValueTooLarge> =>
      encoded !== undefined
        ? stringify(encoded, what, limit)
        : readsNull(schema)
        ? Either.left(new ValueInvalid({ what, detail: "undefined would be read as null: use null" }))
        : Either.right("null")
  )

/** Whether `null` is a value of the schema, and so does not stand for undefined. */
const readsNull = (schema: AnySchema): boolean =>
  schema.ast._tag !== "VoidKeyword" && Either.isRight(codecOf(schema).decode(null, ""))

export const decodeText = (schema: AnySchema, text: string, what: string): Either.Either<unknown, ValueUnreadable> =>
  Either.flatMap(
    Either.try({
      try: (): unknown => JSON.parse(text),
      catch: (cause) => new ValueUnreadable({ what, detail: `not JSON: ${String(cause)}` })
    }),
    (data) => decodeData(schema, data, what)
  )

/** Decodes what `encodeText` wrote. Undefined is also written as `null`; for `Schema.Void`, any data is undefined. */
export const decodeData = (
  schema: AnySchema,
  data: unknown,
  what: string
): Either.Either<unknown, ValueUnreadable> => {
  const codec = codecOf(schema)
  return data === null && schema.ast._tag !== "VoidKeyword"
    ? Either.orElse(codec.decode(null, what), () => codec.decode(undefined, what))
    : codec.decode(data ?? undefined, what)
}

/** Whether both are the same JSON data; the order of keys does not matter. */
export const sameJson = (a: string, b: string): boolean =>
  a === b || JSON.stringify(withSortedKeys(JSON.parse(a))) === JSON.stringify(withSortedKeys(JSON.parse(b)))

/** The keys, of two objects as JSON text, whose values differ; none for other values. */
export const differingKeys = (a: string, b: string): ReadonlyArray<string> => {
  const one: unknown = JSON.parse(a)
  const other: unknown = JSON.parse(b)
  if (!isFields(one) || !isFields(other)) return []
  return [...new Set([...Object.keys(one), ...Object.keys(other)])].filter((key) =>
    JSON.stringify(withSortedKeys(one[key])) !== JSON.stringify(withSortedKeys(other[key]))
  )
}

const withSortedKeys = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(withSortedKeys)
    : typeof value === "object" && value !== null
    ? Object.fromEntries(
      Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([key, each]) => [key, withSortedKeys(each)])
    )
    : value
