/** The demo as its users run it, on the embedded database. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { run } from "./fixtures/example.js"

const Result = Schema.parseJson(Schema.Struct({
  database: Schema.String,
  orders: Schema.Int,
  kills: Schema.Int,
  outcomes: Schema.Record({ key: Schema.String, value: Schema.Int }),
  lost: Schema.Int,
  duplicates: Schema.Int,
  steps: Schema.Int,
  repeatedSteps: Schema.Int,
  problems: Schema.Array(Schema.String)
}))

describe("fulfilment", () => {
  it.live("two kills of the worker process lose no order", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* run("fulfilment/demo.ts", {
        args: ["--orders", "60", "--kills", "2", "--json"]
      })
      assert.strictEqual(code, 0, stderr)
      const result = yield* Schema.decode(Result)(stdout)
      assert.deepStrictEqual(result.problems, [])
      assert.strictEqual(result.lost, 0)
      assert.strictEqual(result.duplicates, 0)
      assert.strictEqual(result.database, "pglite")
      assert.strictEqual(result.kills, 2)
      // Every order has an outcome, and each outcome occurs.
      assert.strictEqual(Object.values(result.outcomes).reduce((a, b) => a + b, 0), 60)
      assert.isAbove(result.outcomes["fulfilled"] ?? 0, 30)
      assert.isAbove(result.outcomes["OutOfStock"] ?? 0, 0)
      assert.isAbove(result.steps, 60 * 4)
      assert.match(stderr, /^Fulfils 60 orders/m)
      assert.match(stderr, /^\d+ s: SIGKILL 2 of 2: worker process \d+ is dead, another takes over$/m)
      assert.match(stderr, /^\d+ s: [\d,]+ steps; orders: 0 new, .*, 60 done$/m)
      assert.notInclude(stderr, "\u001b")
      assert.notInclude(stderr, "\r")
    }), 120_000)
})
