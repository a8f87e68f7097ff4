/** Runs that are paused and resumed while workers hold them. */
import * as PgliteJournal from "@perdure/pglite/PgliteJournal"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { Journal } from "perdure/Journal"
import type * as Run from "perdure/Run"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import * as Worker from "perdure/Worker"
import * as Workflow from "perdure/Workflow"
import { makeWorld, shown, soon, within } from "./fixtures/world.js"

const Job = Workflow.make("Job", { payload: {}, success: Schema.Number })

const Go = Signal.make("Go", { payload: Schema.Number })

/** Two steps, of which the first one waits to be let go on. */
const gated = Effect.gen(function*() {
  const started = yield* Deferred.make<void>()
  const gate = yield* Deferred.make<void>()
  const bodies: Array<string> = []
  const live = Job.toLayer(() =>
    Effect.gen(function*() {
      yield* Step.run(
        "first",
        Effect.zipRight(
          Effect.sync(() => bodies.push("first")),
          Effect.zipRight(Deferred.succeed(started, undefined), Deferred.await(gate))
        )
      )
      yield* Step.run("second", Effect.asVoid(Effect.sync(() => bodies.push("second"))))
      return 7
    })
  )
  return { bodies, gate, live, started }
})

/** What holds of such a run on any storage; `until` lets things happen until the run is in that state. */
const inFlight = <E, R>(
  run: Run.Run<number, never>,
  { bodies, gate, started }: Effect.Effect.Success<typeof gated>,
  until: (status: string) => Effect.Effect<unknown, E, R>
) =>
  Effect.gen(function*() {
    yield* Deferred.await(started)
    assert.isTrue(yield* run.pause({ by: "ann", reason: "look" }))
    assert.isFalse(yield* run.pause())
    const record = yield* run.record
    assert.deepStrictEqual([record.status, record.pausing], ["running", true])
    yield* Deferred.succeed(gate, undefined)
    yield* until("paused")
    assert.deepStrictEqual(bodies, ["first"])
    const paused = yield* run.record
    assert.deepStrictEqual([paused.status, paused.pausing, paused.nextSeq, paused.worker], ["paused", false, 1, null])
    assert.isTrue(yield* run.resume({ by: "bob" }))
    assert.isFalse(yield* run.resume())
    yield* until("completed")
    assert.strictEqual(yield* run.result, 7)
    assert.deepStrictEqual(bodies, ["first", "second"])
    assert.deepStrictEqual(
      (yield* run.controls).map(({ action, by, reason }) => [action, by, reason]),
      [["pause", "ann", "look"], ["resume", "bob", null]]
    )
  })

describe("a run that is paused while a step runs", () => {
  it.scoped("finishes the step, writes it down and stops; resumed, it goes on after it", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const gates = yield* gated
      yield* world.launch(gates.live)
      const run = yield* world.use(Job.start({}))
      yield* inFlight(run, gates, () => TestClock.adjust("1 second"))
      assert.deepStrictEqual(shown(yield* world.history(run.id)), ["step first", "step second"])
    }))

  it.scopedLive("on PGlite, too", () =>
    Effect.gen(function*() {
      const gates = yield* gated
      const context = yield* Layer.build(
        Layer.mergeAll(gates.live, Worker.layer()).pipe(
          Layer.provideMerge(Journal.layer()),
          Layer.provide(PgliteJournal.layer())
        )
      )
      yield* Effect.provide(
        Effect.gen(function*() {
          const run = yield* Job.start({})
          const until = (status: string) =>
            Effect.repeat(run.record, {
              until: (record) => record.status === status,
              schedule: Schedule.spaced("10 millis")
            })
          yield* inFlight(run, gates, until)
        }),
        context
      )
    }), 60_000)

  it.scoped("goes on if it is resumed before the step has ended", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const { bodies, gate, live, started } = yield* gated
      yield* world.launch(live)
      const run = yield* world.use(Job.start({}))
      yield* Deferred.await(started)
      yield* run.pause()
      yield* TestClock.adjust("1 second")
      assert.isTrue(yield* run.resume())
      yield* TestClock.adjust("1 second")
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* soon(run.result), 7)
      assert.deepStrictEqual(bodies, ["first", "second"])
      assert.strictEqual((yield* world.record(run.id)).epoch, 1, "it was never let go of")
    }))

  it.scoped("cancelled meanwhile, it ends, whether or not it was paused by then", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const { gate, live, started } = yield* gated
      yield* world.launch(live)
      const run = yield* world.use(Job.start({}))
      yield* Deferred.await(started)
      yield* run.pause()
      yield* run.cancel()
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* run.record).status, "cancelled")
      yield* Deferred.succeed(gate, undefined)
    }))

  it.scoped("a worker that is killed before it heard of it leaves it to be paused", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const { bodies, live, started } = yield* gated
      const process = yield* world.launch(live, { lease: "30 seconds" })
      const run = yield* world.use(Job.start({}))
      yield* Deferred.await(started)
      yield* process.kill
      yield* run.pause()
      yield* world.launch(live, { lease: "30 seconds" })
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual((yield* run.record).status, "paused")
      assert.deepStrictEqual(bodies, ["first"])
    }))
})

describe("a run that is paused while it waits", () => {
  it.scoped("is not woken by its timer or a signal, and misses neither", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() =>
        Effect.gen(function*() {
          yield* Effect.sleep("1 hour")
          return yield* Go.receive
        })
      ))
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 minute")
      yield* run.pause()
      yield* TestClock.adjust("2 hours")
      assert.strictEqual((yield* run.record).status, "paused")
      assert.strictEqual((yield* world.use(Go.send(run.id, 5)))._tag, "Buffered")
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* world.history(run.id), [])
      yield* run.resume()
      assert.strictEqual(yield* soon(run.result), 5)
    }))

  it.scoped("while its worker holds it idle, is written down at once", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() => Go.receive), { linger: "1 day" })
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* run.record).status, "running")
      yield* run.pause()
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* run.record).status, "paused")
      yield* run.resume()
      yield* world.use(Go.send(run.id, 5))
      assert.strictEqual(yield* soon(run.result), 5)
    }))

  it.scoped("takes its children with it, and those that it starts before it is", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const started = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      const Child = Workflow.make("Child", { payload: { n: Schema.Number }, success: Schema.Number })
      const child = Child.toLayer(({ n }) => Effect.as(Effect.sleep("1 hour"), n))
      const parent = Job.toLayer(() =>
        Effect.gen(function*() {
          const first = yield* Child.start({ n: 1 })
          yield* Step.run("gate", Effect.zipRight(Deferred.succeed(started, undefined), Deferred.await(gate)))
          const second = yield* Child.execute({ n: 2 })
          return second + (yield* first.result)
        })
      )
      yield* world.launch(Layer.merge(child, parent))
      const run = yield* world.use(Job.start({}))
      yield* Deferred.await(started)
      yield* run.pause()
      yield* TestClock.adjust("1 second")
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("3 hours")
      const entries = yield* world.history(run.id)
      assert.deepStrictEqual(shown(entries), ["step gate"])
      assert.strictEqual((yield* run.record).status, "paused")
      const { value: { runs } } = yield* world.driver.find({ filter: { parent: run.id }, after: null, limit: 10 })
      assert.deepStrictEqual(runs.map(({ status }) => status), ["paused", "paused"])
      yield* run.resume()
      assert.strictEqual(yield* within("2 hours")(run.result), 3)
    }))
})

describe("a deadline", () => {
  it.scoped("ends a run that nobody has taken; one that was taken in time goes on", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const late = yield* world.use(Job.start({}, { expiresIn: "1 minute" }))
      const until = yield* TestClock.currentTimeMillis
      const later = yield* world.use(Job.start({}, { expiresAt: new Date(until + 7_200_000) }))
      yield* TestClock.adjust("1 hour")
      yield* world.launch(Job.toLayer(() => Effect.as(Effect.sleep("3 minutes"), 1)), { lease: "30 seconds" })
      yield* TestClock.adjust("1 minute")
      const ended = yield* Effect.flip(late.result)
      assert.deepInclude(ended, { _tag: "RunEnded", status: "expired" })
      assert.strictEqual(yield* within("5 minutes")(later.result), 1)
    }))

  it.scoped("must be an instant", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const error = yield* Effect.flip(world.use(Job.start({}, { expiresAt: new Date(Number.NaN) })))
      assert.match(error.message, /expiresAt is not a valid instant/)
      assert.deepStrictEqual(world.writes, [])
    }))
})
