import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Check from "perdure/Check"
import { JournalError } from "perdure/Errors"
import type { RetentionRule } from "perdure/JournalDriver"
import * as Retention from "perdure/Retention"
import * as Runs from "perdure/Runs"
import * as Workflow from "perdure/Workflow"
import { makeWorld, type World } from "./fixtures/world.js"

const Job = Workflow.make("Job", { payload: { fails: Schema.Boolean }, error: Schema.String })
const Rare = Workflow.make("Rare", { payload: {} })

const live = Layer.mergeAll(
  Job.toLayer(({ fails }) => fails ? Effect.fail("no") : Effect.void),
  Rare.toLayer(() => Effect.void)
)

/** Finished runs: five of `Job` that completed, two that failed, and one of `Rare`. */
const finished = (world: World) =>
  Effect.gen(function*() {
    yield* world.launch(live)
    yield* world.use(Job.startAll(Array.from({ length: 7 }, (_, n) => ({ fails: n >= 5 }))))
    yield* world.use(Rare.start({}))
    yield* TestClock.adjust("1 minute")
  })

const counts = (world: World) =>
  Effect.all({
    Job: Effect.map(world.use(Runs.count({ workflow: Job })), ({ completed, failed }) => [completed, failed]),
    Rare: Effect.map(world.use(Runs.count({ workflow: Rare })), ({ completed }) => completed)
  })

const swept = (world: World, options: Retention.RetentionOptions) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(world.use(Stream.runCollect(Retention.run({ pause: "1 second", ...options }))))
    yield* TestClock.adjust("1 minute")
    return Chunk.toReadonlyArray(yield* Fiber.join(fiber))
  })

describe("retention", () => {
  it.scoped("deletes what is old enough by workflow and state, in batches, with progress", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* finished(world)
      const options: Retention.RetentionOptions = {
        default: { completed: "30 days", failed: "90 days" },
        workflows: { Rare: { completed: "forever" } },
        batch: 2
      }
      assert.deepStrictEqual(yield* swept(world, options), [{ deleted: 0, done: true }])
      yield* TestClock.adjust("31 days")
      assert.deepStrictEqual(yield* swept(world, options), [
        { deleted: 2, done: false },
        { deleted: 4, done: false },
        { deleted: 5, done: true }
      ])
      assert.deepStrictEqual(yield* counts(world), { Job: [0, 2], Rare: 1 })
      yield* TestClock.adjust("61 days")
      assert.deepStrictEqual((yield* swept(world, options)).at(-1), { deleted: 2, done: true })
      assert.deepStrictEqual(yield* counts(world), { Job: [0, 0], Rare: 1 })
    }))

  it.scoped("what is said of a workflow goes before the default, state by state", () =>
    Effect.gen(function*() {
      const asked: Array<ReadonlyArray<RetentionRule>> = []
      const world = yield* makeWorld((driver) => ({
        ...driver,
        retain: (request) => {
          asked.push(request.rules)
          return driver.retain(request)
        }
      }))
      yield* swept(world, {
        default: { completed: "1 second", failed: "2 seconds" },
        workflows: { A: { completed: "3 seconds", cancelled: 4 }, B: { completed: "forever", failed: "forever" } }
      })
      const rule = (
        workflow: string | null,
        status: "completed" | "failed" | "cancelled",
        olderThanMillis: number
      ) => ({
        workflow,
        statuses: [status],
        olderThanMillis
      })
      assert.deepStrictEqual(asked, [[
        rule("A", "completed", 3_000),
        rule("A", "failed", 2_000),
        rule("A", "cancelled", 4),
        { workflow: "B", statuses: [], olderThanMillis: Infinity },
        rule(null, "completed", 1_000),
        rule(null, "failed", 2_000)
      ]])
    }))

  it.scoped("as a layer it goes on, whatever happens, and pauses", () =>
    Effect.gen(function*() {
      let broken = true
      let asked = 0
      const world = yield* makeWorld((driver) => ({
        ...driver,
        retain: (request) => {
          asked++
          return broken
            ? new JournalError({ code: "Unavailable", operation: "retain", detail: "down", retryable: true })
            : driver.retain(request)
        }
      }))
      yield* finished(world)
      const logged: Array<unknown> = []
      const logger = Logger.replace(Logger.defaultLogger, Logger.make(({ message }) => logged.push(message)))
      yield* world.use(
        Effect.provide(
          Effect.gen(function*() {
            yield* TestClock.adjust("1 hour")
            assert.strictEqual(asked, 2)
            broken = false
            yield* TestClock.adjust("2 days")
          }),
          Layer.provide(Retention.layer({ default: { completed: "1 day" }, every: "1 hour", batch: 2 }), logger)
        )
      )
      assert.strictEqual(logged.length, 2)
      assert.deepStrictEqual(yield* counts(world), { Job: [0, 2], Rare: 0 })
      // When its scope is closed, it is over.
      const before = asked
      yield* TestClock.adjust("1 day")
      assert.strictEqual(asked, before)
    }))

  it.scoped("options that cannot be are refused, all at once, and nothing is deleted", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld((driver) => ({
        ...driver,
        retain: () => Effect.dieMessage("something was deleted")
      }))
      const wrong: unknown = {
        default: { done: "1 day", completed: "soon" },
        workflows: { "": { failed: "1 day" } },
        every: "0 millis",
        batch: 0,
        pause: "forever"
      }
      const options = wrong as Retention.RetentionOptions
      const attempts = [
        world.use(Stream.runDrain(Retention.run(options))),
        world.use(Effect.asVoid(Effect.scoped(Layer.build(Retention.layer(options)))))
      ]
      for (const attempt of attempts) {
        const error = yield* Effect.flip(Effect.catchTag(attempt, "JournalError", Effect.die))
        for (
          const part of [/"done" is no state/, /completed is soon/, /the name of workflow/, /every/, /batch/, /pause/]
        ) {
          assert.match(error.message, part)
        }
      }
      const nothing = yield* Effect.flip(world.use(Stream.runDrain(Retention.run({ default: {} }))))
      assert.match(nothing.message, /nothing says how long/)
    }))

  it.scoped("what would delete more than is said is refused, whatever its type says, and nothing is deleted", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld((driver) => ({
        ...driver,
        retain: () => Effect.dieMessage("something was deleted")
      }))
      const soon = { completed: "1 millis" }
      const cases: ReadonlyArray<readonly [unknown, ...ReadonlyArray<RegExp>]> = [
        [{ default: { completed: NaN } }, /default: completed is NaN/],
        [{ default: { completed: -1 } }, /default: completed is -1/],
        [{ default: { completed: -1n } }, /default: completed is -1/],
        [{ default: { completed: "-1 days" } }, /default: completed is -1 days/],
        [{ default: { completed: [-1, 0] } }, /default: completed is/],
        [{ default: { completed: [NaN, 0] } }, /default: completed is/],
        [{ default: { completed: [1] } }, /default: completed is/],
        [{ default: { completed: null } }, /default: completed is null/],
        [{ default: { completed: Infinity } }, /default: completed is Infinity.*"forever"/],
        [{ default: soon, workflow: { Rare: { completed: "forever" } } }, /workflow is no option, there are default/],
        [{ default: soon, workflows: { Rare: null } }, /workflows.Rare is null, it must be an object/],
        [{ default: soon, workflows: ["Rare"] }, /workflows is/],
        [{ default: soon, workflows: new Map([["Rare", { completed: "forever" }]]) }, /workflows is/],
        [{ default: soon, pause: NaN, every: NaN }, /pause is NaN/, /every is NaN/],
        [{ default: soon, pause: -1, every: -1 }, /pause is -1/, /every is -1/],
        [{ default: soon, pause: null, batch: "500" }, /pause is null/, /batch is 500/],
        [{ default: null }, /default is null, it must be an object/],
        [{ default: "30 days" }, /default is 30 days, it must be an object/],
        [null, /what is said is null/],
        [undefined, /nothing says how long/]
      ]
      for (const [wrong, ...parts] of cases) {
        const options = wrong as Retention.RetentionOptions
        const error = yield* Effect.flip(world.use(Stream.runDrain(Retention.run(options))))
        assert.strictEqual(error._tag, "ConfigurationInvalid")
        for (const part of parts) assert.match(error.message, part)
      }
    }))

  it.effect("a check tells all that is wrong with the options, and does not begin to delete", () =>
    Effect.gen(function*() {
      const wrong: unknown = { default: { completed: -1 }, batch: 0, evry: 1 }
      const { problems } = yield* Check.run(Retention.layer(wrong as Retention.RetentionOptions))
      assert.deepStrictEqual(problems.map(({ code, place }) => [code, place]), [
        ["BadOption", "the options of Retention"],
        ["BadOption", "the options of Retention"],
        ["BadOption", "the options of Retention"]
      ])
      assert.deepStrictEqual((yield* Check.run(Retention.layer({ default: { completed: "1 day" } }))).problems, [])
    }))
})
