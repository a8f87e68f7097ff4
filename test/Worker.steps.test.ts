/** Steps that take long: their time limits, the warnings about them, and bodies that ignore their interruption. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { RunEnded, TimedOut } from "perdure/Errors"
import * as Step from "perdure/Step"
import type { WorkerOptions } from "perdure/Worker"
import * as Workers from "perdure/Workers"
import * as Workflow from "perdure/Workflow"
import { withLogs } from "./fixtures/logs.js"
import { makeWorld, soon, within } from "./fixtures/world.js"

const Job = Workflow.make("Job", { payload: {}, error: TimedOut })
const Strict = Workflow.make("Strict", { payload: {}, stepTimeout: "30 seconds" })

const stuck = Effect.uninterruptible(Effect.never)

/** The end of a run whose only step never ends. */
const endOf = (
  workflow: typeof Strict,
  options: WorkerOptions,
  after: Duration.DurationInput,
  step = Step.run("slow", Effect.never)
) =>
  Effect.gen(function*() {
    const world = yield* makeWorld()
    yield* world.launch(workflow.toLayer(() => step), options)
    const run = yield* world.use(workflow.start({}))
    return yield* Effect.flip(run.result).pipe(within(after))
  })

describe("the default time limit of steps", () => {
  it.scoped("of a worker ends a step that has no other one with a defect", () =>
    Effect.gen(function*() {
      const Plain = Workflow.make("Plain", { payload: {} })
      const world = yield* makeWorld()
      yield* world.launch(Plain.toLayer(() => Step.run("slow", Effect.never)), { stepTimeout: "1 minute" })
      const run = yield* world.use(Plain.start({}))
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual((yield* run.record).status, "running")
      const error = yield* Effect.flip(run.result).pipe(within("2 seconds"))
      assert.instanceOf(error, RunEnded)
      assert.strictEqual(error.status, "failed")
      assert.include(error.detail, "step slow took longer than 60000 ms")
    }))

  it.scoped("of a workflow and of a worker: the shorter one counts, and a step's own limit overrides both", () =>
    Effect.gen(function*() {
      const own = yield* endOf(Strict, { stepTimeout: "1 hour" }, "31 seconds")
      assert.include(String(own), "step slow took longer than 30000 ms")
      const workers = yield* endOf(Strict, { stepTimeout: "10 seconds" }, "11 seconds")
      assert.include(String(workers), "step slow took longer than 10000 ms")
      const world = yield* makeWorld()
      yield* world.launch(
        Strict.toLayer(() => Step.run("long", Effect.sleep("5 minutes"), { timeout: "10 minutes" }).pipe(Effect.orDie))
      )
      const run = yield* world.use(Strict.start({}))
      yield* run.result.pipe(within("6 minutes"))
    }))

  it.scoped("applies to the bodies of transactions, which are rolled back", () =>
    Effect.gen(function*() {
      const error = yield* endOf(Strict, {}, "31 seconds", Step.transaction("slow", Effect.never))
      assert.include(String(error), "step slow took longer than 30000 ms")
    }))
})

describe("a body that ignores its interruption", () => {
  it.scoped("ends its step after the grace, is reported, and is counted until it ends", () =>
    withLogs((lines) =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const world = yield* makeWorld()
        const process = yield* world.launch(
          Job.toLayer(() => Step.run("stuck", Effect.uninterruptible(Deferred.await(gate)), { timeout: "1 minute" })),
          { interruptTimeout: "5 seconds", id: "w", leaseDuration: "3 minutes" }
        )
        const run = yield* world.use(Job.start({}))
        yield* TestClock.adjust("64 seconds")
        assert.strictEqual((yield* run.record).status, "running")
        const exit = yield* Effect.exit(run.result).pipe(within("2 seconds"))
        assert.deepStrictEqual(exit, Exit.fail(new TimedOut({ what: "step stuck", millis: 60_000 })))
        assert.lengthOf(lines.filter((line) => line.startsWith("ERROR step stuck of run")), 1)
        assert.include(lines.join("\n"), "ignores its interruption")
        const steps = Effect.gen(function*() {
          yield* TestClock.adjust("1 minute")
          const { items: [worker] } = yield* process.use(Workers.list())
          return Option.getOrUndefined(worker?.info ?? Option.none())?.steps
        })
        const before = yield* steps
        assert.deepInclude(before, { executing: 1, abandoned: 1 })
        assert.deepInclude(before?.oldest, { run: run.id, step: "stuck" })
        yield* Deferred.succeed(gate, undefined)
        assert.deepStrictEqual(yield* steps, { executing: 0, abandoned: 0 })
      })
    ))

  it.scoped("does not stop the retries of its step", () =>
    Effect.gen(function*() {
      let attempts = 0
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() =>
        Step.run("stuck", Effect.suspend(() => ++attempts < 3 ? stuck : Effect.void), {
          timeout: "1 minute",
          retry: Schedule.spaced("1 minute")
        })
      ))
      yield* world.use(Job.execute({})).pipe(within("6 minutes"))
      assert.strictEqual(attempts, 3)
    }))

  it.scoped("does not count if its result comes within the grace: the step has failed with TimedOut", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(
        Job.toLayer(() => Step.run("late", Effect.uninterruptible(Effect.sleep("65 seconds")), { timeout: "1 minute" }))
      )
      const run = yield* world.use(Job.start({}))
      const exit = yield* Effect.exit(run.result).pipe(within("66 seconds"))
      assert.deepStrictEqual(exit, Exit.fail(new TimedOut({ what: "step late", millis: 60_000 })))
    }))

  it.scoped("whose finalizer hangs ends its step, too", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() =>
        Step.run("closing", Effect.zipRight(Effect.addFinalizer(() => stuck), Effect.never), { timeout: "1 minute" })
      ))
      const run = yield* world.use(Job.start({}))
      const exit = yield* Effect.exit(run.result).pipe(within("71 seconds"))
      assert.deepStrictEqual(exit, Exit.fail(new TimedOut({ what: "step closing", millis: 60_000 })))
    }))
})

describe("a step that takes long", () => {
  it.scoped("is warned of once, by run and name", () =>
    withLogs((lines) =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<number>()
        const Slow = Workflow.make("Slow", { payload: {}, success: Schema.Number })
        const world = yield* makeWorld()
        const process = yield* world.launch(
          Slow.toLayer(() => Step.run("slow", Deferred.await(gate), { success: Schema.Number })),
          { longStepDuration: "1 hour" }
        )
        const { bodies } = process.worker.core
        const run = yield* world.use(Slow.start({}))
        yield* TestClock.adjust("59 minutes")
        yield* bodies.runOnce
        const warnings = () => lines.filter((line) => line.includes("has executed for"))
        assert.deepStrictEqual(warnings(), [])
        yield* TestClock.adjust("1 minute")
        yield* bodies.runOnce
        yield* bodies.runOnce
        assert.lengthOf(warnings(), 1)
        assert.include(warnings()[0], `WARN step slow of run ${run.id} has executed for 3600 seconds`)
        yield* Deferred.succeed(gate, 7)
        assert.strictEqual(yield* soon(run.result), 7)
        assert.deepStrictEqual(bodies.description, { executing: 0, abandoned: 0 })
      })
    ))
})
