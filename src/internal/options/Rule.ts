/**
 * Checks of input: a `Rule<A>` lists the problems of a value that should be an `A`. `fields` ties a table of rules to
 * an options interface, so the compiler refuses an option without a rule and a rule without an option.
 *
 * Rules look at the value itself and trust no type: values also come from JavaScript and from configuration files. What
 * follows from a problem (an error or a defect) is decided by `policy.ts`, never here.
 */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Predicate from "effect/Predicate"
import type * as Types from "effect/Types"
import { bytesAbove, notJson } from "../codec/wire.js"
import { isFields, quote } from "../util/show.js"
import { MIN_STORED_MILLIS, instantOf, millisOf } from "../util/time.js"

/** Complete sentences, each with the place, the value and the cure. Empty: the value is valid. */
export type Problems = ReadonlyArray<string>

export interface Rule<in out A> {
  /** A noun phrase for `"x" must be …`. */
  readonly expected: string
  /** `place` is the path to the value (`rate.limit`, `queues[1]`); empty for the options as a whole. */
  readonly problems: (value: unknown, place: string) => Problems
  /** Never set: it makes the compiler keep rules of different types apart. */
  readonly _A?: Types.Invariant<A>
}

/** The largest count that every storage can hold. */
export const MAX_COUNT = 2_147_483_647

const NONE: Problems = []

const named = (place: string): string => place === "" ? "the options" : JSON.stringify(place)

/** The one form of all messages. */
export const mustBe = (place: string, expected: string, value: unknown): string =>
  `${named(place)} must be ${expected}, got ${quote(value)}`

const within = (place: string, key: string): string => place === "" ? key : `${place}.${key}`

/** The rule for all that `isValid` accepts. */
export const rule = <A>(expected: string, isValid: (value: unknown) => boolean): Rule<A> => ({
  expected,
  problems: (value, place) => isValid(value) ? NONE : [mustBe(place, expected, value)]
})

/** Narrows a value to `A` if the rule of `A` has found no problem in it. */
const isA = <A>(_value: unknown, problems: Problems): _value is A => problems.length === 0

/** Whether a rule accepts a value. */
export const accepts = <A>(rule: Rule<A>, value: unknown): value is A => isA(value, rule.problems(value, ""))

/** A rule, and problems of values that it accepts, for example of two fields that exclude each other. */
export const refine = <A>(rule: Rule<A>, more: (value: A, place: string) => Problems): Rule<A> => ({
  expected: rule.expected,
  problems: (value, place) => {
    const problems = rule.problems(value, place)
    return isA<A>(value, problems) ? more(value, place) : problems
  }
})

export const optional = <A>({ expected, problems }: Rule<A>): Rule<A | undefined> => ({
  expected,
  problems: (value, place) => value === undefined ? NONE : problems(value, place)
})

/**
 * Either of two rules. The message is the one that says more: a problem inside the value goes before one of the whole.
 */
export const either = <A, B>(one: Rule<A>, other: Rule<B>): Rule<A | B> => {
  const expected = `${one.expected} or ${other.expected}`
  return {
    expected,
    problems: (value, place) => {
      const first = one.problems(value, place)
      if (first.length === 0) return NONE
      const second = other.problems(value, place)
      if (second.length === 0) return NONE
      if (first[0] !== mustBe(place, one.expected, value)) return first
      return second[0] === mustBe(place, other.expected, value) ? [mustBe(place, expected, value)] : second
    }
  }
}

export const nullable = <A>(other: Rule<A>): Rule<A | null> => either(other, rule<null>("null", Predicate.isNull))

const list = (items: ReadonlyArray<string>): string =>
  items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} or ${items.at(-1)}`

export const oneOf = <const A extends string>(...literals: ReadonlyArray<A>): Rule<A> =>
  rule(list(literals.map((each) => JSON.stringify(each))), (value) => literals.some((each) => each === value))

export const boolean: Rule<boolean> = rule("true or false", Predicate.isBoolean)

/** A function. Its parameters and result cannot be checked. */
export const func = <F>(): Rule<F> => rule("a function", Predicate.isFunction)

/** An integer. */
export const count = ({ max = MAX_COUNT, min }: { readonly min: number; readonly max?: number }): Rule<number> =>
  rule(
    `an integer from ${min} to ${max}`,
    (value) => typeof value === "number" && Number.isInteger(value) && value >= min && value <= max
  )

/** A duration. Bounds are in milliseconds and inclusive; `max: Infinity` allows an infinite one. */
export const duration = (
  { max, min = 0 }: { readonly min?: number; readonly max?: number } = {}
): Rule<Duration.DurationInput> => {
  const bounds = [...min > 0 ? [`at least ${min} ms`] : [], ...Number.isFinite(max) ? [`at most ${max} ms`] : []]
  const kind = max === Infinity ? "a duration" : "a finite duration"
  return rule(`${[kind, ...bounds.length > 0 ? ["of", bounds.join(" and ")] : []].join(" ")}, such as "1 minute"`, (
    value
  ) => {
    const millis = millisOf(value)
    return millis !== undefined && millis >= min && (max === Infinity || millis <= (max ?? Number.MAX_VALUE))
  })
}

/** An instant that every storage can hold. Bounds are in milliseconds since the epoch and inclusive. */
export const instant = (
  { max = Infinity }: { readonly max?: number } = {}
): Rule<DateTime.DateTime | Date> =>
  rule(
    `a valid DateTime or Date ${
      max === Infinity ? "after the year -4000" : `from the year -4000 to ${new Date(max).getUTCFullYear()}`
    }`,
    (value) => {
      const millis = instantOf(value)
      return millis !== undefined && millis >= MIN_STORED_MILLIS && millis <= max
    }
  )

/**
 * A string. `min` and `max` count characters (UTF-16 units). `maxBytes` counts UTF-8 and implies that storage can hold
 * it: no NUL, no lone surrogate.
 */
export const string = (
  { max, maxBytes, min = 0 }: { readonly min?: number; readonly max?: number; readonly maxBytes?: number } = {}
): Rule<string> => {
  const expected = max !== undefined
    ? `a string of ${min > 0 ? `${min} to ${max}` : `at most ${max}`} characters`
    : min === 1
    ? "a string that is not empty"
    : min > 1
    ? `a string of at least ${min} characters`
    : "a string"
  return {
    expected,
    problems: (value, place) => {
      if (typeof value !== "string" || value.length < min) return [mustBe(place, expected, value)]
      if (max !== undefined && value.length > max) {
        return [`${mustBe(place, expected, value)} (${value.length} characters): shorten it`]
      }
      return maxBytes === undefined ? NONE : checkStorage(value, place, maxBytes)
    }
  }
}

/** Why storage cannot hold a string. */
const checkStorage = (value: string, place: string, maxBytes: number): Problems => {
  if (notJson(value) !== undefined) {
    return [`${notJson(value, named(place))}, got ${quote(value)}: remove or escape it`]
  }
  const bytes = bytesAbove(value, maxBytes)
  return bytes === undefined
    ? NONE
    : [
      `${named(place)} has ${bytes} bytes, the limit is ${maxBytes}, got ${
        quote(value)
      }: shorten it, or use a hash of it`
    ]
}

/** The bounds of a size, if there are any: ` with 1 to 32 items`. */
const sizeText = (min: number, max: number, noun: string): string =>
  Number.isFinite(max)
    ? ` with ${min > 0 ? `${min} to ${max}` : `at most ${max}`} ${noun}s`
    : min > 0
    ? ` with at least ${min} ${noun}${min > 1 ? "s" : ""}`
    : ""

export const arrayOf = <A>(
  item: Rule<A>,
  { max = Infinity, min = 0 }: { readonly min?: number; readonly max?: number } = {}
): Rule<ReadonlyArray<A>> => {
  const expected = `an array${sizeText(min, max, "item")}, each ${item.expected}`
  return {
    expected,
    problems: (value, place) => {
      if (!Array.isArray(value) || value.length < min) return [mustBe(place, expected, value)]
      if (value.length > max) return [`${mustBe(place, expected, value)} (${value.length} items)`]
      const items: ReadonlyArray<unknown> = value
      return items.flatMap((each, index) => item.problems(each, `${place}[${index}]`))
    }
  }
}

/** One, or an array of at least one. */
export const oneOrMore = <A>(item: Rule<A>): Rule<A | ReadonlyArray<A>> => {
  const expected = `${item.expected}, or an array of one or more`
  const items = arrayOf(item, { min: 1 })
  return {
    expected,
    problems: (value, place) => {
      if (Array.isArray(value) && value.length > 0) return items.problems(value, place)
      const problems = item.problems(value, place)
      return problems[0] === mustBe(place, item.expected, value) ? [mustBe(place, expected, value)] : problems
    }
  }
}

/** An object whose keys are data, such as names of workflows. */
export const recordOf = <A>(
  key: Rule<string>,
  value: Rule<A>,
  { max = Infinity, min = 0 }: { readonly min?: number; readonly max?: number } = {}
): Rule<{ readonly [key: string]: A }> => {
  const expected = `an object${sizeText(min, max, "key")}, each value ${value.expected}`
  return {
    expected,
    problems: (given, place) => {
      if (!isFields(given) || Object.keys(given).length < min) return [mustBe(place, expected, given)]
      const entries = Object.entries(given)
      if (entries.length > max) return [`${mustBe(place, expected, given)} (${entries.length} keys)`]
      return entries.flatMap(([name, each]) => [
        ...key.problems(name, `a key of ${place}`),
        ...value.problems(each, within(place, name))
      ])
    }
  }
}

/** A rule for each option, also for those that may be left out (`optional`). */
export type Table<Options> = { readonly [Name in keyof Options]-?: Rule<Options[Name]> }

/**
 * An object of options. Unknown keys are problems, so that a misspelled option is not ignored. Every step checks its
 * options, so this allocates little.
 */
export const fields = <Options extends object>(table: Table<Options>): Rule<Options> => {
  const rules: ReadonlyArray<readonly [string, Pick<Rule<unknown>, "problems">]> = Object.entries(table)
  const names = rules.map(([name]) => name)
  const known = new Set(names)
  const expected = names.length > 4 ? "an object" : `an object { ${names.join(", ")} }`
  return {
    expected,
    problems: (value, place) => {
      if (!isFields(value)) return [mustBe(place, expected, value)]
      const found: Array<string> = []
      for (const key of Object.keys(value)) if (!known.has(key)) found.push(unknownOption(place, key, names))
      for (const [name, { problems }] of rules) found.push(...problems(value[name], within(place, name)))
      return found
    }
  }
}

const unknownOption = (place: string, key: string, names: ReadonlyArray<string>): string => {
  const near = names.find((name) => isNear(name.toLowerCase(), key.toLowerCase()))
  return `${named(within(place, key))} is not an option: ` +
    (near === undefined ? `use ${list(names)}, or leave it out` : `did you mean "${near}"?`)
}

/** Whether at most two characters are to be inserted, removed or replaced to make `a` of `b` (Levenshtein). */
const isNear = (a: string, b: string): boolean => {
  let distances = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (const [row, char] of [...a].entries()) {
    const next = [row + 1]
    for (const [column, other] of [...b].entries()) {
      next.push(Math.min(
        (next[column] ?? 0) + 1,
        (distances[column + 1] ?? 0) + 1,
        (distances[column] ?? 0) + (char === other ? 0 : 1)
      ))
    }
    distances = next
  }
  return (distances.at(-1) ?? 0) <= Math.min(2, Math.floor(a.length / 3))
}
