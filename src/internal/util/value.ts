/** The common part of public values: `pipe`, and a short form when a log or the console prints them. */
import * as Inspectable from "effect/Inspectable"
import type { Pipeable } from "effect/Pipeable"
import { pipeArguments } from "effect/Pipeable"
import type * as Types from "effect/Types"

/** `printed` is the form that logs show. */
export const makeValue = (printed: Readonly<Record<string, string>>): Pipeable & Inspectable.Inspectable => ({
  ...Inspectable.BaseProto,
  toJSON: () => printed,
  pipe() {
    return pipeArguments(this, arguments)
  }
})

/** The marker of an invariant type parameter; never called. */
export const invariant = <A>(): Types.Invariant<A> => (a) => a

/** The marker of a covariant type parameter; never called. */
export const covariant: Types.Covariant<never> = (never) => never
