/** Schemas of secrets. */
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as AST from "effect/SchemaAST"

const isRedacted = (ast: AST.AST): boolean =>
  Option.exists(
    AST.getTypeConstructorAnnotation(ast),
    (constructor) => Predicate.isTagged(constructor, "effect/Redacted")
  )

/** Whether a part of the schema is `Schema.Redacted`: its values must not be shown. */
export const hasRedacted = (schema: AST.AST): boolean => {
  const seen = new Set<AST.AST>()
  const find = (ast: AST.AST): boolean => {
    if (seen.has(ast)) return false
    seen.add(ast)
    switch (ast._tag) {
      case "Declaration":
        return isRedacted(ast) || ast.typeParameters.some(find)
      case "TypeLiteral":
        return ast.propertySignatures.some(({ type }) => find(type)) ||
          ast.indexSignatures.some(({ type }) => find(type))
      case "TupleType":
        return ast.elements.some(({ type }) => find(type)) || ast.rest.some(({ type }) => find(type))
      case "Union":
        return ast.types.some(find)
      case "Refinement":
        return find(ast.from)
      case "Transformation":
        return find(ast.from) || find(ast.to)
      case "Suspend":
        return find(ast.f())
      default:
        return false
    }
  }
  return find(schema)
}
