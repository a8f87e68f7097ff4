import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { requireArguments, requireConfiguration, requireValue } from "../../../src/internal/options/policy.js"
import { misuseOf } from "../../fixtures/misuse.js"

describe("the outcome of bad input", () => {
  const one = [`"a" must be b, got c`]
  const two = [...one, `"d\u0000" is not an option`]

  it.effect("is ConfigurationInvalid with all problems for a definition or a layer", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(requireConfiguration("the options of X.layer", two))
      assert.strictEqual(error._tag, "ConfigurationInvalid")
      assert.deepStrictEqual(error.problems, [`"a" must be b, got c`, `"d\uFFFD" is not an option`])
      assert.include(error.message, "the options of X.layer")
    }))

  it.effect("is a Misuse with all problems for the arguments of a call", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* misuseOf(requireArguments("X.f", one)), `X.f: "a" must be b, got c`)
      assert.strictEqual(
        yield* misuseOf(requireArguments("X.f", two)),
        `X.f: 2 problems:\n  - "a" must be b, got c\n  - "d\uFFFD" is not an option`
      )
    }))

  it.effect("is ValueInvalid for a value", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(requireValue("key of workflow W", one))
      assert.strictEqual(error._tag, "ValueInvalid")
      assert.strictEqual(error.message, `key of workflow W is not valid: "a" must be b, got c`)
    }))

  it.effect("is success without a problem", () =>
    Effect.all([requireConfiguration("x", []), requireArguments("x", []), requireValue("x", [])]))
})
