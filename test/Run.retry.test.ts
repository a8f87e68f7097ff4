/** Retries: of runs that have compensated, from a place that the caller gives, and with time limits of their own. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { NotRetryable, TimedOut } from "perdure/Errors"
import * as Runs from "perdure/Runs"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { makeWorld, shown, soon, type World } from "./fixtures/world.js"

const Order = Workflow.make("Order", { payload: {}, success: Schema.String, error: Schema.String })

/** Charges, fails in the workflow's code unless it is fixed, and refunds. `compensate` says how. */
const order = (isFixed: () => boolean, compensate: "scope" | "onError" | "acquireUseRelease") => {
  const charge = Step.run("charge", Effect.void)
  const refund = Step.run("refund", Effect.void)
  const ship = Effect.suspend(() =>
    isFixed() ?
      Step.run("ship", Effect.succeed("sent"), { success: Schema.String })
      : Effect.fail("no stock")
  )
  switch (compensate) {
    case "scope":
      return Order.toLayer(() => Effect.zipRight(Effect.acquireRelease(charge, () => refund), ship))
    case "onError":
      return Order.toLayer(() => Effect.zipRight(charge, Effect.onError(ship, () => refund)))
    case "acquireUseRelease":
      return Order.toLayer(() => Effect.acquireUseRelease(charge, () => ship, () => refund))
  }
}

const failedOrder = (world: World, isFixed: () => boolean, compensate: "scope" | "onError" | "acquireUseRelease") =>
  Effect.gen(function*() {
    yield* world.launch(order(isFixed, compensate))
    const run = yield* world.use(Order.start({}))
    yield* TestClock.adjust("1 second")
    assert.strictEqual((yield* run.record).status, "failed")
    return run
  })

describe("a retry of a run whose code failed and whose finalizers executed steps", () => {
  for (const compensate of ["scope", "onError", "acquireUseRelease"] as const) {
    it.scoped(`is refused, with ${compensate}; from the start it is a new attempt`, () =>
      Effect.gen(function*() {
        const world = yield* makeWorld()
        let isFixed = false
        const run = yield* failedOrder(world, () => isFixed, compensate)
        assert.deepStrictEqual(shown(yield* world.history(run.id)), ["step charge", "step refund"])
        isFixed = true
        const error = yield* Effect.flip(run.retry())
        assert.instanceOf(error, NotRetryable)
        assert.match(error.message, /step "refund" has succeeded, as compensation does.*retry it from "start"/)
        assert.deepStrictEqual(yield* world.use(Runs.retry({ workflow: Order })), {
          matched: 1,
          changed: 0,
          unchanged: { Compensated: 1 }
        })
        const again = yield* run.retry({ from: "start" })
        assert.strictEqual(yield* soon(again.result), "sent")
      }))
  }

  it.scoped("is refused after the worker was replaced between the compensation and the end", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const live = Order.toLayer(() =>
        Effect.acquireUseRelease(
          Step.run("charge", Effect.void),
          () => Effect.fail("no stock"),
          () => Effect.zipRight(Step.run("refund", Effect.void), Effect.sleep("1 hour"))
        )
      )
      const first = yield* world.launch(live)
      const run = yield* world.use(Order.start({}))
      yield* TestClock.adjust("1 minute")
      yield* first.stop
      yield* world.launch(live)
      yield* TestClock.adjust("2 hours")
      assert.strictEqual((yield* run.record).status, "failed")
      assert.instanceOf(yield* Effect.flip(run.retry()), NotRetryable)
    }))

  it.scoped("is accepted if no finalizer executed a step: corrected code runs over all entries", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      let isFixed = false
      yield* world.launch(Order.toLayer(() =>
        Effect.zipRight(
          Step.run("charge", Effect.void),
          Effect.suspend(() => isFixed ? Effect.succeed("sent") : Effect.fail("no stock"))
        )
      ))
      const run = yield* world.use(Order.start({}))
      yield* TestClock.adjust("1 second")
      isFixed = true
      assert.strictEqual(yield* soon((yield* run.retry()).result), "sent")
    }))
})

describe("a retry from a place that the caller gives", () => {
  it.scoped("is a new attempt if the earlier one began elsewhere, and the same one if not", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      let isFixed = false
      const run = yield* failedOrder(world, () => isFixed, "onError")
      isFixed = true
      const diverged = yield* run.retry({ from: 2 })
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* diverged.record).status, "diverged")
      const again = yield* run.retry({ from: "start" })
      assert.deepStrictEqual([diverged.id, again.id], [`${run.id}~1`, `${run.id}~2`])
      assert.strictEqual(yield* soon(again.result), "sent")
      assert.strictEqual((yield* run.retry({ from: "start" })).id, again.id)
      assert.strictEqual((yield* run.retry({ from: 0 })).id, again.id)
      assert.strictEqual((yield* run.retry({ from: 2 })).id, diverged.id)
    }))

  it.scoped("leaves the ids that other attempts have", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const run = yield* failedOrder(world, () => false, "onError")
      const first = yield* run.retry({ from: "start" })
      yield* TestClock.adjust("1 second")
      const other = yield* run.retry({ from: 1 })
      yield* TestClock.adjust("1 second")
      const next = yield* first.retry({ from: "start" })
      assert.deepStrictEqual([first.id, other.id, next.id], [1, 2, 3].map((n) => `${run.id}~${n}`))
      assert.strictEqual((yield* next.record).source?.run, first.id)
    }))
})

const Limited = Workflow.make("Limited", {
  payload: {},
  success: Schema.Number,
  error: Schema.Union(TimedOut, Schema.String),
  timeout: "2 seconds"
})

describe("the timeout of a workflow", () => {
  it.scoped("starts again with a retry and with a fork", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      let fails = true
      yield* world.launch(Limited.toLayer(() =>
        Effect.gen(function*() {
          yield* Step.run("a", Effect.void)
          yield* Effect.sleep("1500 millis")
          yield* Step.run("b", Effect.suspend(() => fails ? Effect.fail("no") : Effect.void), { error: Schema.String })
          yield* Effect.sleep("1 second")
          return 7
        })
      ))
      const run = yield* world.use(Limited.start({}))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* run.record).status, "failed")
      fails = false
      const retry = yield* run.retry()
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* soon(retry.result), 7)
      const fork = yield* run.fork({ from: 0 })
      yield* TestClock.adjust("1900 millis")
      assert.include(["running", "suspended"], (yield* fork.record).status)
      yield* TestClock.adjust("200 millis")
      const { exit } = yield* fork.record
      assert.match(exit?.value ?? "", /TimedOut/)
    }))

  it.scoped("that ended the run is the failure: a retry executes the rest again, with the whole time", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      let isSlow = true
      const bodies: Array<string> = []
      const body = Effect.suspend(() => {
        bodies.push("slow")
        return isSlow ? Effect.never : Effect.void
      })
      yield* world.launch(Limited.toLayer(() => Effect.as(Step.run("slow", body), 7)))
      const run = yield* world.use(Limited.start({}))
      yield* TestClock.adjust("10 seconds")
      assert.match((yield* run.record).exit?.value ?? "", /TimedOut/)
      const second = yield* run.retry()
      yield* TestClock.adjust("1900 millis")
      assert.strictEqual((yield* second.record).status, "running")
      yield* TestClock.adjust("200 millis")
      assert.strictEqual((yield* second.record).status, "failed")
      isSlow = false
      const third = yield* second.retry()
      assert.strictEqual(yield* soon(third.result), 7)
      assert.deepStrictEqual(bodies, ["slow", "slow", "slow"])
    }))

  it.scoped("of a fork does not move when another worker continues it", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const Go = Signal.make("Go", { payload: Schema.Number })
      const live = Limited.toLayer(() => Effect.zipRight(Go.receive, Go.receive))
      const first = yield* world.launch(live)
      const run = yield* world.use(Limited.start({}))
      yield* TestClock.adjust("10 seconds")
      const fork = yield* run.fork({ from: 0 })
      yield* TestClock.adjust("1 second")
      yield* world.use(Go.send(fork.id, 1))
      yield* TestClock.adjust("100 millis")
      yield* first.stop
      yield* world.launch(live)
      yield* TestClock.adjust("800 millis")
      assert.include(["running", "suspended"], (yield* fork.record).status)
      yield* TestClock.adjust("100 millis")
      assert.match((yield* fork.record).exit?.value ?? "", /TimedOut/)
    }))
})

describe("a sleep that a fork has inherited", () => {
  it.scoped("continues with the rest of its time", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const Job = Workflow.make("Job", { payload: {} })
      const Go = Signal.make("Go", { payload: Schema.Number })
      yield* world.launch(
        Job.toLayer(() => Effect.asVoid(Effect.all([Effect.sleep("1 hour"), Go.receive], { concurrency: 2 })))
      )
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("40 minutes")
      yield* world.use(Go.send(run.id, 1))
      yield* TestClock.adjust("1 day")
      const fork = yield* run.fork({ from: 1 })
      yield* TestClock.adjust("19 minutes")
      assert.strictEqual((yield* fork.record).status, "suspended")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* fork.record).status, "completed")
    }))
})
