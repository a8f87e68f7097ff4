/** Waits from outside for moments of a run. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as Published from "perdure/Published"
import * as Run from "perdure/Run"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { misuseOf } from "./fixtures/misuse.js"
import { makeWorld, soon } from "./fixtures/world.js"

const Progress = Published.make("progress", Schema.Number)
const Go = Signal.make("Go", { payload: { by: Schema.String } })
const Job = Workflow.make("Job", { payload: {} })

const live = Job.toLayer(() =>
  Effect.gen(function*() {
    yield* Step.run("first", Effect.succeed(1), { success: Schema.Number })
    yield* Effect.sleep("30 minutes")
    yield* Step.run("quiet", Effect.void)
    yield* Effect.sleep("30 minutes")
    yield* Effect.ignore(Step.run("second", Effect.fail("no"), { error: Schema.String }))
    for (const part of [0.25, 0.5, 0.75]) {
      yield* Progress.publish(part)
      yield* Effect.sleep("1 hour")
    }
    yield* Go.receive
  }).pipe(Effect.orDie)
)

const started = Effect.gen(function*() {
  const world = yield* makeWorld()
  const worker = yield* world.launch(live)
  const run = yield* worker.use(Job.start({}))
  return { world, worker, run }
})

/** Whether a fiber has ended. */
const isDone = (fiber: Fiber.RuntimeFiber<unknown, unknown>) => Effect.map(Fiber.poll(fiber), Option.isSome)

describe("Run.waitFor", () => {
  it.scoped("returns the entry of a step as soon as it has an exit, success or failure", () =>
    Effect.gen(function*() {
      const { run, worker } = yield* started
      const second = yield* Effect.fork(worker.use(Run.waitFor(run, { step: "second" })))
      const first = yield* soon(worker.use(Run.waitFor(run, { step: "first" })))
      assert.deepStrictEqual([first.kind, first.name, first.exit], ["step", "first", { kind: "success", value: "1" }])
      assert.isFalse(yield* isDone(second))
      yield* TestClock.adjust("61 minutes")
      assert.isTrue(yield* isDone(second))
      assert.strictEqual((yield* Fiber.join(second)).exit.kind, "failure")
    }))

  it.scoped("returns a published value that `until` accepts", () =>
    Effect.gen(function*() {
      const { run, worker, world } = yield* started
      const half = yield* Effect.fork(
        worker.use(Run.waitFor(run.id, { published: Progress, until: (done) => done >= 0.5 }))
      )
      // Also from a process that does not execute the run.
      const first = yield* Effect.fork(world.use(Run.waitFor(run.id, { published: Progress })))
      yield* TestClock.adjust("61 minutes")
      assert.strictEqual(yield* Fiber.join(first), 0.25)
      assert.isFalse(yield* isDone(half))
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* Fiber.join(half), 0.5)
    }))

  it.scoped("returns the entry of a signal once it is received", () =>
    Effect.gen(function*() {
      const { run, worker, world } = yield* started
      const waiting = yield* Effect.fork(worker.use(Run.waitFor(run, { signal: "Go" })))
      yield* world.use(Go.send(run.id, { by: "ann" }))
      yield* TestClock.adjust("1 hour")
      assert.isFalse(yield* isDone(waiting))
      yield* TestClock.adjust("4 hours")
      assert.deepStrictEqual((yield* Fiber.join(waiting)).exit.value, "{\"by\":\"ann\"}")
      // Past moments are found after the run's end, too.
      const again = yield* soon(world.use(Run.waitFor(run, { signal: "Go" })))
      assert.strictEqual(again.name, "Go")
    }))

  it.scoped("sees a step of another process at the next hint about the run, or the next poll", () =>
    Effect.gen(function*() {
      const { run, world } = yield* started
      const waiting = yield* Effect.fork(world.use(Run.waitFor(run, { step: "quiet" })))
      yield* TestClock.adjust("45 minutes")
      assert.isFalse(yield* isDone(waiting))
      yield* TestClock.adjust("30 minutes")
      assert.strictEqual((yield* Fiber.join(waiting)).name, "quiet")
    }))

  it.scoped("fails with RunEndedEarly if the run ends first", () =>
    Effect.gen(function*() {
      const { run, worker, world } = yield* started
      const waiting = yield* Effect.fork(Effect.exit(worker.use(Run.waitFor(run, { step: "third" }))))
      yield* TestClock.adjust("1 minute")
      yield* world.use(run.terminate())
      yield* TestClock.adjust("1 minute")
      const exit = yield* Fiber.join(waiting)
      assert.isTrue(Exit.isFailure(exit) && /has ended without step third/.test(String(exit.cause)))
      const after = yield* soon(Effect.flip(world.use(Run.waitFor(run, { published: Progress }))))
      assert.strictEqual(after._tag, "RunEndedEarly")
    }))

  it.scoped("with a wrong run or moment dies with Misuse at once", () =>
    Effect.gen(function*() {
      const { run, world } = yield* started
      const wrong: ReadonlyArray<readonly [unknown, RegExp]> = [
        [null, /"moment" must be \{ step \}, \{ signal \} or \{ published \}, got null/],
        [undefined, /"moment" must be .* got undefined/],
        ["first", /"moment" must be .* got "first"/],
        [{}, /"moment" must be .* got \{\}/],
        [{ stp: "first" }, /"moment" must be \{ step \}/],
        [{ step: "first", signal: "Go" }, /"moment" must be \{ step \}/],
        [{ signal: Go }, /"signal" must be a string/],
        [{ step: "first", until: () => true }, /"until" is not an option/],
        [{ published: "progress" }, /"published" must be a Published, got "progress"/],
        [{ published: Progress, until: 0.5 }, /"until" must be a function, got 0.5/]
      ]
      for (const [moment, message] of wrong) {
        assert.match(yield* misuseOf(world.use(Run.waitFor(run, moment as Run.Moment))), message)
      }
      const none: unknown = null
      const misuse = misuseOf(world.use(Run.waitFor(none as string, { step: "first" })))
      assert.match(yield* misuse, /"run" must be a string or a Run or its id, got null/)
    }))

  it.scoped("fails with NoSuchRun for a run that does not exist", () =>
    Effect.gen(function*() {
      const { world } = yield* started
      for (const id of ["no-such-run", "no\u0000run"]) {
        const error = yield* soon(Effect.flip(world.use(Run.waitFor(id, { step: "first" }))))
        assert.strictEqual(error._tag, "NoSuchRun")
      }
    }))
})
