/**
 * Encoded data against what its JSON text reads as. The program is given what the text reads as, so that the first
 * execution and a replay see one value. Nothing here changes data.
 */
import type * as AST from "effect/SchemaAST"
import { isFields } from "../util/show.js"
import { notJson } from "./notJson.js"

/** What follows from an encoded side about its data. */
export interface Freshness {
  /** Every object of the data is made by the encoding: no other code has a reference to it. */
  readonly isFresh: boolean
  /** The data can have numbers. JSON writes -0 as 0. */
  readonly hasNumbers: boolean
}

const ATOM: Freshness = { isFresh: true, hasNumbers: false }
const NUMBER: Freshness = { isFresh: true, hasNumbers: true }
const SHARED: Freshness = { isFresh: false, hasNumbers: true }

const all = (types: ReadonlyArray<AST.AST>): Freshness => {
  const parts = types.map(freshnessOf)
  return {
    isFresh: parts.every(({ isFresh }) => isFresh),
    hasNumbers: parts.some(({ hasNumbers }) => hasNumbers)
  }
}

/** `ast` is an encoded side: no transformation is left. */
export const freshnessOf = (ast: AST.AST): Freshness => {
  switch (ast._tag) {
    case "StringKeyword":
    case "TemplateLiteral":
    case "BooleanKeyword":
    case "UndefinedKeyword":
    case "NeverKeyword":
      return ATOM
    case "Literal":
      return typeof ast.literal === "number" ? NUMBER : ATOM
    case "NumberKeyword":
    case "Enums":
      return NUMBER
    case "TupleType":
      return all([...ast.elements, ...ast.rest].map(({ type }) => type))
    case "TypeLiteral": {
      const parts = [...ast.propertySignatures, ...ast.indexSignatures]
      // `Schema.Struct({})` hands any value through.
      return parts.length === 0 ? SHARED : all(parts.map(({ type }) => type))
    }
    case "Union":
      return all(ast.types)
    case "Refinement":
      return freshnessOf(ast.from)
    default:
      return SHARED
  }
}

/** Whether a number in the data is -0. */
const hasNegativeZero = (data: unknown): boolean => {
  if (typeof data === "number") return data === 0 && Object.is(data, -0)
  if (Array.isArray(data)) return data.some(hasNegativeZero)
  if (!isFields(data)) return false
  for (const key in data) if (hasNegativeZero(data[key])) return true
  return false
}

/** Whether the JSON text of the data reads as this data. The data has passed `notJson`. */
export const isAsStored = ({ hasNumbers, isFresh }: Freshness, data: unknown): boolean =>
  typeof data === "object" && data !== null
    ? isFresh && (!hasNumbers || !hasNegativeZero(data))
    : !Object.is(data, -0)

/**
 * The data without the keys whose value is undefined, where the schema declares the key: it reads the same without it.
 * `ast` is an encoded side.
 */
export const withoutUndefined = (ast: AST.AST, data: unknown): unknown => {
  switch (ast._tag) {
    case "TypeLiteral": {
      if (!isFields(data)) return data
      const types = new Map(ast.propertySignatures.map(({ name, type }) => [name, type]))
      const [index] = ast.indexSignatures
      return Object.fromEntries(
        Object.entries(data).flatMap(([key, value]) => {
          const type = types.get(key) ?? index?.type
          if (type === undefined) return [[key, value] as const]
          return value === undefined ? [] : [[key, withoutUndefined(type, value)] as const]
        })
      )
    }
    case "TupleType": {
      if (!Array.isArray(data)) return data
      const [rest] = ast.rest
      return data.map((value: unknown, position) => {
        const type = ast.elements[position]?.type ?? rest?.type
        return type === undefined ? value : withoutUndefined(type, value)
      })
    }
    case "Union": {
      for (const type of ast.types) {
        const pruned = withoutUndefined(type, data)
        if (notJson(pruned) === undefined) return pruned
      }
      return data
    }
    case "Refinement":
      return withoutUndefined(ast.from, data)
    case "Suspend":
      return withoutUndefined(ast.f(), data)
    default:
      return data
  }
}
