/** Labels of runs, by which they are found: tags and attributes. */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type { Attributes } from "../../driver/JournalDriver.js"
import type { ValueInvalid } from "../../Errors.js"
import { id } from "./names.js"
import { requireValue } from "./policy.js"
import type { Rule } from "./Rule.js"
import { arrayOf, mustBe, optional, recordOf, rule, string } from "./Rule.js"

/** The longest tag, and the longest name of an attribute, in characters. */
const LABEL_LENGTH = 200

/** Most tags, and most attributes, of one run. */
const MAX_LABEL_COUNT = 32

/** No control or format character, lone surrogate or unassigned code point. */
const printable = /^\P{C}+$/u

/** A tag, or the name of an attribute. */
export const label: Rule<string> = rule(
  `a string of 1 to ${LABEL_LENGTH} printable characters`,
  (value) => typeof value === "string" && value.length <= LABEL_LENGTH && printable.test(value)
)

const scalar: Rule<string | number | boolean> = rule(
  "a string, a number or a boolean",
  (value) => Predicate.isString(value) || Predicate.isNumber(value) || Predicate.isBoolean(value)
)

/** The value of an attribute. */
export const attribute: Rule<string | number | boolean> = {
  expected: "a string, a finite number or a boolean",
  problems: (value, place) =>
    typeof value === "string"
      ? id.problems(value, place)
      : typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value))
      ? []
      : [mustBe(place, attribute.expected, value)]
}

export const tags: Rule<ReadonlyArray<string>> = arrayOf(label, { max: MAX_LABEL_COUNT })

export const attributes: Rule<Attributes> = recordOf(label, attribute, { max: MAX_LABEL_COUNT })

/** Tags by their type alone: the arguments of a start, whose content is a value. */
export const tagsType: Rule<ReadonlyArray<string>> = arrayOf(string())

/** Attributes by their type alone. */
export const attributesType: Rule<Attributes> = recordOf(string(), scalar)

interface Labels {
  readonly tags: ReadonlyArray<string>
  readonly attributes: Attributes
}

const none: Labels = { tags: [], attributes: {} }

const checkLabels = (given: { readonly tags: unknown; readonly attributes: unknown }): ReadonlyArray<string> => [
  ...optional(tags).problems(given.tags, "tags"),
  ...optional(attributes).problems(given.attributes, "attributes")
]

/**
 * The labels of a run: its workflow's and its own. Its own attributes override the workflow's. Fails with
 * `ValueInvalid` if they cannot be stored.
 */
export const labelsOf = (
  workflow: {
    readonly name: string
    readonly options: {
      readonly tags?: ReadonlyArray<string> | undefined
      readonly attributes?: ((payload: never) => Attributes) | undefined
    }
  },
  payload: unknown,
  own: Partial<Labels> | undefined
): Effect.Effect<Labels, ValueInvalid> => {
  const { options } = workflow
  if (
    options.tags === undefined && options.attributes === undefined && own?.tags === undefined &&
    own?.attributes === undefined
  ) {
    return Effect.succeed(none)
  }
  return Effect.gen(function*() {
    const what = `start of workflow ${workflow.name}`
    // The function takes what the payload schema describes, and the payload has just been encoded by it.
    const make = options.attributes as ((payload: unknown) => Attributes) | undefined
    const made = make?.(payload)
    yield* requireValue(what, [
      ...checkLabels({ tags: options.tags, attributes: made }),
      ...checkLabels({ tags: own?.tags, attributes: own?.attributes })
    ])
    const all = {
      tags: [...new Set([...options.tags ?? [], ...own?.tags ?? []])],
      attributes: { ...made, ...own?.attributes }
    }
    yield* requireValue(what, checkLabels(all))
    return all
  })
}
