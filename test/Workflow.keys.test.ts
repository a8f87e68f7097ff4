/** Idempotency keys: the attempts that they find, the versions that share them, and empty ones. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { ValueInvalid, ValueUnreadable } from "perdure/Errors"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { misuseOf } from "./fixtures/misuse.js"
import { makeWorld, soon } from "./fixtures/world.js"

const Order = Workflow.make("Order", {
  payload: { id: Schema.String },
  success: Schema.String,
  error: Schema.String,
  idempotencyKey: ({ id }) => id
})

describe("a key whose run failed", () => {
  it.scoped("finds the newest attempt: by a start, by a bulk start, by find and by the handle", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      let isFixed = false
      yield* world.launch(
        Order.toLayer(() =>
          Step.run("ship", Effect.suspend(() => isFixed ? Effect.succeed("sent") : Effect.fail("no stock")), {
            success: Schema.String,
            error: Schema.String
          })
        )
      )
      const find = Effect.map(world.use(Order.find("o-1")), (found) => Option.map(found, ({ id }) => id))
      assert.deepStrictEqual(yield* find, Option.none())
      const run = yield* world.use(Order.start({ id: "o-1" }))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* world.use(Order.start({ id: "o-1" }))).id, run.id, "it was not retried")
      const first = yield* run.retry()
      yield* TestClock.adjust("1 second")
      isFixed = true
      const second = yield* first.retry()
      const [bulk, other] = yield* world.use(Order.startAll([{ id: "o-1" }, { id: "o-2" }]))
      assert.strictEqual((yield* world.use(Order.start({ id: "o-1" }))).id, second.id)
      assert.strictEqual(bulk?.id, second.id)
      assert.notStrictEqual(other?.id, second.id)
      assert.deepStrictEqual(yield* find, Option.some(second.id))
      for (const attempt of [run, first, second]) assert.strictEqual((yield* attempt.current).id, second.id)
      assert.strictEqual(yield* soon(Effect.flatMap(run.current, ({ result }) => result)), "sent")
      const conflict = yield* Effect.flip(world.use(Other.start({ id: "o-1", cents: 1 })))
      assert.deepInclude(conflict, { _tag: "IdempotencyConflict", runId: run.id })
    }))

  it.scoped("finds its own run while that is live, and when it has completed", () =>
    Effect.gen(function*() {
      let reads = 0
      const world = yield* makeWorld((driver) => ({
        ...driver,
        get: (runs) => {
          reads++
          return driver.get(runs)
        }
      }))
      const run = yield* world.use(Order.start({ id: "o-1" }))
      assert.strictEqual((yield* world.use(Order.start({ id: "o-1" }))).id, run.id)
      yield* world.launch(Order.toLayer(() => Effect.succeed("sent")))
      yield* TestClock.adjust("1 second")
      reads = 0
      assert.strictEqual((yield* world.use(Order.start({ id: "o-1" }))).id, run.id)
      assert.strictEqual(reads, 0, "storage is not asked for retries")
    }))

  it.scoped("finds more than a page of attempts, also if older ones were deleted", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld((driver) => ({
        ...driver,
        get: (ids) => driver.get(ids.filter((id) => !/~(?:3|7)$/.test(id)))
      }))
      yield* world.launch(Order.toLayer(() => Effect.fail("no stock")))
      const run = yield* world.use(Order.start({ id: "o-1" }))
      yield* TestClock.adjust("1 second")
      const fork = (n: number) =>
        world.driver.fork({
          source: run.id,
          seq: 0,
          id: `${run.id}~${n}`,
          action: "retry",
          queue: null,
          priority: null,
          by: null,
          reason: null
        })
      for (let n = 1; n <= 45; n++) yield* fork(n)
      assert.strictEqual((yield* run.current).id, `${run.id}~45`)
    }))
})

const Other = Workflow.make("Order", {
  version: "2",
  payload: { id: Schema.String, cents: Schema.Number },
  success: Schema.Number,
  idempotencyKey: ({ id }) => id
})

const Same = Workflow.make("Order", {
  version: "2",
  payload: { id: Schema.String },
  success: Schema.Number,
  idempotencyKey: ({ id }) => id
})

describe("a key that another version of the workflow has used", () => {
  it.scoped("finds that version's run; a result that this version cannot read fails with ValueUnreadable", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Order.toLayer(() => Effect.succeed("sent")))
      const run = yield* world.use(Order.start({ id: "o-1" }))
      yield* TestClock.adjust("1 second")
      const found = yield* world.use(Same.start({ id: "o-1" }))
      assert.deepStrictEqual([found.id, (yield* found.record).version], [run.id, "1"])
      assert.instanceOf(yield* Effect.flip(found.result), ValueUnreadable)
      assert.deepStrictEqual(Option.map(yield* world.use(Same.find("o-1")), ({ id }) => id), Option.some(run.id))
    }))
})

describe("an empty key", () => {
  it.scoped("fails with ValueInvalid, whatever it is the key of, and nothing is written", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const key = () => ""
      const keyed = [
        Workflow.make("A", { payload: {}, idempotencyKey: key }),
        Workflow.make("B", { payload: {}, key }),
        Workflow.make("C", { payload: {}, singleton: { key, mode: "join" } }),
        Workflow.make("D", { payload: {}, debounce: { key, quiet: "1 minute" } })
      ]
      for (const workflow of keyed) {
        const error = yield* Effect.flip(world.use(workflow.start({})))
        assert.instanceOf(error, ValueInvalid)
        assert.match(error.message, /"key" must be a string that is not empty, got ""/)
      }
      assert.match(yield* misuseOf(world.use(Order.find(""))), /"idempotencyKey" must be a string that is not empty/)
      assert.deepStrictEqual(world.writes, [])
    }))

  it.scoped("of a step dies with Misuse", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Order.toLayer(() => Effect.as(Step.run("a", Effect.void, { idempotencyKey: "" }), "")))
      const run = yield* world.use(Order.start({ id: "o-1" }))
      yield* TestClock.adjust("1 second")
      assert.match((yield* run.record).exit?.value ?? "", /must be a string that is not empty/)
    }))
})
