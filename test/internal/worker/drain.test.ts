/** The drain of a worker while the results of starts are on their way. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { JournalError } from "perdure/Errors"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { makeWorld, soon } from "../../fixtures/world.js"

const Job = Workflow.make("Job", { payload: {}, success: Schema.String })

const live = Job.toLayer(() => Step.run("work", Effect.succeed("done"), { success: Schema.String }))

const job = { workflow: "Job", version: "1", queue: "default" }

const down = new JournalError({ code: "Unavailable", operation: "enqueue", detail: "simulated", retryable: true })

/** A worker that drains, and a start in its process whose result the test delays. */
const stopping = (outcome: "before" | "after") =>
  Effect.gen(function*() {
    const called = yield* Deferred.make<void>()
    const result = yield* Deferred.make<void, JournalError>()
    const world = yield* makeWorld((driver) => ({
      ...driver,
      enqueue: (request) => {
        const late = Effect.zipRight(Deferred.succeed(called, undefined), Deferred.await(result))
        return outcome === "before"
          ? Effect.zipRight(late, driver.enqueue(request))
          : Effect.zipLeft(driver.enqueue(request), late)
      }
    }))
    // So long that the test ends only if the drain is complete.
    const process = yield* world.launch(live, { drainTimeout: "1 day", concurrency: 3 })
    const starting = yield* Effect.fork(process.use(Job.start({})))
    yield* Deferred.await(called)
    const stopped = yield* Effect.fork(process.stop)
    yield* TestClock.adjust("1 hour")
    assert.isNull(stopped.unsafePoll(), "a run may be on its way")
    return { world, starting, stopped, result }
  })

describe("a worker that stops during a start in its process", () => {
  const failures: Record<string, (result: Deferred.Deferred<void, JournalError>) => Effect.Effect<unknown>> = {
    fails: (result) => Deferred.fail(result, down),
    dies: (result) => Deferred.die(result, "simulated"),
    "is interrupted in storage": Deferred.interrupt
  }
  for (const when of ["before", "after"] as const) {
    it.scoped.each(Object.entries(failures))(
      `stops immediately when the start %s ${when} it is written`,
      ([_, fail]) =>
        Effect.gen(function*() {
          const { result, starting, stopped } = yield* stopping(when)
          yield* fail(result)
          assert.strictEqual((yield* soon(Fiber.await(starting)))._tag, "Failure")
          yield* soon(Fiber.join(stopped))
        })
    )
  }

  it.scoped("stops immediately when the caller of the start is interrupted", () =>
    Effect.gen(function*() {
      const { starting, stopped } = yield* stopping("before")
      yield* Fiber.interrupt(starting)
      yield* soon(Fiber.join(stopped))
    }))

  it.scoped("releases the started run, and another worker executes it", () =>
    Effect.gen(function*() {
      const { result, starting, stopped, world } = yield* stopping("after")
      yield* Deferred.succeed(result, undefined)
      const run = yield* soon(Fiber.join(starting))
      yield* soon(Fiber.join(stopped))
      assert.deepInclude(yield* world.record(run.id), { status: "pending", crashes: 0 })
      yield* world.launch(live)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* world.record(run.id)).status, "completed")
    }))
})

describe("a start that fails in the process of a worker", () => {
  it.scoped("returns the reserved capacity", () =>
    Effect.gen(function*() {
      let failing = true
      const world = yield* makeWorld((driver) => ({
        ...driver,
        enqueue: (request) => Effect.suspend(() => failing ? down : driver.enqueue(request))
      }))
      const process = yield* world.launch(live, { concurrency: 3 })
      for (const _ of [1, 2, 3, 4]) yield* Effect.flip(process.use(Job.startAll([{}, {}, {}])))
      failing = false
      const { core } = process.worker
      assert.strictEqual(core.reserve(job, 5), 3)
      assert.strictEqual(core.reserve(job, 1), 0, "the whole capacity is reserved")
      core.adopt(3, [])
      const run = yield* process.use(Job.start({}))
      assert.strictEqual(yield* soon(run.result), "done")
    }))
})
