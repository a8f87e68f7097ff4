/** Published values as waits name them: the type below `Published`, and its rule. */
import * as Predicate from "effect/Predicate"
import type { Rule } from "./Rule.js"
import { rule } from "./Rule.js"

export const PublishedTypeId: unique symbol = Symbol.for("perdure/Published")

export type PublishedTypeId = typeof PublishedTypeId

/** A published value of any type. Public as `Published.Any`. */
export interface AnyPublished {
  readonly [PublishedTypeId]: PublishedTypeId
  readonly key: string
}

export const isAnyPublished = (u: unknown): u is AnyPublished => Predicate.hasProperty(u, PublishedTypeId)

export const publishedReference: Rule<AnyPublished> = rule("a Published", isAnyPublished)
