import { assert, it } from "@effect/vitest"
import * as PgJournal from "@perdure/postgres/PgJournal"
import * as CrashExplorer from "@perdure/testing/simulation/CrashExplorer"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { JournalDriver } from "perdure/JournalDriver"

const CRASHES = 1_000

const driver = Layer.unwrapScoped(
  Effect.map(
    TestDatabase.fresh,
    ({ url }) => PgJournal.layer({ url: Redacted.make(url), clock: "effect", maxConnections: 4 })
  )
)

it.scopedLive(`${CRASHES} crashes of random programs lose nothing on PostgreSQL`, () =>
  Effect.gen(function*() {
    const journal = yield* JournalDriver
    const tally = yield* Effect.promise(() =>
      CrashExplorer.exploreMany({ seed: 3_000, crashes: CRASHES, isReal: true, lives: 40, driver: () => journal })
    )
    process.stdout.write(`${CrashExplorer.describe(tally)}\n`)
    assert.isAtLeast(tally.crashes, CRASHES)
  }).pipe(Effect.provide(driver)), { timeout: 900_000 })
