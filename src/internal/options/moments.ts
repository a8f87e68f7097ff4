/** What `Run.waitFor` waits for, and its rule. */
import type { AnyPublished } from "./published.js"
import { publishedReference } from "./published.js"
import { id } from "./names.js"
import type { Rule } from "./Rule.js"
import { either, fields, func, mustBe, optional, string } from "./Rule.js"
import { isFields } from "../util/show.js"

/** A step of this name has an exit. */
interface StepMoment {
  readonly step: string
}

/** A signal of this name was received. */
interface SignalMoment {
  readonly signal: string
}

/** A published value that `until` accepts is visible. */
interface PublishedMoment {
  readonly published: AnyPublished
  readonly until?: (value: never) => boolean
}

const kinds = ["step", "signal", "published"] as const

const ofKind: Record<typeof kinds[number], Pick<Rule<unknown>, "problems">> = {
  step: fields<StepMoment>({ step: id }),
  signal: fields<SignalMoment>({ signal: id }),
  published: fields<PublishedMoment>({ published: publishedReference, until: optional(func()) })
}

const EXPECTED = "{ step }, { signal } or { published }"

export const moment: Rule<StepMoment | SignalMoment | PublishedMoment> = {
  expected: EXPECTED,
  problems: (value, place) => {
    const [kind, other] = isFields(value) ? kinds.filter((each) => each in value) : []
    return kind === undefined || other !== undefined
      ? [mustBe(place, EXPECTED, value)]
      : ofKind[kind].problems(value, "")
  }
}

interface Handle {
  readonly id: string
}

/** A run, or its id. */
export const runReference: Rule<string | Handle> = either(string(), {
  expected: "a Run or its id",
  problems: (value, place) =>
    isFields(value) && typeof value["id"] === "string" ? [] : [mustBe(place, "a Run or its id", value)]
})
