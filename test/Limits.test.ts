/** Values that cannot be encoded, or are too large, are typed errors, and nothing is written. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { RunEnded, ValueInvalid, ValueTooLarge } from "perdure/Errors"
import { Limits } from "perdure/Limits"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { makeWorld, soon } from "./fixtures/world.js"

const Job = Workflow.make("Job", { payload: Schema.Unknown, success: Schema.Unknown })

const Strict = Workflow.make("Strict", { payload: { n: Schema.Int, tag: Schema.optional(Schema.String) } })

class Money {
  constructor(readonly cents: number) {}
}

const cycle: { list: Array<unknown> } = { list: [] }
cycle.list.push(cycle)

describe("a payload", () => {
  it.scoped("that JSON cannot represent is refused with its place, before anything is written", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const bad: ReadonlyArray<readonly [payload: unknown, says: string]> = [
        [{ a: { b: [0, Number.NaN] } }, "$.a.b[1] is NaN"],
        [Number.NEGATIVE_INFINITY, "$ is -Infinity"],
        [{ a: undefined }, "$.a is undefined: leave it out, or use null"],
        [{ a: "\uD800x" }, "$.a contains a lone surrogate"],
        [{ "\uDFFF": 1 }, "a key of $ contains a lone surrogate"],
        [["a\u0000b"], "$[0] contains the character NUL"],
        [{ price: new Money(1) }, "$.price is an instance of Money"],
        [{ toJSON: () => 1 }, "$ has a toJSON method"],
        [{ [Symbol("s")]: 1 }, "symbol"],
        [Symbol("s"), "a symbol"],
        [cycle, "$.list[0] refers back"]
      ]
      for (const [payload, says] of bad) {
        const error = yield* Effect.flip(world.use(Job.start(payload)))
        assert.instanceOf(error, ValueInvalid)
        assert.include(error.message, says)
        assert.include(error.message, "payload of workflow Job")
      }
      const mixed = yield* Effect.flip(world.use(Job.startAll([1, 2, Number.NaN])))
      assert.instanceOf(mixed, ValueInvalid, "one bad payload refuses the whole bulk start")
      assert.deepStrictEqual(world.writes, [])
    }))

  it.scoped("that does not match its schema is refused: wrong types, refinements, excess keys", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const excess: { readonly n: number } = Object.assign({ n: 1 }, { role: "admin" })
      for (const [payload, says] of [[{ n: 1.5 }, "integer"], [excess, "role"]] as const) {
        const error = yield* Effect.flip(world.use(Strict.start(payload)))
        assert.instanceOf(error, ValueInvalid)
        assert.include(error.message, says)
      }
      assert.deepStrictEqual(world.writes, [])
    }))

  it.scoped("is limited in bytes of UTF-8, exactly", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const tight = Limits.layer({ payloadBytes: 10 })
      const start = (payload: string) => world.use(Effect.provide(Job.start(payload), tight))
      const error = yield* Effect.flip(start("ééééé"))
      assert.deepStrictEqual(error, new ValueTooLarge({ what: "payload of workflow Job", bytes: 12, limit: 10 }))
      assert.include(error.message, "pass a reference to it instead, or raise Limits")
      assert.deepStrictEqual(world.writes, [])
      yield* start("éééé")
      const standard = yield* Effect.flip(world.use(Job.start("x".repeat(1024 * 1024 - 1))))
      assert.strictEqual(standard._tag, "ValueTooLarge")
      yield* world.use(Job.start("x".repeat(1024 * 1024 - 2)))
    }))

  it.scoped("that is large or unusual but valid comes back the same", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(Effect.succeed))
      const values = [null, 0, -0.5, 1e300, "", "👩‍🚀 \u2028 \\u0000", [[]], { "": { "a.b": [true, false] } }, {
        ["__proto__x"]: 1
      }]
      for (const value of values) assert.deepStrictEqual(yield* soon(world.use(Job.execute(value))), value)
    }))
})

describe("the result of a run", () => {
  it.scoped("that is invalid or too large fails the run with that error", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer((kind) => Effect.succeed(kind === "nan" ? Number.NaN : "x".repeat(2_000_000))))
      const invalid = yield* soon(Effect.flip(world.use(Job.execute("nan"))))
      assert.include(invalid.message, "result of workflow Job is not valid: $ is NaN")
      const large = yield* soon(Effect.flip(world.use(Job.execute("large"))))
      assert.include(large.message, "ValueTooLarge: result of workflow Job has 2000002 bytes")
    }))
})

describe("Limits.layer", () => {
  it.effect("fails with every problem of its options", () =>
    Effect.gen(function*() {
      const wrong: object = { payloadBytes: 0, signalBytes: "1 KiB", children: -1, stepBytes: 5 }
      const error = yield* Effect.flip(Effect.scoped(Layer.build(Limits.layer(wrong))))
      assert.strictEqual(error._tag, "ConfigurationInvalid")
      assert.deepStrictEqual(error.problems, [
        `"stepBytes" is not an option: use payloadBytes, stepResultBytes, signalBytes, journalBytes, childDepth or children, ` +
        `or leave it out`,
        `"payloadBytes" must be an integer from 1 to 2147483647, got 0`,
        `"signalBytes" must be an integer from 1 to 2147483647, got "1 KiB"`,
        `"children" must be an integer from 0 to 2147483647, got -1`
      ])
    }))

  it.effect("changes the limits that it names, and no others", () =>
    Effect.gen(function*() {
      const { children, payloadBytes } = yield* Effect.provide(Limits, Limits.layer({ children: 3 }))
      assert.deepStrictEqual([children, payloadBytes], [3, 1024 * 1024])
    }))
})

describe("a journal", () => {
  const Grows = Workflow.make("Grows", { payload: { n: Schema.Number }, success: Schema.Number })

  it.scoped("that would exceed its limit ends its run with a typed defect, after its finalizers", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const compensated: Array<string> = []
      const live = Grows.toLayer(({ n }) =>
        Effect.forEach(
          Array.from({ length: n }),
          (_, i) => Step.run(`s${i}`, Effect.succeed("x".repeat(1_000)), { success: Schema.String }),
          { discard: true }
        ).pipe(
          Effect.onInterrupt(() => Step.run("undo", Effect.sync(() => void compensated.push("undo")))),
          Effect.as(n)
        )
      )
      yield* world.launch(Layer.provide(live, Limits.layer({ journalBytes: 10_000 })))
      const small = yield* world.use(Grows.start({ n: 7 }))
      assert.strictEqual(yield* soon(small.result), 7)
      const large = yield* world.use(Grows.start({ n: 20 }))
      const ended = yield* soon(Effect.flip(large.result))
      assert.instanceOf(ended, RunEnded)
      assert.include(ended.message, `the journal of run ${large.id} would have 10`)
      assert.include(ended.message, "the limit is 10000: return references from steps")
      assert.deepStrictEqual(compensated, ["undo"])
      const history = yield* world.history(large.id)
      assert.deepStrictEqual(
        history.slice(-2).map(({ kind, name }) => `${kind} ${name}`),
        ["defect JournalTooLarge", "step undo"]
      )
      const bytes = history.reduce((sum, { exit }) => sum + (exit.value?.length ?? 0), 0)
      assert.isAtMost(bytes, 11_000)
    }))
})
