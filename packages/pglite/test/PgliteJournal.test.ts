import { assert, describe, it } from "@effect/vitest"
import * as PgliteJournal from "@perdure/pglite/PgliteJournal"
import * as JournalContract from "@perdure/testing/JournalContract"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ConfigurationInvalid } from "perdure/Errors"
import { JournalDriver } from "perdure/JournalDriver"

JournalContract.suite("PgliteJournal", PgliteJournal.layer({ clock: "effect" }))

describe("PgliteJournal", () => {
  it.effect("fails with ConfigurationInvalid, which lists all problems of the options", () =>
    Effect.gen(function*() {
      // @ts-expect-error: the options have wrong types and names
      const layer = PgliteJournal.layer({ dataDir: 3, schema: "no; good", clock: "utc", migrate: "no", datadir: "x" })
      const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
      assert.instanceOf(error, ConfigurationInvalid)
      assert.deepStrictEqual(error.problems, [
        `"datadir" is not an option: did you mean "dataDir"?`,
        `"schema" must be a string of 1 to 48 letters, digits and underscores that starts neither with a digit nor with pg_, got "no; good"`,
        `"clock" must be "database" or "effect", got "utc"`,
        `"migrate" must be true or false, got "no"`,
        `"dataDir" must be the path of a folder, got 3`
      ])
    }))

  it.scoped("fails with the code Unavailable once it is closed", () =>
    Effect.gen(function*() {
      const driver = yield* Effect.scoped(Effect.provide(JournalDriver, PgliteJournal.layer()))
      const error = yield* Effect.flip(driver.get(["x"]))
      assert.strictEqual(error.code, "Unavailable")
    }))
})
