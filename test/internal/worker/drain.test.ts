/** A worker that stops while runs are on their way to it. */
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

/** A worker and a start beside it whose answer is held back, as is the worker's end. */
const stopping = (outcome: "before" | "after") =>
  Effect.gen(function*() {
    const asked = yield* Deferred.make<void>()
    const answer = yield* Deferred.make<void, JournalError>()
    const world = yield* makeWorld((driver) => ({
      ...driver,
      enqueue: (request) => {
        const late = Effect.zipRight(Deferred.succeed(asked, undefined), Deferred.await(answer))
        return outcome === "before"
          ? Effect.zipRight(late, driver.enqueue(request))
          : Effect.zipLeft(driver.enqueue(request), late)
      }
    }))
    // Long enough that only an end in good order is one in time.
    const process = yield* world.launch(live, { drain: "1 day", concurrency: 3 })
    const starting = yield* Effect.fork(process.use(Job.start({})))
    yield* Deferred.await(asked)
    const stopped = yield* Effect.fork(process.stop)
    yield* TestClock.adjust("1 hour")
    assert.isNull(stopped.unsafePoll(), "a run may be on its way")
    return { world, starting, stopped, answer }
  })

describe("a worker that stops while a run is started beside it", () => {
  const failures: Record<string, (answer: Deferred.Deferred<void, JournalError>) => Effect.Effect<unknown>> = {
    fails: (answer) => Deferred.fail(answer, down),
    dies: (answer) => Deferred.die(answer, "simulated"),
    "is interrupted in storage": Deferred.interrupt
  }
  for (const when of ["before", "after"] as const) {
    it.scoped.each(Object.entries(failures))(
      `ends at once when that start %s ${when} it is written`,
      ([_, fail]) =>
        Effect.gen(function*() {
          const { answer, starting, stopped } = yield* stopping(when)
          yield* fail(answer)
          assert.strictEqual((yield* soon(Fiber.await(starting)))._tag, "Failure")
          yield* soon(Fiber.join(stopped))
        })
    )
  }

  it.scoped("ends at once when whoever starts it gives up", () =>
    Effect.gen(function*() {
      const { starting, stopped } = yield* stopping("before")
      yield* Fiber.interrupt(starting)
      yield* soon(Fiber.join(stopped))
    }))

  it.scoped("hands that run back if it was written, for others to run", () =>
    Effect.gen(function*() {
      const { answer, starting, stopped, world } = yield* stopping("after")
      yield* Deferred.succeed(answer, undefined)
      const run = yield* soon(Fiber.join(starting))
      yield* soon(Fiber.join(stopped))
      assert.deepInclude(yield* world.record(run.id), { status: "pending", crashes: 0 })
      yield* world.launch(live)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* world.record(run.id)).status, "completed")
    }))
})

describe("a start that fails beside a worker that goes on", () => {
  it.scoped("gives its slots back", () =>
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
      assert.strictEqual(core.reserve(job, 1), 0, "all are reserved now")
      core.adopt(3, [])
      const run = yield* process.use(Job.start({}))
      assert.strictEqual(yield* soon(run.result), "done")
    }))
})
