/** Mutants of transactions and hints. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Mutant, mutant } from "./Mutant.js"

export const storageMutants: ReadonlyArray<Mutant> = [
  mutant("transaction", "a failed transaction is not rolled back", () => ({ transaction: (self) => self })),
  mutant("transaction", "a transaction turns failures into defects", (driver) => ({
    transaction: (self) => Effect.orDie(driver.transaction(self))
  })),
  mutant("hints", "no hints are sent", () => ({ hints: Stream.never })),
  mutant("hints", "no holder gets a hint", (driver) => ({
    hints: Stream.filter(driver.hints, ({ _tag }) => _tag !== "Inbox")
  })),
  mutant("hints", "callers of await get no hint", (driver) => ({ await: driver.get })),
  mutant("hints", "a ping sends no hint", (driver) => ({
    hints: Stream.filter(driver.hints, ({ _tag }) => _tag !== "Ping")
  })),
  mutant("transaction", "inTransaction is always false", () => ({ inTransaction: Effect.succeed(false) })),
  mutant("transaction", "inTransaction is always true", () => ({ inTransaction: Effect.succeed(true) })),
  mutant("hints", "a write of schedules sends no hint", (driver) => ({
    writeSchedules: (request) => driver.writeSchedules({ ...request, hint: false })
  }))
]
