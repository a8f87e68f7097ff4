import { assert, it } from "@effect/vitest"
import * as PgliteJournal from "@perdure/pglite/PgliteJournal"
import * as JournalContract from "@perdure/testing/JournalContract"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { JournalDriver } from "perdure/JournalDriver"

JournalContract.suite("PgliteJournal", PgliteJournal.layer({ clock: "effect" }))

it.effect("invalid options fail the layer with every problem, before a database is opened", () =>
  Effect.gen(function*() {
    const wrong: object = { schema: "no; good", dataDir: "", clock: "mine", migrate: 1, dataDirectory: "x" }
    const error = yield* Effect.flip(Effect.scoped(Layer.build(PgliteJournal.layer(wrong))))
    assert.strictEqual(error._tag, "ConfigurationInvalid")
    assert.strictEqual(error._tag === "ConfigurationInvalid" ? error.problems.length : 0, 5)
    for (const part of ["the options of PgliteJournal", "\"schema\" must be", "\"dataDirectory\" is not an option"]) {
      assert.include(error.message, part)
    }
  }))

it.scoped("a closed journal fails with Unavailable", () =>
  Effect.gen(function*() {
    const driver = yield* Effect.scoped(Effect.provide(JournalDriver, PgliteJournal.layer()))
    const error = yield* Effect.flip(driver.get(["x"]))
    assert.strictEqual(error.code, "Unavailable")
  }))
