/** Runs that are paused and resumed while workers hold them. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { gated, inFlight, Job } from "./fixtures/gated.js"
import { misuseOf } from "./fixtures/misuse.js"
import { makeWorld, shown, soon, within } from "./fixtures/world.js"

const Go = Signal.make("Go", { payload: Schema.Number })

describe("a run paused while a step executes", () => {
  it.scoped("finishes and journals the step, then stops; resumed, it continues after it", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const gates = yield* gated
      yield* world.launch(gates.live)
      const run = yield* world.use(Job.start({}))
      yield* inFlight(run, gates, () => TestClock.adjust("1 second"))
      assert.deepStrictEqual(shown(yield* world.history(run.id)), ["step first", "step second"])
    }))

  it.scoped("continues if it is resumed before the step ends", () =>
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

  it.scoped("that is cancelled meanwhile ends, whether or not it was paused by then", () =>
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

  it.scoped("is paused even if its worker is killed before it reads the request", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const { bodies, live, started } = yield* gated
      const process = yield* world.launch(live, { leaseDuration: "30 seconds" })
      const run = yield* world.use(Job.start({}))
      yield* Deferred.await(started)
      yield* process.kill
      yield* run.pause()
      yield* world.launch(live, { leaseDuration: "30 seconds" })
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual((yield* run.record).status, "paused")
      assert.deepStrictEqual(bodies, ["first"])
    }))
})

describe("a run paused while it waits", () => {
  it.scoped("is not woken by its timer or a signal, and loses neither", () =>
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
      assert.strictEqual(yield* world.use(Go.send(run.id, 5)), "Buffered")
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* world.history(run.id), [])
      yield* run.resume()
      assert.strictEqual(yield* soon(run.result), 5)
    }))

  it.scoped("that its worker holds idle is suspended at once", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() => Go.receive), { lingerDuration: "1 day" })
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

  it.scoped("pauses its children, and those that it starts before it is paused", () =>
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
  it.scoped("expires a run that no worker has claimed; a run claimed in time continues", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const late = yield* world.use(Job.start({}, { expiresIn: "1 minute" }))
      const until = yield* TestClock.currentTimeMillis
      const later = yield* world.use(Job.start({}, { expiresAt: new Date(until + 7_200_000) }))
      yield* TestClock.adjust("1 hour")
      yield* world.launch(Job.toLayer(() => Effect.as(Effect.sleep("3 minutes"), 1)), { leaseDuration: "30 seconds" })
      yield* TestClock.adjust("1 minute")
      const ended = yield* Effect.flip(late.result)
      assert.deepInclude(ended, { _tag: "RunEnded", status: "expired" })
      assert.strictEqual(yield* within("5 minutes")(later.result), 1)
    }))

  it.scoped("that is not an instant dies with Misuse", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const misuse = misuseOf(world.use(Job.start({}, { expiresAt: new Date(Number.NaN) })))
      assert.match(yield* misuse, /"expiresAt" must be a valid DateTime or Date/)
      assert.deepStrictEqual(world.writes, [])
    }))
})
