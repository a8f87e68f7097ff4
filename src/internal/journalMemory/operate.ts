/** How a verb is executed on the state. */
import type * as Effect from "effect/Effect"
import type * as Driver from "../../driver/JournalDriver.js"
import type { Store } from "./Store.js"

/** Executes a function on the state in one synchronous step, and returns its result with the driver's time. */
export type Operate = <A>(
  run: (store: Store, now: Driver.Millis, inTransaction: boolean) => A
) => Effect.Effect<Driver.Answer<A>>
