import * as PgJournal from "@perdure/postgres/PgJournal"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"

export const driver = Layer.unwrapScoped(
  Effect.map(
    TestDatabase.fresh,
    ({ url }) => PgJournal.layer({ url: Redacted.make(url), clock: "effect", maxConnections: 4 })
  )
)
