import { assert, it } from "@effect/vitest"
import * as JournalContract from "@perdure/testing/JournalContract"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as PgJournal from "../src/PgJournal.js"

for (const server of TestDatabase.servers) {
  const driver = Layer.unwrapScoped(
    Effect.map(
      TestDatabase.freshOn(server),
      ({ url }) => PgJournal.layer({ url: Redacted.make(url), clock: "effect" })
    )
  )
  JournalContract.suite(`PgJournal on ${server.name}`, driver)
}

it.effect("invalid options fail the layer with every problem, before a connection is opened", () =>
  Effect.gen(function*() {
    const wrong: unknown = {
      url: "postgres://secret@localhost/app",
      maxConnections: 0,
      maxTransactions: 1.5,
      prepare: "yes",
      listen: 1,
      connectTimeout: Infinity,
      statementTimeout: 0,
      startTimeout: "soon",
      applicationName: 3,
      ssl: "require",
      schema: "a b",
      maxConnection: 3
    }
    const error = yield* Effect.flip(Effect.scoped(Layer.build(PgJournal.layer(wrong as PgJournal.PgJournalOptions))))
    assert.strictEqual(error._tag, "ConfigurationInvalid")
    assert.strictEqual(error._tag === "ConfigurationInvalid" ? error.problems.length : 0, 12)
    assert.include(error.message, `"url" must be a Redacted string`)
    assert.notInclude(error.message, "secret")
  }))
