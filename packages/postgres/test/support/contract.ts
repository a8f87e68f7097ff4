/** The contract of all drivers, on a server. */
import * as JournalContract from "@perdure/testing/JournalContract"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as PgJournal from "../../src/PgJournal.js"

export const suite = (server: TestDatabase.Server): void => {
  const driver = Layer.unwrapScoped(
    Effect.map(
      TestDatabase.freshOn(server),
      ({ url }) => PgJournal.layer({ url: Redacted.make(url), clock: "effect" })
    )
  )
  JournalContract.suite(`PgJournal on ${server.name}`, driver)
}
