import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { CurrentRun } from "perdure/CurrentRun"
import * as Published from "perdure/Published"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { makeWorld, soon, within } from "./fixtures/world.js"

const Progress = Published.make("progress", Schema.Struct({ done: Schema.Number }))

const Line = Published.make("line", Schema.Unknown)

const Job = Workflow.make("Job", { payload: {}, success: Schema.Unknown })

const live = Job.toLayer(() =>
  Effect.forEach([1, 2, 3], (done) => Effect.zipRight(Progress.publish({ done }), Effect.sleep("1 hour")), {
    discard: true
  })
)

describe("a published value", () => {
  it.scoped("is readable from outside: the newest of its key, also after the run's end", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const run = yield* world.use(Job.start({}))
      assert.deepStrictEqual(yield* world.use(Progress.get(run.id)), Option.none())
      yield* world.launch(live)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* world.use(Progress.get(run.id)), Option.some({ done: 1 }))
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* world.use(Progress.get(run.id)), Option.some({ done: 2 }))
      yield* TestClock.adjust("10 hours")
      assert.deepStrictEqual(yield* world.use(Progress.get(run.id)), Option.some({ done: 3 }))
      assert.deepStrictEqual(yield* world.use(Line.get(run.id)), Option.none())
    }))

  it.scoped("has a stream of changes: the present value first, until the run ends", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(live)
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 minute")
      const watcher = yield* Effect.fork(world.use(Stream.runCollect(Progress.changes(run.id))))
      yield* TestClock.adjust("5 hours")
      const seen = yield* Option.getOrElse(yield* Fiber.poll(watcher), () => assert.fail("the stream continues"))
      assert.deepStrictEqual(Chunk.toReadonlyArray(seen), [{ done: 1 }, { done: 2 }, { done: 3 }])
      const after = yield* soon(world.use(Stream.runCollect(Progress.changes(run.id))))
      assert.deepStrictEqual(Chunk.toReadonlyArray(after), [{ done: 3 }])
    }))

  it.scoped("of a run that does not exist has a stream that fails with NoSuchRun", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const error = yield* soon(Effect.flip(world.use(Stream.runDrain(Progress.changes("no-such-run")))))
      assert.strictEqual(error._tag, "NoSuchRun")
    }))

  it.scoped("is not published again by a replay", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const first = yield* world.launch(live)
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("90 minutes")
      yield* first.stop
      yield* world.launch(live)
      yield* within("4 hours")(run.result)
      const { value: [value] } = yield* world.driver.published(run.id)
      assert.deepInclude(value, { key: "progress", version: 3, value: `{"done":3}` })
    }))

  it.scoped("that cannot be encoded fails with a typed error in the run", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() =>
        Effect.gen(function*() {
          const invalid = yield* Line.publish(Number.NaN).pipe(
            Effect.as("published"),
            Effect.catchAll((e) => Effect.succeed(e._tag))
          )
          const large = yield* Line.publish("x".repeat(2_000_000)).pipe(
            Effect.as("published"),
            Effect.catchAll((e) => Effect.succeed(e._tag))
          )
          yield* Step.run("on", Effect.void)
          return [invalid, large]
        })
      ))
      const run = yield* world.use(Job.start({}))
      assert.deepStrictEqual(yield* soon(run.result), ["ValueInvalid", "ValueTooLarge"])
      assert.deepStrictEqual((yield* world.driver.published(run.id)).value, [])
    }))

  it.scoped("that its schema cannot decode fails with a typed error for the reader", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(live)
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 minute")
      const Other = Published.make("progress", Schema.String)
      const error = yield* Effect.flip(world.use(Other.get(run.id)))
      assert.strictEqual(error._tag, "ValueUnreadable")
      assert.include(error.message, "published value progress")
    }))

  it.scoped("published from outside for a live run continues the run's version count", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(live)
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 minute")
      const publish = (done: number) => world.use(Progress.publishFor(run.id, { done }))
      assert.isTrue(yield* publish(1.5))
      assert.deepStrictEqual(yield* world.use(Progress.get(run.id)), Option.some({ done: 1.5 }))
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual((yield* world.driver.published(run.id)).value.map(({ version }) => version), [3])
      assert.deepStrictEqual(yield* world.use(Progress.get(run.id)), Option.some({ done: 2 }))
      const error = yield* Effect.flip(world.use(Line.publishFor(run.id, Number.NaN)))
      assert.strictEqual(error._tag, "ValueInvalid")
      yield* within("4 hours")(run.result)
      assert.isFalse(yield* publish(4))
      assert.isFalse(yield* world.use(Progress.publishFor("no-such-run", { done: 1 })))
      assert.deepStrictEqual(yield* world.use(Progress.get(run.id)), Option.some({ done: 3 }))
    }))

  it.scoped("published from outside becomes visible when the caller's transaction commits", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const run = yield* world.use(Job.start({}))
      const publish = (done: number) => world.use(Progress.publishFor(run.id, { done }))
      yield* Effect.exit(world.driver.transaction(Effect.zipRight(publish(1), Effect.fail("undone"))))
      assert.deepStrictEqual(yield* world.use(Progress.get(run.id)), Option.none())
      assert.isTrue(yield* world.driver.transaction(publish(2)))
      assert.deepStrictEqual(yield* world.use(Progress.get(run.id)), Option.some({ done: 2 }))
    }))

  it.scoped("published by a step body is rolled back with a transaction step that fails", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() =>
        Effect.gen(function*() {
          const { id } = yield* CurrentRun
          const publish = (done: number) => Effect.orDie(Effect.asVoid(Progress.publishFor(id, { done })))
          yield* Step.run("outside", publish(1))
          yield* Step.transaction("undone", Effect.zipRight(publish(2), Effect.fail("undone")), {
            error: Schema.String
          }).pipe(Effect.ignore)
        })
      ))
      const run = yield* world.use(Job.start({}))
      yield* soon(run.result)
      assert.deepStrictEqual(yield* world.use(Progress.get(run.id)), Option.some({ done: 1 }))
    }))
})
