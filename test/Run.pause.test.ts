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
      assert.strictEqual(yield* world.use(Go.send(run.id, 5)), "Buffered")
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* world.history(run.id), [])
      yield* run.resume()
      assert.strictEqual(yield* soon(run.result), 5)
    }))

  it.scoped("while its worker holds it idle, is written down at once", () =>
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
      yield* world.launch(Job.toLayer(() => Effect.as(Effect.sleep("3 minutes"), 1)), { leaseDuration: "30 seconds" })
      yield* TestClock.adjust("1 minute")
      const ended = yield* Effect.flip(late.result)
      assert.deepInclude(ended, { _tag: "RunEnded", status: "expired" })
      assert.strictEqual(yield* within("5 minutes")(later.result), 1)
    }))

  it.scoped("must be an instant", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const misuse = misuseOf(world.use(Job.start({}, { expiresAt: new Date(Number.NaN) })))
      assert.match(yield* misuse, /"expiresAt" must be a valid DateTime or Date/)
      assert.deepStrictEqual(world.writes, [])
    }))
})
