/**
 * A driver's verbs as the core calls them. The answer's time refreshes the estimate of the driver's clock, and the
 * caller gets the value. Spans and metrics of storage belong here: every operation passes.
 */
import * as Effect from "effect/Effect"
import * as Record from "effect/Record"
import type { Answer } from "../../driver/JournalDriver.js"
import type { VerbArguments, VerbName, Verbs, VerbValues } from "../../driver/verbs.js"
import { verbs } from "../../driver/verbs.js"
import type { JournalError } from "../../Errors.js"
import type { DriverTime } from "../process/DriverTime.js"

/** Verbs whose callers compute with the time of the answer, not with an estimate. */
const timed = ["enqueue", "heartbeat", "schedules", "dueSchedules"] as const

type Result<Name extends VerbName> = Name extends typeof timed[number] ? Answer<VerbValues[Name]> : VerbValues[Name]

/** A verb by its name, without the driver's time in its result, except for the four that are timed. */
export type Operation<Name extends VerbName> = (
  ...request: VerbArguments[Name]
) => Effect.Effect<Result<Name>, JournalError>

/** Every verb of a driver, by its name there. */
export type Operations = { readonly [Name in VerbName]: Operation<Name> }

const isTimed = (name: VerbName): boolean => timed.some((each) => each === name)

export const makeOperations = (driver: Verbs, time: DriverTime): Operations => {
  const operationOf = <Name extends VerbName>(name: Name) => {
    const resultOf = isTimed(name)
      ? (answer: Answer<unknown>): unknown => answer
      : (answer: Answer<unknown>): unknown => answer.value
    return (...request: VerbArguments[Name]) =>
      Effect.map(driver[name](...request), (answer) => {
        time.observe(answer.now)
        return resultOf(answer)
      })
  }
  // Each verb is mapped as its type says.
  return Record.map(verbs, (_, name) => operationOf(name)) as Operations
}
