/** The contract of all drivers, on a database whose default isolation level is "serializable". */
import * as JournalContract from "@perdure/testing/JournalContract"
import { servers } from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as PgJournal from "../src/PgJournal.js"
import { strictDatabase } from "./support/isolation.js"

JournalContract.suite(
  `PgJournal on a serializable database on ${servers[0].name}`,
  Layer.unwrapScoped(
    Effect.map(
      strictDatabase(servers[0], "serializable"),
      (url) => PgJournal.layer({ url: Redacted.make(url), clock: "effect" })
    )
  )
)
