/** What is kept, and logged, of the failures of steps and runs. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as HashMap from "effect/HashMap"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { makeWorld, soon, within } from "./fixtures/world.js"

class Flaky extends Schema.TaggedError<Flaky>()("Flaky", { attempt: Schema.Number }) {}

class Fatal extends Schema.TaggedError<Fatal>()("Fatal", {}) {}

const Job = Workflow.make("Job", { payload: {}, success: Schema.Unknown, error: Schema.Union(Flaky, Fatal) })

/** A body that fails in its first attempts. */
const flaky = (failures: number) =>
  Effect.flatMap(Step.Current, ({ attempt }) => attempt <= failures ? new Flaky({ attempt }) : Effect.succeed(attempt))

describe("what failed in a run", () => {
  /** The log lines of workflows, as `message {annotations} cause`. */
  const makeLog = () => {
    const lines: Array<{ readonly message: string; readonly about: unknown; readonly cause: string }> = []
    const logger = Logger.make(({ annotations, cause, message }) => {
      if (!HashMap.has(annotations, "run")) return
      lines.push({
        message: String(message),
        about: Object.fromEntries(annotations),
        cause: Cause.pretty(cause, { renderErrorCause: true })
      })
    })
    return { lines, layer: Logger.replace(Logger.defaultLogger, logger) }
  }

  it.scoped("is logged: each failed attempt once, and the failed end once, also after a replay", () =>
    Effect.gen(function*() {
      const { layer, lines } = makeLog()
      const live = Job.toLayer(() =>
        Effect.gen(function*() {
          yield* Step.run("flaky", Effect.asVoid(flaky(2)), { error: Flaky, retry: Schedule.spaced("1 hour") })
          yield* Effect.sleep("1 day")
          yield* Step.run("fatal", new Fatal(), { error: Fatal })
        })
      ).pipe(Layer.provide(layer))
      const world = yield* makeWorld()
      const first = yield* world.launch(live)
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("3 hours")
      yield* first.stop
      yield* world.launch(live)
      assert.strictEqual((yield* run.result.pipe(Effect.flip, within("1 day")))._tag, "Fatal")
      const about = { run: run.id, workflow: "Job", version: "1" }
      const attempt = "an attempt of a step failed"
      assert.deepStrictEqual(lines.map(({ about, message }) => ({ about, message })), [
        { message: attempt, about: { ...about, step: "flaky", attempt: 1 } },
        { message: attempt, about: { ...about, step: "flaky", attempt: 2 } },
        { message: attempt, about: { ...about, step: "fatal", attempt: 1 } },
        { message: "a run failed", about }
      ])
      assert.include(lines.at(-1)?.cause, "Step.failures.test.ts", "the stack of the place that failed")
    }))

  it.scoped("has its causes, in the log and for those who wait", () =>
    Effect.gen(function*() {
      const { layer, lines } = makeLog()
      const world = yield* makeWorld()
      const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" })
      yield* world.launch(
        Job.toLayer(() =>
          Step.run("fetch", Effect.orDie(Effect.tryPromise(() => Promise.reject(refused))), { success: Schema.Unknown })
        ).pipe(Layer.provide(layer))
      )
      const run = yield* world.use(Job.start({}))
      const error = yield* Effect.repeat(Effect.zipRight(TestClock.adjust("1 second"), world.record(run.id)), {
        until: ({ finishedAt }) => finishedAt !== null,
        times: 100
      }).pipe(Effect.zipRight(soon(Effect.flip(run.result))))
      assert.include(error.message, "connect ECONNREFUSED")
      assert.strictEqual(lines.length, 2)
      for (const { cause } of lines) assert.include(cause, "connect ECONNREFUSED")
    }))

  it.scoped("is logged when it is parked", () =>
    Effect.gen(function*() {
      const { layer, lines } = makeLog()
      const code = (name: string) =>
        Job.toLayer(() => Effect.zipRight(Step.run(name, Effect.void), Effect.sleep("1 day"))).pipe(
          Layer.provide(layer)
        )
      const world = yield* makeWorld()
      const first = yield* world.launch(code("before"))
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 hour")
      yield* first.stop
      yield* world.launch(code("after"))
      yield* TestClock.adjust("1 day")
      assert.strictEqual((yield* world.record(run.id)).status, "diverged")
      assert.deepStrictEqual(lines.map(({ message }) => message), ["a run was parked as diverged"])
      assert.deepInclude(lines[0]?.about, { run: run.id, workflow: "Job" })
      assert.include(String(Object(lines[0]?.about).detail), "before")
    }))

  it.scoped("is not logged where a body was interrupted", () =>
    Effect.gen(function*() {
      const { layer, lines } = makeLog()
      const world = yield* makeWorld()
      yield* world.launch(
        Job.toLayer(() => Effect.race(Step.run("slow", Effect.never), Step.run("quick", Effect.void))).pipe(
          Layer.provide(layer)
        )
      )
      yield* soon(world.use(Job.execute({})))
      assert.deepStrictEqual(lines, [])
    }))
})
