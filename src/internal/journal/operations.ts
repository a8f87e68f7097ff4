/**
 * A driver's operations as the core calls them. The answer's time refreshes the estimate of the driver's clock, and the
 * caller gets the value. Spans and metrics of storage belong here: every operation passes.
 */
import * as Effect from "effect/Effect"
import type { Answer, JournalDriver } from "../../driver/JournalDriver.js"
import type { JournalError } from "../../Errors.js"
import type { DriverTime } from "../process/DriverTime.js"

/** The members of a driver that are no operations: they carry no answer. */
const others = ["transaction", "inTransaction", "hints"] as const

type Name = Exclude<keyof JournalDriver, typeof others[number]>

/** Operations whose callers compute with the time of the answer, not with an estimate. */
const timed = ["enqueue", "heartbeat", "schedules", "dueSchedules"] as const

type Result<K, A> = K extends typeof timed[number] ? Answer<A> : A

type Operation<K, F> = F extends (...args: infer Args) => Effect.Effect<Answer<infer A>, JournalError>
  ? (...args: Args) => Effect.Effect<Result<K, A>, JournalError>
  : F extends Effect.Effect<Answer<infer A>, JournalError> ? Effect.Effect<Result<K, A>, JournalError>
  : never

/** Every operation of a driver, by its name there. */
export type Operations = { readonly [K in Name]: Operation<K, JournalDriver[K]> }

type AnyOperation = Effect.Effect<Answer<unknown>, JournalError>

const includes = (names: ReadonlyArray<string>, name: string): boolean => names.includes(name)

export const makeOperations = (driver: JournalDriver, time: DriverTime): Operations => {
  const observe = (name: string) => {
    const resultOf = includes(timed, name)
      ? (answer: Answer<unknown>): unknown => answer
      : (answer: Answer<unknown>): unknown => answer.value
    return (operation: AnyOperation) =>
      Effect.map(operation, (answer) => {
        time.observe(answer.now)
        return resultOf(answer)
      })
  }
  const operations = Object.entries(driver).filter(([name]) => !includes(others, name)).map(([name, member]) => {
    const observed = observe(name)
    return [
      name,
      Effect.isEffect(member)
        ? observed(member as AnyOperation)
        : (...args: ReadonlyArray<never>) =>
          observed((member as (...args: ReadonlyArray<never>) => AnyOperation)(...args))
    ]
  })
  // The entries are the driver's own, each mapped as its type says.
  return Object.fromEntries(operations) as Operations
}
