/** Whether a value came back from its stored form as the same value. */
import * as Equal from "effect/Equal"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"

type Fields = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null

const classOf = (value: object): unknown => Predicate.hasProperty(value, "constructor") ? value.constructor : undefined

/** Whether the value is of a `Schema.Class`, which is a schema itself. */
const isOfSchemaClass = (value: object): boolean => Schema.isSchema(classOf(value))

/** Two values of a schema: `back` was decoded. Keys that only `given` has were dropped on purpose. */
export const sameValue = (given: unknown, back: unknown): boolean => {
  if (!isObject(given) || !isObject(back)) return given === back || Object.is(given, back)
  if ((isOfSchemaClass(given) || isOfSchemaClass(back)) && classOf(given) !== classOf(back)) return false
  if (Equal.isEqual(back)) {
    if (Equal.equals(given, back)) return true
    // A class is equal by its fields, and a field may be a plain array.
    if (!isOfSchemaClass(back)) return false
  }
  if (back instanceof Date) return given instanceof Date && given.getTime() === back.getTime()
  if (Predicate.isIterable(back)) {
    if (!Predicate.isIterable(given)) return false
    const one: ReadonlyArray<unknown> = Array.from(given)
    const other: ReadonlyArray<unknown> = Array.from(back)
    return one.length === other.length && one.every((value, index) => sameValue(value, other[index]))
  }
  return Object.keys(back).every((key) => sameValue(given[key], back[key]))
}
