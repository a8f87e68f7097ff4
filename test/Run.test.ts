import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { NoSuchRun, RunEnded } from "perdure/Errors"
import type * as Run from "perdure/Run"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { misuseOf } from "./fixtures/misuse.js"
import { makeWorld, shown, soon, within } from "./fixtures/world.js"

const Job = Workflow.make("Job", { payload: {}, success: Schema.Number })

const Note = Signal.make("Note", { payload: Schema.Number })

/** Reserves, waits for a signal, and compensates the reservation unless it completes. */
const makeReserving = () => {
  const done: Array<string> = []
  const step = (name: string) => Effect.orDie(Step.run(name, Effect.sync(() => void done.push(name))))
  const live = Job.toLayer(() =>
    Effect.gen(function*() {
      yield* Effect.acquireRelease(
        step("reserve"),
        (_, exit) =>
          Exit.isFailure(exit)
            ? Effect.zipRight(step("release"), Effect.zipRight(Effect.sleep("1 hour"), step("notify")))
            : Effect.void
      )
      return yield* Note.receive
    })
  )
  return { done, live }
}

describe("the handle of a run", () => {
  it.scoped("reads the run's state from its start to its end", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const { live } = makeReserving()
      const run = yield* world.use(Job.start({}))
      assert.deepStrictEqual(yield* run.poll, Option.none())
      assert.strictEqual((yield* run.record).status, "pending")
      const process = yield* world.launch(live, { id: "w-1" })
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* run.poll, Option.none())
      assert.strictEqual((yield* run.record).status, "suspended")
      yield* world.use(Note.send(run.id, 7))
      assert.strictEqual(yield* soon(run.result), 7)
      assert.deepStrictEqual(yield* run.poll, Option.some(Exit.succeed(7)))
      const entries = Chunk.toReadonlyArray(yield* Stream.runCollect(run.history))
      assert.deepStrictEqual(shown(entries), ["step reserve", "receive Note"])
      assert.deepStrictEqual(entries.map(({ seq, worker }) => [seq, worker]), [[0, "w-1"], [1, "w-1"]])
      assert.strictEqual((yield* run.record).finishedAt !== null, true)
      yield* process.stop
    }))

  it.scoped("of a run that does not exist fails with NoSuchRun, or finds nothing", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const run = yield* world.use(Job.attach("no-such-run"))
      const missing = new NoSuchRun({ runId: "no-such-run" })
      assert.deepStrictEqual(yield* soon(Effect.exit(run.result)), Exit.fail(missing))
      assert.deepStrictEqual(yield* Effect.exit(run.poll), Exit.fail(missing))
      assert.deepStrictEqual(yield* Effect.exit(run.record), Exit.fail(missing))
      assert.deepStrictEqual(yield* Effect.exit(run.cancel()), Exit.fail(missing))
      assert.isFalse(yield* run.terminate())
      assert.isFalse(yield* run.resume())
      assert.deepStrictEqual(Chunk.toReadonlyArray(yield* Stream.runCollect(run.history)), [])
    }))

  it.scoped("with a wrong attribution dies with Misuse, and nothing changes", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const run = yield* world.use(Job.start({}))
      const wrong: ReadonlyArray<readonly [unknown, RegExp]> = [
        [{ by: 5 }, /"by" must be a string of at most 1000 characters, got 5/],
        [{ by: "ann", reason: ["why"] }, /"reason" must be a string/],
        [{ who: "ann" }, /"who" is not an option: use by or reason/],
        ["ann", /the options must be an object \{ by, reason \}, got "ann"/]
      ]
      for (const operation of ["pause", "resume", "terminate", "cancel"] as const) {
        for (const [request, message] of wrong) {
          assert.match(yield* misuseOf(run[operation](request as Run.Attribution)), message)
        }
      }
      assert.strictEqual((yield* run.record).status, "pending")
      assert.deepStrictEqual(yield* run.controls, [])
    }))

  it.scoped("pages through a history of any length", () =>
    Effect.gen(function*() {
      const Long = Workflow.make("Long", { payload: {} })
      const world = yield* makeWorld()
      yield* world.launch(Long.toLayer(() =>
        Effect.forEach(Array.from({ length: 1001 }), () => Step.run("s", Effect.void), { discard: true })
      ))
      const run = yield* world.use(Long.start({}))
      yield* soon(run.result)
      const entries = yield* Stream.runCollect(run.history)
      assert.deepStrictEqual(
        Chunk.toReadonlyArray(entries).map(({ seq }) =>
          seq
        ),
        Array.from({ length: 1001 }, (_, i) => i)
      )
    }))

  it.scoped("stops waiting at the waiter's timeout, and the run continues", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(makeReserving().live)
      const run = yield* world.use(Job.start({}))
      assert.isTrue(Option.isNone(yield* run.result.pipe(Effect.timeoutOption("1 hour"), within("1 hour"))))
      yield* world.use(Note.send(run.id, 1))
      assert.strictEqual(yield* soon(run.result), 1)
    }))
})

describe("compensation", () => {
  it.scoped("is awaited, also by a bounded forEach that fails before its last item", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const step = (name: string) => Step.run(name, Effect.void)
      const reserved = (id: number) =>
        Effect.acquireUseRelease(
          step(`reserve ${id}`),
          () => Effect.sleep("1 day"),
          () => Effect.zipRight(step(`release ${id}`), Effect.zipRight(Effect.sleep("1 hour"), step(`notify ${id}`)))
        )
      const fails = Effect.zipRight(Effect.sleep("1 minute"), Effect.dieMessage("out of stock"))
      yield* world.launch(
        Job.toLayer(() =>
          Effect.as(Effect.forEach([0, 1, 2, 3], (id) => id === 0 ? fails : reserved(id), { concurrency: 2 }), 1)
        )
      )
      const run = yield* world.use(Job.start({}))
      assert.include((yield* within("2 hours")(Effect.flip(run.result))).message, "out of stock")
      assert.deepStrictEqual(
        shown(yield* world.history(run.id)),
        ["step reserve 1", "timer sleep", "step release 1", "timer sleep", "step notify 1"]
      )
    }))
})

describe("cancel", () => {
  it.scoped("runs the compensation, which may run steps and sleep, and ends the run as cancelled", () =>
    Effect.gen(function*() {
      const { done, live } = makeReserving()
      const world = yield* makeWorld()
      yield* world.launch(live)
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 day")
      assert.isTrue(yield* run.cancel({ by: "ann", reason: "changed her mind" }))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(done, ["reserve", "release"])
      assert.isFalse(yield* run.cancel(), "it was cancelled before")
      const error = yield* within("1 hour")(Effect.flip(run.result))
      assert.instanceOf(error, RunEnded)
      assert.deepInclude(error, { status: "cancelled", runId: run.id, workflow: "Job" })
      assert.deepStrictEqual(done, ["reserve", "release", "notify"])
      assert.deepStrictEqual(
        shown(yield* world.history(run.id)),
        ["step reserve", "cancel cancel", "step release", "timer sleep", "step notify"]
      )
      const cancel = (yield* world.history(run.id)).find(({ kind }) => kind === "cancel")
      assert.deepStrictEqual(JSON.parse(cancel?.exit.value ?? ""), { by: "ann", reason: "changed her mind" })
      assert.isFalse(yield* run.cancel(), "it has ended")
    }))

  it.scoped("survives a crash during the compensation: none of its steps runs twice", () =>
    Effect.gen(function*() {
      const { done, live } = makeReserving()
      const world = yield* makeWorld()
      const first = yield* world.launch(live)
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 minute")
      yield* run.cancel()
      yield* TestClock.adjust("30 minutes")
      yield* first.kill
      yield* world.driver.retire(first.worker.core.ref)
      yield* world.launch(live)
      const error = yield* within("31 minutes")(Effect.flip(run.result))
      assert.strictEqual(error._tag, "RunEnded")
      assert.deepStrictEqual(done, ["reserve", "release", "notify"])
    }))

  it.scoped("of a run that has not started ends it at its first claim, and none of its code runs", () =>
    Effect.gen(function*() {
      const { done, live } = makeReserving()
      const world = yield* makeWorld()
      const pending = yield* world.use(Job.start({}))
      const delayed = yield* world.use(Job.start({}, { delay: "30 days" }))
      assert.isTrue(yield* pending.cancel())
      assert.isTrue(yield* delayed.cancel())
      yield* world.launch(live)
      for (const run of [pending, delayed]) {
        assert.include((yield* soon(Effect.flip(run.result))).message, "cancelled")
      }
      assert.deepStrictEqual(done, [])
    }))

  it.scoped("aborts a step that executes", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() =>
        Step.run(
          "slow",
          Effect.async<number>((_, signal) => signal.addEventListener("abort", () => seen.push("aborted"))),
          { success: Schema.Number }
        )
      ))
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* run.record).status, "running")
      assert.isTrue(yield* run.cancel())
      assert.include((yield* soon(Effect.flip(run.result))).message, "cancelled")
      assert.deepStrictEqual(seen, ["aborted"])
      assert.deepStrictEqual(shown(yield* world.history(run.id)), ["cancel cancel"])
    }))

  it.scoped("cannot be caught: only finalizers run after it", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() =>
        Effect.catchAllCause(Note.receive, () =>
          Step.run(
            "caught",
            Effect.sync(() => seen.push("caught")),
            { success: Schema.Number }
          ))
      ))
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 minute")
      yield* run.cancel()
      assert.include((yield* soon(Effect.flip(run.result))).message, "cancelled")
      assert.deepStrictEqual(seen, [])
    }))

  it.scoped("from inside another run is sent once", () =>
    Effect.gen(function*() {
      const Killer = Workflow.make("Killer", { payload: { id: Schema.String }, success: Schema.Array(Schema.Boolean) })
      const world = yield* makeWorld()
      yield* world.launch(Layer.mergeAll(
        makeReserving().live,
        Killer.toLayer(({ id }) =>
          Effect.flatMap(Job.attach(id), (run) => Effect.all([Effect.orDie(run.cancel()), Effect.orDie(run.cancel())]))
        )
      ))
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* soon(world.use(Killer.execute({ id: run.id }))), [true, false])
      assert.include((yield* within("2 hours")(Effect.flip(run.result))).message, "cancelled")
    }))
})

describe("terminate", () => {
  it.scoped("ends a run at once without finalizers, and fences the worker that held it", () =>
    Effect.gen(function*() {
      const { done, live } = makeReserving()
      const world = yield* makeWorld()
      yield* world.launch(live, { lingerDuration: "1 day" })
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 minute")
      assert.isTrue(yield* run.terminate({ by: "ops" }))
      assert.isFalse(yield* run.terminate())
      const error = yield* soon(Effect.flip(run.result))
      assert.instanceOf(error, RunEnded)
      assert.strictEqual(error.status, "terminated")
      assert.include(error.message, "ops")
      assert.strictEqual(yield* world.use(Note.send(run.id, 1)), "Expired")
      yield* TestClock.adjust("10 days")
      assert.deepStrictEqual(done, ["reserve"])
      assert.strictEqual((yield* run.record).status, "terminated")
    }))

  it.scoped("ends a run that has not started", () =>
    Effect.gen(function*() {
      const { done, live } = makeReserving()
      const world = yield* makeWorld()
      const run = yield* world.use(Job.start({}, { delay: "1 day" }))
      assert.isTrue(yield* run.terminate())
      yield* world.launch(live)
      yield* TestClock.adjust("2 days")
      assert.deepStrictEqual(done, [])
    }))
})
