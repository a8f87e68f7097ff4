import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { page, play } from "./tutorial.js"

describe("the tutorial", () => {
  it.live("does what it says, in the order of its steps", () =>
    Effect.gen(function*() {
      const results = yield* play(page)
      assert.deepStrictEqual(results.filter(({ failed, missing }) => missing.length + failed.length > 0), [])
      const again = results[1]?.output ?? ""
      assert.notInclude(again, "checking receipt 1", "a step that finished executes again")
    }), 600_000)
})
