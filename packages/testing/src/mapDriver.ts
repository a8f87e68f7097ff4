/** Wraps every verb of a driver by one function. */
import * as Record from "effect/Record"
import type { Call, JournalDriver, Verb, VerbArguments, VerbName, Verbs, VerbValues } from "perdure/JournalDriver"
import { verbs } from "perdure/JournalDriver"

/**
 * A wrapper of calls: takes a call that has not run yet, the name of the verb and its request, and returns the call
 * that runs instead.
 *
 * @since 0.1.0
 * @category models
 */
export type AroundVerb = <Name extends VerbName>(
  call: Call<VerbValues[Name]>,
  verb: Name,
  request: VerbArguments[Name]
) => Call<VerbValues[Name]>

/**
 * A driver whose verbs are those of `driver`, each call wrapped by `around`. `transaction`, `inTransaction` and `hints`
 * stay as they are.
 *
 * @since 0.1.0
 * @category combinators
 * @example
 * import { mapDriver } from "@perdure/testing/mapDriver"
 * import * as Effect from "effect/Effect"
 * import type { JournalDriver } from "perdure/JournalDriver"
 *
 * // Answers of every verb arrive ten milliseconds late.
 * const slow = (driver: JournalDriver) => mapDriver(driver, (call) => Effect.delay(call, "10 millis"))
 */
export const mapDriver = (driver: JournalDriver, around: AroundVerb): JournalDriver => {
  const originals: Verbs = driver
  const wrap = <Name extends VerbName>(names: ReadonlyArray<Name>): { [N in Name]?: Verb<N> } => {
    const wrapped: { [N in Name]?: Verb<N> } = {}
    for (const name of names) wrapped[name] = (...request) => around(originals[name](...request), name, request)
    return wrapped
  }
  return { ...driver, ...wrap(Record.keys(verbs)) }
}
