/**
 * Wraps every verb of a driver by one function. It enumerates the list of verbs, not the driver's own properties: a
 * driver may be an instance of a class, whose verbs are methods of its prototype.
 *
 * @since 0.2.0
 */
import * as Record from "effect/Record"
import type { Call } from "./Answer.js"
import type { JournalDriver } from "./JournalDriver.js"
import type { Verb, VerbArguments, VerbName, Verbs, VerbValues } from "./verbs.js"
import { verbs } from "./verbs.js"

/**
 * A wrapper of calls: takes a call that has not run yet, the name of the verb and its request, and returns the call
 * that runs instead.
 *
 * @since 0.2.0
 * @category models
 */
export type AroundVerb = <Name extends VerbName>(
  call: Call<VerbValues[Name]>,
  verb: Name,
  request: VerbArguments[Name]
) => Call<VerbValues[Name]>

/**
 * A driver whose verbs are those of `driver`, each call wrapped by `around`, as a plain object that can be spread. Its
 * `transaction`, `inTransaction` and `hints` are those of `driver`.
 *
 * @since 0.2.0
 * @category combinators
 * @example
 * import * as Effect from "effect/Effect"
 * import { type JournalDriver, mapDriver } from "perdure/JournalDriver"
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
  return {
    ...driver,
    ...wrap(Record.keys(verbs)),
    transaction: (self) => driver.transaction(self),
    inTransaction: driver.inTransaction,
    hints: driver.hints
  }
}
