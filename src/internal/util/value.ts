/**
 * What every public value has besides its own: it pipes, and where it is printed it says what it is, instead of all its
 * effects.
 */
import * as Inspectable from "effect/Inspectable"
import type { Pipeable } from "effect/Pipeable"
import { pipeArguments } from "effect/Pipeable"
import type * as Types from "effect/Types"

/** `shown` is how a log has it. */
export const makeValue = (shown: Readonly<Record<string, string>>): Pipeable & Inspectable.Inspectable => ({
  ...Inspectable.BaseProto,
  toJSON: () => shown,
  pipe() {
    return pipeArguments(this, arguments)
  }
})

/** Stand for the type parameters of a value; never called. */
export const invariant = <A>(): Types.Invariant<A> => (a) => a

export const covariant: Types.Covariant<never> = (never) => never
