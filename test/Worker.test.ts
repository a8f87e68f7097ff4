import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { ConfigurationInvalid, RunEnded, WorkerIdTaken } from "perdure/Errors"
import * as JournalMemory from "perdure/JournalMemory"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import * as Worker from "perdure/Worker"
import * as Workflow from "perdure/Workflow"
import { makeWorld, shown, soon, within } from "./fixtures/world.js"

const Job = Workflow.make("Job", { payload: {}, success: Schema.Unknown })

const Note = Signal.make("Note", { payload: Schema.Number })

/** A step that executes until the test ends it. */
const makeGate = () => {
  const opens: Array<() => void> = []
  const begun: Array<string> = []
  const step = Effect.flatMap(Step.Current, ({ name }) =>
    Effect.async<string>((resume) => {
      begun.push(name)
      opens.push(() => resume(Effect.succeed(name)))
    }))
  return { begun, step, open: () => opens.splice(0).forEach((each) => each()) }
}

describe("the options of a worker", () => {
  it.scoped("are checked, and every problem is reported at once", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const error = yield* world.launch(Layer.empty, {
        id: "",
        queues: ["", "naïve"],
        concurrency: 0,
        claimBatchSize: 1.5,
        commitBatchSize: -1,
        commitsInFlight: Number.NaN,
        pollInterval: "1 millis",
        leaseDuration: 0,
        maxCrashes: 0,
        lingerDuration: Number.POSITIVE_INFINITY,
        hot: { capacity: -1, timeToLive: Number.POSITIVE_INFINITY },
        drainTimeout: Number.POSITIVE_INFINITY
      }).pipe(Effect.flip)
      assert.instanceOf(error, ConfigurationInvalid)
      assert.strictEqual(error.problems.length, 14)
      for (
        const option of [
          "concurrency",
          "claimBatchSize",
          "leaseDuration",
          "hot.timeToLive",
          "drainTimeout",
          "naïve",
          "id"
        ]
      ) {
        assert.include(error.message, option)
      }
      const empty = yield* world.launch(Layer.empty, { queues: [] }).pipe(Effect.flip)
      assert.include(empty.message, `"queues" must be an array with at least 1 item`)
    }))

  it.scoped("are checked against their types at run time", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const cases: ReadonlyArray<readonly [unknown, ...ReadonlyArray<RegExp>]> = [
        [
          { queues: "default", concurency: 5 },
          /"queues" must be an array .*, got "default"/,
          /"concurency" is not an option: did you mean "concurrency"\?/
        ],
        [{ queues: [5, null, "default"] }, /"queues\[0\]" must be .*, got 5/, /"queues\[1\]" must be .*, got null/],
        [
          { pollInterval: "zz", leaseDuration: -1, drainTimeout: null },
          /"pollInterval" must be .*, got "zz"/,
          /"leaseDuration" must be .*, got -1/,
          /"drainTimeout" must be .*, got null/
        ],
        [
          { lingerDuration: -1, hot: { timeToLive: NaN, run: 1 } },
          /"lingerDuration" must be .*, got -1/,
          /"hot\.timeToLive" must be .*, got NaN/,
          /"hot\.run" is not an option: use capacity or timeToLive/
        ],
        [{ hot: 5, id: 7, concurrency: "x" }, /"hot" .* got 5/, /"id" .* got 7/, /"concurrency" .* got "x"/],
        [{ claimBatchSize: 1e12 }, /"claimBatchSize" must be an integer from 1 to 2147483647, got 1000000000000/]
      ]
      for (const [wrong, ...parts] of cases) {
        const error = yield* Effect.flip(world.launch(Layer.empty, wrong as Worker.WorkerOptions))
        assert.instanceOf(error, ConfigurationInvalid)
        assert.strictEqual(error.problems.length, parts.length)
        for (const part of parts) assert.match(error.message, part)
      }
    }))
})

describe("the id of a worker", () => {
  it.scoped("that a live worker has fails a second worker with WorkerIdTaken, after the duration of a lease", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Layer.empty, { id: "w", leaseDuration: "15 seconds" })
      const error = yield* within("1 minute")(
        Effect.flip(world.launch(Layer.empty, { id: "w", leaseDuration: "15 seconds" }))
      )
      assert.deepStrictEqual(error, new WorkerIdTaken({ workerId: "w" }))
      assert.include(error.message, "give each worker its own id")
    }))

  it.scoped("is free at once after its worker stops, and when the lease runs out after its worker dies", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const options = { id: "w", leaseDuration: "15 seconds" } as const
      const first = yield* world.launch(Layer.empty, options)
      yield* first.stop
      const second = yield* soon(world.launch(Layer.empty, options))
      yield* second.kill
      const third = yield* within("20 seconds")(world.launch(Layer.empty, options))
      assert.strictEqual(third.worker.id, "w")
    }))
})

describe("a worker that dies", () => {
  it.scoped("loses its runs to other workers when its lease runs out, and steps with a durable exit do not run again", () =>
    Effect.gen(function*() {
      const ran: Array<string> = []
      const gate = makeGate()
      const note = (name: string) => Step.run(name, Effect.sync(() => void ran.push(name)))
      const live = Job.toLayer(() =>
        Effect.gen(function*() {
          yield* note("a")
          const b = yield* Step.run("b", gate.step, { success: Schema.String })
          yield* note("c")
          return b
        })
      )
      const world = yield* makeWorld()
      const options = { leaseDuration: "15 seconds" } as const
      const first = yield* world.launch(live, options)
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 second")
      yield* first.kill
      yield* world.launch(live, options)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(gate.begun, ["b"], "no other worker claims its runs before its lease runs out")
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(gate.begun, ["b", "b"])
      gate.open()
      assert.strictEqual(yield* soon(run.result), "b")
      assert.deepStrictEqual(ran, ["a", "c"])
      const entries = yield* world.history(run.id)
      assert.strictEqual(new Set(entries.map(({ worker }) => worker)).size, 2)
    }))

  it.scoped("repeatedly with the same run leaves that run exhausted", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const live = Job.toLayer(() => Step.run("deadly", Effect.never))
      const options = { leaseDuration: "10 seconds", maxCrashes: 3 } as const
      const run = yield* world.use(Job.start({}))
      for (const _ of [1, 2, 3]) {
        const process = yield* world.launch(live, options)
        yield* TestClock.adjust("20 seconds")
        yield* process.kill
        yield* TestClock.adjust("20 seconds")
      }
      yield* world.launch(Layer.empty, options)
      const error = yield* within("1 minute")(Effect.flip(run.result))
      assert.instanceOf(error, RunEnded)
      assert.strictEqual(error.status, "exhausted")
    }))

  it.scoped("only seemingly, and wakes after its lease, cannot write: the entries of its successor stay", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const gate = makeGate()
      const live = Job.toLayer(() => Step.run("slow", gate.step, { success: Schema.String }))
      const zombie = yield* world.launch(live, { leaseDuration: "1 day" })
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 second")
      // For every other process, its lease has ended.
      yield* world.driver.retire(zombie.worker.core.ref)
      const successor = yield* world.launch(
        Job.toLayer(() => Step.run("slow", Effect.succeed("fresh"), { success: Schema.String }))
      )
      assert.strictEqual(yield* soon(run.result), "fresh")
      gate.open()
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* run.record).exit?.value, `"fresh"`)
      assert.deepStrictEqual((yield* world.history(run.id)).map(({ worker }) => worker), [successor.worker.id])
    }))
})

describe("a worker that stops", () => {
  it.scoped("lets steps end, commits what is pending, releases its other runs, and claims no more", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const gate = makeGate()
      const live = Job.toLayer(() =>
        Effect.gen(function*() {
          const first = yield* Step.run("first", gate.step, { success: Schema.String })
          return [first, yield* Step.run("second", gate.step, { success: Schema.String })]
        })
      )
      const Waits = Workflow.make("Waits", { payload: {}, success: Schema.Number })
      const both = Layer.merge(live, Waits.toLayer(() => Note.receive))
      const process = yield* world.launch(both, { lingerDuration: "1 day", drainTimeout: "20 seconds" })
      const run = yield* world.use(Job.start({}))
      const waits = yield* world.use(Waits.start({}))
      yield* TestClock.adjust("1 second")
      const stopped = yield* Effect.fork(process.stop)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* waits.record).status, "suspended", "what waits is written down at once")
      const late = yield* world.use(Job.start({}))
      gate.open()
      yield* TestClock.adjust("1 second")
      yield* stopped.await
      assert.deepStrictEqual(gate.begun, ["first"], "no step begins any more")
      assert.strictEqual((yield* run.record).status, "pending")
      assert.deepStrictEqual(shown(yield* world.history(run.id)), ["step first"])
      assert.strictEqual((yield* late.record).status, "pending")
      assert.strictEqual((yield* run.record).crashes, 0)
      yield* world.launch(both)
      yield* TestClock.adjust("1 second")
      gate.open()
      yield* TestClock.adjust("1 second")
      gate.open()
      assert.deepStrictEqual(yield* soon(run.result), ["first", "second"])
    }))

  it.scoped("interrupts steps that take longer than its drain timeout", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const seen: Array<string> = []
      const live = Job.toLayer(() =>
        Step.run("slow", Effect.onInterrupt(Effect.never, () => Effect.sync(() => void seen.push("interrupted"))))
      )
      const process = yield* world.launch(live, { drainTimeout: "20 seconds" })
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 second")
      yield* within("20 seconds")(process.stop)
      assert.deepStrictEqual(seen, ["interrupted"])
      assert.strictEqual((yield* run.record).status, "pending")
      assert.deepStrictEqual(yield* world.history(run.id), [])
    }))

  it.scoped("stops after its drain timeout although a step cannot be interrupted", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const process = yield* world.launch(Job.toLayer(() => Step.run("deaf", Effect.uninterruptible(Effect.never))), {
        drainTimeout: "20 seconds"
      })
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 second")
      yield* within("31 seconds")(process.stop)
      assert.strictEqual((yield* run.record).status, "pending")
    }))
})

describe("the concurrency of a worker", () => {
  it.scoped("limits the runs that it executes at a time, not runs that only wait", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const gate = makeGate()
      const Waits = Workflow.make("Waits", { payload: {}, priority: -1 })
      yield* world.launch(
        Layer.merge(
          Job.toLayer(() => Step.run("slow", gate.step, { success: Schema.String })),
          Waits.toLayer(() => Effect.asVoid(Note.receive))
        ),
        { concurrency: 2, lingerDuration: "1 hour" }
      )
      yield* world.use(Waits.startAll([{}, {}, {}]))
      yield* world.use(Job.startAll([{}, {}, {}]))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(gate.begun.length, 2)
      gate.open()
      yield* TestClock.adjust("1 second")
      assert.strictEqual(gate.begun.length, 3)
    }))
})

describe("a worker without loops", () => {
  it.scoped("does by runOnce what its loops do", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      // The process registers the workflow and provides its journal. Its own worker serves another queue.
      const process = yield* world.launch(
        Job.toLayer(() => Effect.zipRight(Step.run("a", Effect.void), Note.receive)),
        {
          queues: ["other"]
        }
      )
      const run = yield* world.use(Job.start({}))
      const core = yield* process.use(Worker.makeCore({ id: "by-hand", lingerDuration: 0 }))
      assert.strictEqual(yield* core.claimer.runOnce, 0, "without a lease it claims nothing")
      assert.isTrue(yield* core.lease.beat)
      assert.strictEqual(yield* core.claimer.runOnce, 1)
      assert.strictEqual((yield* run.record).status, "running")
      yield* Effect.yieldNow()
      assert.strictEqual(yield* core.committer.runOnce, 1)
      assert.strictEqual((yield* run.record).status, "suspended")
      assert.deepStrictEqual(shown(yield* world.history(run.id)), ["step a"])
      assert.strictEqual(yield* core.claimer.runOnce, 0)
      yield* world.use(Note.send(run.id, 5))
      assert.strictEqual(yield* core.claimer.runOnce, 1)
      assert.strictEqual(yield* core.committer.runOnce, 1)
      assert.strictEqual((yield* run.record).status, "completed")
      assert.strictEqual(yield* core.committer.runOnce, 0)
      assert.strictEqual(yield* core.lease.reapOnce, 0)
    }))
})

describe("a worker for tests", () => {
  it.scoped("lets a month pass in a few steps of the test clock", () =>
    Effect.gen(function*() {
      const live = Layer.mergeAll(
        Job.toLayer(() => Effect.as(Effect.sleep("30 days"), "awake")),
        Worker.layerTest()
      ).pipe(Layer.provideMerge(JournalMemory.layer))
      yield* Effect.gen(function*() {
        const run = yield* Job.start({})
        const result = yield* Effect.fork(run.result)
        yield* TestClock.adjust("29 days")
        assert.strictEqual((yield* run.record).status, "suspended")
        yield* TestClock.adjust("1 day")
        assert.strictEqual(yield* Fiber.join(result), "awake")
      }).pipe(Effect.provide(live))
    }))
})
