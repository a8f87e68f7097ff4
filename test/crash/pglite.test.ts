import { assert, it } from "@effect/vitest"
import * as PgliteJournal from "@perdure/pglite/PgliteJournal"
import * as CrashExplorer from "@perdure/testing/simulation/CrashExplorer"
import * as Effect from "effect/Effect"
import { JournalDriver } from "perdure/JournalDriver"

const CRASHES = 300

const driver = PgliteJournal.layer({ clock: "effect" })

it.scopedLive(`${CRASHES} crashes of random programs lose nothing on PGlite`, () =>
  Effect.gen(function*() {
    const journal = yield* JournalDriver
    const tally = yield* Effect.promise(() =>
      CrashExplorer.exploreMany({ seed: 4_000, crashes: CRASHES, isReal: true, lives: 40, driver: () => journal })
    )
    process.stdout.write(`${CrashExplorer.describe(tally)}\n`)
    assert.isAtLeast(tally.crashes, CRASHES)
  }).pipe(Effect.provide(driver)), { timeout: 900_000 })
