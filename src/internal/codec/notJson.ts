/** What JSON, and storage, can hold. */
import * as Predicate from "effect/Predicate"
import { loneSurrogate } from "../util/show.js"

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
