/** What runs are found by, as their starters choose it: tags and attributes, checked above the drivers. */
import * as Effect from "effect/Effect"
import { ValueInvalid } from "../../Errors.js"
import type { Attributes } from "../../driver/JournalDriver.js"
import { id, idProblem } from "./names.js"
import type { Rule } from "./Rule.js"
import { arrayOf, mustBe, recordOf, rule, string } from "./Rule.js"
import { shown as whole, storable } from "../util/show.js"

/** Characters of a tag or of an attribute's name. */
const LENGTH = 200

/** Tags, and attributes, of one run. */
const MOST = 32

/** All but control and format characters, lone surrogates, and what is not assigned. */
const printable = /^\P{C}+$/u

export const label: Rule<string> = rule(
  `a string of 1 to ${LENGTH} printable characters`,
  (value) => typeof value === "string" && value.length <= LENGTH && printable.test(value)
)

const isScalar = (value: unknown): boolean =>
  typeof value === "string" || typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value))

const scalar: Rule<string | number | boolean> = rule("a string, a finite number or a boolean", isScalar)

export const attribute: Rule<string | number | boolean> = {
  expected: scalar.expected,
  problems: (value, place) =>
    typeof value === "string"
      ? id.problems(value, place)
      : isScalar(value)
      ? []
      : [mustBe(place, scalar.expected, value)]
}

/** Tags of one run, or of a filter. */
export const tags: Rule<ReadonlyArray<string>> = arrayOf(label, { max: MOST })

/** Attributes of one run, or of a filter. */
export const attributes: Rule<Attributes> = recordOf(label, attribute, { max: MOST })

/** Tags by their type alone. */
export const labelTags: Rule<ReadonlyArray<string>> = arrayOf(string())

/** Attributes by their type alone. */
export const labelAttributes: Rule<Attributes> = recordOf(string(), scalar)

/** As much of a bad value as helps. */
const shown = (value: unknown): string => storable(whole(value).slice(0, LENGTH))

const textProblem = (what: string, text: unknown): string | undefined =>
  typeof text === "string" && text.length >= 1 && text.length <= LENGTH && printable.test(text)
    ? undefined
    : `${what} ${shown(text)} must be a text of 1 to ${LENGTH} printable characters`

const tooMany = (what: string, count: number): string | undefined =>
  count > MOST
    ? `there are ${count} ${what}, at most ${MOST} may be: leave out what no run is looked for by`
    : undefined

/** What is wrong with tags, if anything, and the cure. */
export const tagsProblem = (tags: unknown): string | undefined => {
  if (!Array.isArray(tags)) return `tags are ${shown(tags)}, they must be an array of texts`
  for (const tag of tags) {
    const problem = textProblem("the tag", tag)
    if (problem !== undefined) return problem
  }
  return tooMany("tags", tags.length)
}

const attributeProblem = (name: string, value: unknown): string | undefined => {
  const problem = textProblem("the name of attribute", name)
  if (problem !== undefined) return problem
  if (typeof value === "string") return idProblem(`attribute ${name}:`, value)
  return typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value))
    ? undefined
    : `attribute ${name} is ${shown(value)}, it must be a text, a finite number or a boolean`
}

/** What is wrong with attributes, if anything, and the cure. */
export const attributesProblem = (attributes: unknown): string | undefined => {
  if (typeof attributes !== "object" || attributes === null || Array.isArray(attributes)) {
    return `attributes are ${shown(attributes)}, they must be an object of texts, numbers and booleans`
  }
  const all = Object.entries(attributes)
  for (const [name, value] of all) {
    const problem = attributeProblem(name, value)
    if (problem !== undefined) return problem
  }
  return tooMany("attributes", all.length)
}

interface Labels {
  readonly tags: ReadonlyArray<string>
  readonly attributes: Attributes
}

const none: Labels = { tags: [], attributes: {} }

/** The tags and attributes of a run: its workflow's and its own. Of two attributes of one name, its own counts. */
export const labelsOf = (
  workflow: {
    readonly name: string
    readonly options: {
      readonly tags?: ReadonlyArray<string> | undefined
      readonly attributes?: ((payload: never) => Attributes) | undefined
    }
  },
  payload: unknown,
  own: { readonly tags?: ReadonlyArray<string>; readonly attributes?: Attributes } | undefined
): Effect.Effect<Labels, ValueInvalid> => {
  const { attributes, tags } = workflow.options
  if (tags === undefined && attributes === undefined && own?.tags === undefined && own?.attributes === undefined) {
    return Effect.succeed(none)
  }
  return Effect.suspend(() => {
    // The function takes what the payload schema describes, and the payload has just been encoded by it.
    const make = attributes as ((payload: unknown) => Attributes) | undefined
    const parts = [make?.(payload), own?.attributes]
    const problem = tagsProblem(tags ?? []) ?? tagsProblem(own?.tags === undefined ? [] : own.tags) ??
      parts.map((part) => part === undefined ? undefined : attributesProblem(part)).find((each) => each !== undefined)
    const all = { tags: [...new Set([...tags ?? [], ...own?.tags ?? []])], attributes: { ...parts[0], ...parts[1] } }
    const wrong = problem ?? tagsProblem(all.tags) ?? attributesProblem(all.attributes)
    return wrong === undefined
      ? Effect.succeed(all)
      : new ValueInvalid({ what: `start of workflow ${workflow.name}`, detail: wrong })
  })
}
