import * as PgliteJournal from "@perdure/pglite/PgliteJournal"
import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import { JournalDriver } from "perdure/JournalDriver"
import { commands, play } from "./fixtures/controls.js"
import { makeWorld } from "./fixtures/world.js"

describe("random controls on a tree of runs", () => {
  it.effect.prop(
    "keep what must hold, in memory",
    [commands],
    ([sequence]) =>
      Effect.gen(function*() {
        const world = yield* makeWorld()
        yield* play(world, sequence, (seconds) => TestClock.adjust(`${seconds} seconds`))
      }).pipe(Effect.scoped, Effect.provide(TestContext.TestContext)),
    { timeout: 120_000, fastCheck: { numRuns: 20, endOnFailure: true } }
  )

  it.effect.prop(
    "keep what must hold, on PGlite",
    [commands],
    ([sequence]) =>
      Effect.gen(function*() {
        const driver = yield* JournalDriver
        const world = yield* makeWorld(() => driver)
        // Statements run in order, so a caller that waited for its own has let the others' run.
        const turn = Effect.repeatN(Effect.orDie(driver.get([])), 12)
        const settle = (seconds: number) =>
          Effect.repeatN(
            Effect.zipRight(TestClock.adjust(seconds > 20 ? "10 seconds" : "1 second"), turn),
            seconds > 20 ? seconds / 10 : seconds
          )
        yield* play(world, sequence, settle)
      }).pipe(
        Effect.scoped,
        Effect.provide(Layer.merge(TestContext.TestContext, Layer.fresh(PgliteJournal.layer({ clock: "effect" }))))
      ),
    { timeout: 240_000, fastCheck: { numRuns: 2, endOnFailure: true } }
  )
})
