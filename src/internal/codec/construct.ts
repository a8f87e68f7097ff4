/** Values from the input of their schema's constructor, so that defaults of fields and classes apply. */
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Types from "effect/Types"
import { isFields } from "../util/show.js"
import type { AnySchema } from "./wire.js"

/**
 * What a value of a schema is made from: for a struct its fields, without those that have a constructor default; for a
 * class its instance or its fields; else the value itself.
 */
export type InputOf<S extends Schema.Schema.Any> = S extends Schema.Struct<infer Fields>
  ? Types.Simplify<Schema.Struct.Constructor<Fields>>
  : S extends new(props: infer Props, options?: Schema.MakeOptions) => infer Self
  // Every other schema has a constructor that takes `never`.
    ? [Props] extends [never] ? S["Type"] : Exclude<Props, void> | Self
  : S["Type"]

/** Fields as the schema of a struct. Fields whose schemas need services are refused at the first value. */
export const structOf = (
  payload: Schema.Struct.Fields | Schema.Schema.AnyNoContext
): Schema.Schema.AnyNoContext =>
  Schema.isSchema(payload) ? payload : Schema.Struct(payload as Record<string, Schema.Schema.AnyNoContext>)

/** The schema of `structOf` with the type that the overloads of a definition's `make` give it. */
export const declaredSchema = <P extends Schema.Schema.Any>(schema: Schema.Schema.Any): P => schema as P

/** Turns the input of a schema's constructor into a value, without checking it: encoding checks. */
export type Construct = (input: unknown) => unknown

const withoutValidation: Schema.MakeOptions = { disableValidation: true }

const hasDefault = (field: unknown): boolean =>
  Schema.isPropertySignature(field) &&
  (field.ast._tag === "PropertySignatureDeclaration" ? field.ast : field.ast.to).defaultValue !== undefined

type Constructor = new(props: object, options: Schema.MakeOptions) => object

/** Every schema is a function; only a `Schema.Class` has an identifier. */
const isClass = (schema: unknown): schema is Constructor =>
  Predicate.isFunction(schema) && "fields" in schema && "identifier" in schema

interface StructLike {
  readonly fields: Schema.Struct.Fields
  readonly make: (props: object, options: Schema.MakeOptions) => unknown
}

const isStruct = (schema: unknown): schema is StructLike =>
  Predicate.hasProperty(schema, "fields") && Predicate.hasProperty(schema, "make") && Predicate.isFunction(schema.make)

export const makeConstruct = (schema: AnySchema): Construct => {
  if (isClass(schema)) {
    return (input) => isFields(input) && !(input instanceof schema) ? new schema(input, withoutValidation) : input
  }
  return isStruct(schema) && Object.values(schema.fields).some(hasDefault)
    ? (input) => isFields(input) ? schema.make(input, withoutValidation) : input
    : (input) => input
}
