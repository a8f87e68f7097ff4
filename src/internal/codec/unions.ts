/**
 * Unions whose members do not differ in the kind of their data or in a tag. Effect takes the first member that accepts
 * a value and drops the keys that this member lacks, so `{ email, phone }` comes back as `{ email }`. Here the member
 * that drops the fewest keys is taken. A schema without such a union is not changed.
 */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"

/** A schema with unions that take the member that fits best. */
export interface FittedSchema {
  readonly ast: AST.AST
  /**
   * Whether a value can still come back as another member's: two classes with the same fields, a date that is also a
   * string. Such values are decoded and compared before they are written.
   */
  readonly isAmbiguous: boolean
}

/** What the encoded data of a type can be. `any` overlaps everything. */
type Kind = "any" | "null" | "undefined" | "string" | "number" | "boolean" | "array" | "object"

const primitives: ReadonlySet<Kind> = new Set(["null", "undefined", "string", "number", "boolean"])

const kindOfLiteral = (literal: AST.LiteralValue): Kind => {
  switch (typeof literal) {
    case "string":
      return "string"
    case "number":
      return "number"
    case "boolean":
      return "boolean"
    default:
      return literal === null ? "null" : "any"
  }
}

/** Recursive types are followed this far. */
const MAX_SUSPEND_COUNT = 8

/** The kinds of an encoded side, in which no transformation is left. */
const kindsOf = (ast: AST.AST, suspends = 0): ReadonlyArray<Kind> => {
  switch (ast._tag) {
    case "Literal":
      return [kindOfLiteral(ast.literal)]
    case "Enums":
      return ast.enums.map(([, value]) => typeof value === "string" ? "string" : "number")
    case "StringKeyword":
    case "TemplateLiteral":
      return ["string"]
    case "NumberKeyword":
      return ["number"]
    case "BooleanKeyword":
      return ["boolean"]
    case "UndefinedKeyword":
      return ["undefined"]
    case "NeverKeyword":
      return []
    case "TupleType":
      return ["array"]
    case "TypeLiteral":
      return isAnyObject(ast) ? ["any"] : ["object"]
    case "Union":
      return ast.types.flatMap((type) => kindsOf(type, suspends))
    case "Refinement":
      return kindsOf(ast.from, suspends)
    case "Suspend":
      return suspends < MAX_SUSPEND_COUNT ? kindsOf(ast.f(), suspends + 1) : ["any"]
    default:
      return ["any"]
  }
}

/** `Schema.Struct({})` accepts all but null and undefined. */
const isAnyObject = (ast: AST.TypeLiteral): boolean =>
  ast.propertySignatures.length === 0 && ast.indexSignatures.length === 0

/** The required keys of encoded data that have one value: a tag. */
const tagsOf = (ast: AST.AST, suspends = 0): ReadonlyMap<PropertyKey, AST.LiteralValue> => {
  if (ast._tag === "Refinement") return tagsOf(ast.from, suspends)
  if (ast._tag === "Suspend" && suspends < MAX_SUSPEND_COUNT) return tagsOf(ast.f(), suspends + 1)
  if (ast._tag !== "TypeLiteral") return new Map()
  return new Map(
    ast.propertySignatures.flatMap(({ isOptional, name, type }) =>
      !isOptional && type._tag === "Literal" ? [[name, type.literal] as const] : []
    )
  )
}

interface Member {
  readonly kinds: ReadonlyArray<Kind>
  readonly tags: ReadonlyMap<PropertyKey, AST.LiteralValue>
  /** Whether it is encoded as it is. */
  readonly isPlain: boolean
}

const memberOf = (ast: AST.AST): Member => {
  const encoded = AST.encodedAST(ast)
  return { kinds: kindsOf(encoded), tags: tagsOf(encoded), isPlain: AST.typeAST(ast) === ast }
}

const overlap = (one: Member, other: Member): boolean =>
  one.kinds.some((kind) => {
    if (kind === "any") return other.kinds.length > 0
    if (!other.kinds.includes(kind) && !other.kinds.includes("any")) return false
    // A plain string is the same value for each plain member that accepts it.
    if (primitives.has(kind) && one.isPlain && other.isPlain) return false
    return kind !== "object" || ![...one.tags].some(([key, tag]) => other.tags.has(key) && other.tags.get(key) !== tag)
  })

const isAmbiguousUnion = (types: ReadonlyArray<AST.AST>): boolean => {
  const members = types.map(memberOf)
  return members.some((one, index) => members.slice(index + 1).some((other) => overlap(one, other)))
}

/** The count of keys that a member would drop; undefined if it refuses the value for another reason. */
const countExcess = (issue: ParseResult.ParseIssue): number | undefined => {
  switch (issue._tag) {
    case "Unexpected":
      return 1
    case "Pointer":
    case "Transformation":
    case "Refinement":
      return countExcess(issue.issue)
    case "Composite": {
      let total = 0
      for (const each of Array.isArray(issue.issues) ? issue.issues : [issue.issues]) {
        const count = countExcess(each)
        if (count === undefined) return undefined
        total += count
      }
      return total
    }
    case "Type":
    case "Missing":
    case "Forbidden":
      return undefined
  }
}

type Parse = (input: unknown, options: AST.ParseOptions) => Either.Either<unknown, ParseResult.ParseIssue>

/** The first member that keeps everything, else the one that drops the fewest keys, if dropping is allowed. */
const parseByFit = (union: AST.AST, members: ReadonlyArray<Parse>): Parse => (input, options) => {
  const issues: Array<ParseResult.ParseIssue> = []
  let best: { readonly parse: Parse; readonly excess: number } | undefined
  for (const parse of members) {
    const result = parse(input, { ...options, errors: "all", onExcessProperty: "error" })
    if (Either.isRight(result)) return result
    issues.push(result.left)
    const excess = options.onExcessProperty === "error" ? undefined : countExcess(result.left)
    if (excess !== undefined && (best === undefined || excess < best.excess)) best = { parse, excess }
  }
  const [first, ...rest] = issues
  return best !== undefined
    ? best.parse(input, options)
    : Either.left(
      first === undefined
        ? new ParseResult.Type(union, input)
        : new ParseResult.Composite(union, input, [first, ...rest])
    )
}

const schemaOf = (ast: AST.AST) => Schema.make<unknown, unknown>(ast)

const byFit = (union: AST.Union, types: ReadonlyArray<AST.AST>): AST.AST =>
  new AST.Declaration(
    types,
    () => parseByFit(union, types.map((type) => ParseResult.decodeUnknownEither(schemaOf(type)))),
    () => parseByFit(union, types.map((type) => ParseResult.encodeUnknownEither(schemaOf(type)))),
    union.annotations
  )

/** The items, mapped; the same array if no item changed. */
const mapAll = <A>(items: ReadonlyArray<A>, f: (item: A) => A): ReadonlyArray<A> => {
  const mapped = items.map(f)
  return mapped.every((item, index) => item === items[index]) ? items : mapped
}

const typed =
  <A extends { readonly type: AST.AST }>(f: (ast: AST.AST) => AST.AST, make: (item: A, type: AST.AST) => A) =>
  (item: A): A => {
    const type = f(item.type)
    return type === item.type ? item : make(item, type)
  }

/** Replaces the ambiguous unions of a schema. */
export const fitUnions = (schema: AST.AST): FittedSchema => {
  let isAmbiguous = false
  // A recursive schema comes back to a node whose replacement is not finished. Its `Suspend` is read when that is done.
  const suspended = new Map<AST.AST, AST.AST>()
  const fit = (ast: AST.AST): AST.AST => {
    switch (ast._tag) {
      case "Union": {
        const types = mapAll(ast.types, fit)
        if (isAmbiguousUnion(ast.types)) {
          isAmbiguous = true
          return byFit(ast, types)
        }
        return types === ast.types ? ast : AST.Union.make(types, ast.annotations)
      }
      case "TypeLiteral": {
        const properties = mapAll(
          ast.propertySignatures,
          typed(
            fit,
            (each, type) =>
              new AST.PropertySignature(each.name, type, each.isOptional, each.isReadonly, each.annotations)
          )
        )
        const indexes = mapAll(
          ast.indexSignatures,
          typed(fit, (each, type) => new AST.IndexSignature(each.parameter, type, each.isReadonly))
        )
        return properties === ast.propertySignatures && indexes === ast.indexSignatures
          ? ast
          : new AST.TypeLiteral(properties, indexes, ast.annotations)
      }
      case "TupleType": {
        const elements = mapAll(
          ast.elements,
          typed(fit, (each, type) => new AST.OptionalType(type, each.isOptional, each.annotations))
        )
        const rest = mapAll(ast.rest, typed(fit, (each, type) => new AST.Type(type, each.annotations)))
        return elements === ast.elements && rest === ast.rest
          ? ast
          : new AST.TupleType(elements, rest, ast.isReadonly, ast.annotations)
      }
      case "Refinement": {
        const from = fit(ast.from)
        return from === ast.from ? ast : new AST.Refinement(from, ast.filter, ast.annotations)
      }
      case "Transformation": {
        const from = fit(ast.from)
        const to = fit(ast.to)
        return from === ast.from && to === ast.to
          ? ast
          : new AST.Transformation(from, to, ast.transformation, ast.annotations)
      }
      case "Declaration": {
        const parameters = mapAll(ast.typeParameters, fit)
        return parameters === ast.typeParameters
          ? ast
          : new AST.Declaration(parameters, ast.decodeUnknown, ast.encodeUnknown, ast.annotations)
      }
      case "Suspend": {
        const stored = suspended.get(ast)
        if (stored !== undefined) return stored
        const replaced = new AST.Suspend(() => inner, ast.annotations)
        suspended.set(ast, replaced)
        const inner = fit(ast.f())
        return replaced
      }
      default:
        return ast
    }
  }
  const fitted = fit(schema)
  return { ast: isAmbiguous ? fitted : schema, isAmbiguous }
}
