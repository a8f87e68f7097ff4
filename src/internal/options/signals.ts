/** Signals as definitions of workflows name them: the type below `Signal`, and its rule. */
import * as Predicate from "effect/Predicate"
import { id } from "./names.js"
import type { Rule } from "./Rule.js"
import { mustBe } from "./Rule.js"

export const SignalTypeId: unique symbol = Symbol.for("perdure/Signal")

export type SignalTypeId = typeof SignalTypeId

/** A signal of any payload. Public as `Signal.Any`. */
export interface AnySignal {
  readonly [SignalTypeId]: SignalTypeId
  readonly name: string
}

export const isAnySignal = (u: unknown): u is AnySignal => Predicate.hasProperty(u, SignalTypeId)

export const signalReference: Rule<AnySignal> = {
  expected: "a Signal",
  problems: (value, place) =>
    isAnySignal(value) ? id.problems(value.name, `${place}.name`) : [mustBe(place, "a Signal", value)]
}
