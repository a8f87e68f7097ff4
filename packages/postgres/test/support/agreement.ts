/** The agreement of the memory driver and PostgreSQL, on each server. */
import * as JournalAgreement from "@perdure/testing/JournalAgreement"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as JournalMemory from "perdure/JournalMemory"
import * as PgJournal from "../../src/PgJournal.js"

export const suite = (sequences: number): void => {
  for (const server of TestDatabase.servers) {
    const driver = Layer.unwrapScoped(
      Effect.map(
        TestDatabase.freshOn(server),
        ({ url }) => PgJournal.layer({ url: Redacted.make(url), clock: "effect" })
      )
    )
    JournalAgreement.suite(`memory and ${server.name}`, JournalMemory.layerDriver, driver, {
      sequences,
      timeoutMillis: 300_000
    })
  }
}
