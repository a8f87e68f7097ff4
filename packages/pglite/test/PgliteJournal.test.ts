import { assert, it } from "@effect/vitest"
import * as PgliteJournal from "@perdure/pglite/PgliteJournal"
import * as JournalContract from "@perdure/testing/JournalContract"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { JournalDriver } from "perdure/JournalDriver"

JournalContract.suite("PgliteJournal", PgliteJournal.layer({ clock: "effect" }))

it.effect("says as a journal error what it cannot use", () =>
  Effect.gen(function*() {
    const error = yield* Effect.flip(Effect.scoped(Layer.build(PgliteJournal.layer({ schema: "no; good" }))))
    assert.deepInclude(error, { _tag: "JournalError", code: "Refused" })
  }))

it.scoped("is unavailable once it is closed", () =>
  Effect.gen(function*() {
    const driver = yield* Effect.scoped(Effect.provide(JournalDriver, PgliteJournal.layer()))
    const error = yield* Effect.flip(driver.get(["x"]))
    assert.strictEqual(error.code, "Unavailable")
  }))
