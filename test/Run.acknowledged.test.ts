/** Controls that returned true, and whose hints were lost. */
import * as PgliteJournal from "@perdure/pglite/PgliteJournal"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { Journal } from "perdure/Journal"
import { JournalDriver } from "perdure/JournalDriver"
import * as Step from "perdure/Step"
import * as Worker from "perdure/Worker"
import { gated, Job } from "./fixtures/gated.js"
import { makeWorld, soon } from "./fixtures/world.js"

/** The driver without the hints that tell a worker of messages and pauses. */
const withoutInboxHints = (driver: JournalDriver): JournalDriver => ({
  ...driver,
  hints: Stream.filter(driver.hints, ({ _tag }) => _tag !== "Inbox")
})

/** A run of one step, which waits for a gate. */
const oneStep = Effect.gen(function*() {
  const started = yield* Deferred.make<void>()
  const gate = yield* Deferred.make<void>()
  const bodies: Array<string> = []
  const body = Effect.sync(() => bodies.push("only")).pipe(
    Effect.zipRight(Deferred.succeed(started, undefined)),
    Effect.zipRight(Deferred.await(gate))
  )
  return { bodies, gate, live: Job.toLayer(() => Effect.as(Step.run("only", body), 7)), started }
})

describe("a run whose worker gets no hints", () => {
  it.scoped("is cancelled if the cancel was accepted while its last step executed", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld(withoutInboxHints)
      const { bodies, gate, live, started } = yield* oneStep
      yield* world.launch(live)
      const run = yield* world.use(Job.start({}))
      yield* Deferred.await(started)
      assert.isTrue(yield* run.cancel())
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([(yield* run.record).status, bodies], ["cancelled", ["only"]])
    }))

  it.scoped("is paused if the pause was accepted while its last step executed, and then ends as it would have", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld(withoutInboxHints)
      const { bodies, gate, live, started } = yield* oneStep
      yield* world.launch(live)
      const run = yield* world.use(Job.start({}))
      yield* Deferred.await(started)
      assert.isTrue(yield* run.pause())
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* run.record).status, "paused")
      yield* run.resume()
      assert.strictEqual(yield* soon(run.result), 7)
      assert.deepStrictEqual(bodies, ["only"])
    }))

  it.scoped("that was paused after its last step can be cancelled, and ends as its journal says", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld(withoutInboxHints)
      const { gate, live, started } = yield* oneStep
      yield* world.launch(live)
      const run = yield* world.use(Job.start({}))
      yield* Deferred.await(started)
      yield* run.pause()
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("1 second")
      assert.isTrue(yield* run.cancel())
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* run.record).status, "completed")
    }))

  it.scoped("hears of a cancel and of a pause with its next commit", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld(withoutInboxHints)
      const gates = yield* gated
      yield* world.launch(gates.live)
      const run = yield* world.use(Job.start({}))
      yield* Deferred.await(gates.started)
      yield* run.pause()
      yield* Deferred.succeed(gates.gate, undefined)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([(yield* run.record).status, gates.bodies], ["paused", ["first"]])

      const started = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      const live = Job.toLayer(() =>
        Step.run("first", Effect.zipRight(Deferred.succeed(started, undefined), Deferred.await(gate))).pipe(
          Effect.zipRight(Step.run("second", Effect.never)),
          Effect.as(7)
        )
      )
      const second = yield* makeWorld(withoutInboxHints)
      yield* second.launch(live)
      const cancelled = yield* second.use(Job.start({}))
      yield* Deferred.await(started)
      assert.isTrue(yield* cancelled.cancel())
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* cancelled.record).status, "cancelled")
    }))

  it.scopedLive("is paused on PGlite, too", () =>
    Effect.gen(function*() {
      const steps = yield* oneStep
      const bent = Layer.effect(JournalDriver, Effect.map(JournalDriver, withoutInboxHints)).pipe(
        Layer.provide(PgliteJournal.layer())
      )
      const context = yield* Layer.build(
        Layer.mergeAll(steps.live, Worker.layer({ leaseDuration: "1 day" })).pipe(
          Layer.provideMerge(Journal.layer()),
          Layer.provide(bent)
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
          yield* Deferred.await(steps.started)
          yield* run.pause()
          yield* Deferred.succeed(steps.gate, undefined)
          yield* until("paused")
          yield* run.resume()
          yield* until("completed")
          assert.deepStrictEqual(steps.bodies, ["only"])
        }),
        context
      )
    }), 60_000)
})
