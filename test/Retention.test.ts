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
import { misuseOf } from "./fixtures/misuse.js"
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
    const fiber = yield* Effect.fork(
      world.use(Stream.runCollect(Retention.sweepStream({ batchInterval: "1 second", ...options })))
    )
    yield* TestClock.adjust("1 minute")
    return Chunk.toReadonlyArray(yield* Fiber.join(fiber))
  })

describe("retention", () => {
  it.scoped("deletes runs that are old enough by workflow and state, in batches, with progress", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* finished(world)
      const options: Retention.RetentionOptions = {
        default: { completed: "30 days", failed: "90 days" },
        workflows: { Rare: { completed: "forever" } },
        batchSize: 2
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

  it.scoped("of a workflow overrides the default, state by state", () =>
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

  it.scoped("returns how many runs it has deleted", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* finished(world)
      yield* TestClock.adjust("1 second")
      const options = { default: { completed: 0, failed: 0 }, batchSize: 3, batchInterval: 0 }
      assert.deepStrictEqual(yield* world.use(Retention.sweep(options)), { deleted: 8 })
      assert.deepStrictEqual(yield* world.use(Retention.sweep(options)), { deleted: 0 })
    }))

  it.scoped("as a layer sweeps at its interval until its scope closes, and retries after an error", () =>
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
          Layer.provide(
            Retention.layer({ default: { completed: "1 day" }, sweepInterval: "1 hour", batchSize: 2 }),
            logger
          )
        )
      )
      assert.strictEqual(logged.length, 2)
      assert.deepStrictEqual(yield* counts(world), { Job: [0, 2], Rare: 0 })
      const before = asked
      yield* TestClock.adjust("1 day")
      assert.strictEqual(asked, before)
    }))

  it.scoped("with invalid options reports every problem at once, and deletes nothing", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld((driver) => ({
        ...driver,
        retain: () => Effect.dieMessage("something was deleted")
      }))
      const wrong: unknown = {
        default: { done: "1 day", completed: "soon" },
        workflows: { "": { failed: "1 day" } },
        sweepInterval: "0 millis",
        batchSize: 0,
        batchInterval: "forever"
      }
      const options = wrong as Retention.RetentionOptions
      const built = yield* Effect.flip(world.use(Effect.scoped(Layer.build(Retention.layer(options)))))
      assert.strictEqual(built._tag, "ConfigurationInvalid")
      const messages = [
        built.message,
        yield* world.use(misuseOf(Retention.sweep(options))),
        yield* world.use(misuseOf(Stream.runDrain(Retention.sweepStream(options))))
      ]
      const parts = [
        /"default\.done" is not an option/,
        /"default\.completed" must be .*, got "soon"/,
        /"a key of workflows" must be a string of 1 to 200 printable/,
        /"sweepInterval" must be/,
        /"batchSize" must be/,
        /"batchInterval" must be/
      ]
      for (const message of messages) for (const part of parts) assert.match(message, part)
      assert.match(
        yield* world.use(misuseOf(Retention.sweep({ default: {} }))),
        /no run would be deleted: set a state of "default" or of "workflows"/
      )
    }))

  it.scoped("checks its options against their types at run time, and deletes nothing if one is invalid", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld((driver) => ({
        ...driver,
        retain: () => Effect.dieMessage("something was deleted")
      }))
      const soon = { completed: "1 millis" }
      const cases: ReadonlyArray<readonly [unknown, ...ReadonlyArray<RegExp>]> = [
        [{ default: { completed: NaN } }, /"default\.completed" must be .*, got NaN/],
        [{ default: { completed: -1 } }, /"default\.completed" must be .*, got -1/],
        [{ default: { completed: -1n } }, /"default\.completed" must be .*, got -1/],
        [{ default: { completed: "-1 days" } }, /"default\.completed" must be .*, got "-1 days"/],
        [{ default: { completed: [-1, 0] } }, /"default\.completed" must be/],
        [{ default: { completed: [NaN, 0] } }, /"default\.completed" must be/],
        [{ default: { completed: [1] } }, /"default\.completed" must be/],
        [{ default: { completed: null } }, /"default\.completed" must be .*, got null/],
        [{ default: { completed: Infinity } }, /"default\.completed" must be .* or "forever", got Infinity/],
        [{ default: soon, workflow: { Rare: { completed: "forever" } } }, /"workflow" .* did you mean "workflows"\?/],
        [{ default: soon, workflows: { Rare: null } }, /"workflows\.Rare" must be an object, got null/],
        [{ default: soon, workflows: ["Rare"] }, /"workflows" must be/],
        [{ default: soon, workflows: new Map([["Rare", { completed: "forever" }]]) }, /"workflows" must be/],
        [{ default: soon, batchInterval: NaN, sweepInterval: NaN }, /"batchInterval" .* NaN/, /"sweepInterval" .* NaN/],
        [{ default: soon, batchInterval: -1, sweepInterval: -1 }, /"batchInterval" .* -1/, /"sweepInterval" .* -1/],
        [{ default: soon, batchInterval: null, batchSize: "500" }, /"batchInterval" .* null/, /"batchSize" .* "500"/],
        [{ default: null }, /"default" must be an object, got null/],
        [{ default: "30 days" }, /"default" must be an object, got "30 days"/],
        [null, /the options must be an object, got null/],
        [undefined, /the options must be an object, got undefined/]
      ]
      for (const [wrong, ...parts] of cases) {
        const options = wrong as Retention.RetentionOptions
        const message = yield* world.use(misuseOf(Retention.sweep(options)))
        for (const part of parts) assert.match(message, part)
      }
    }))

  it.effect("in a check reports every problem of its options, and deletes nothing", () =>
    Effect.gen(function*() {
      const wrong: unknown = { default: { completed: -1 }, batchSize: 0, sweepIntervl: 1 }
      const { problems } = yield* Check.run(Retention.layer(wrong as Retention.RetentionOptions))
      assert.deepStrictEqual(problems.map(({ code, place }) => [code, place]), [
        ["BadOption", "the options of Retention"],
        ["BadOption", "the options of Retention"],
        ["BadOption", "the options of Retention"]
      ])
      assert.deepStrictEqual((yield* Check.run(Retention.layer({ default: { completed: "1 day" } }))).problems, [])
    }))
})
