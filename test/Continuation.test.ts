/** Continuations start exactly once, also across failures and crashes. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Continuation from "perdure/Continuation"
import { CurrentRun } from "perdure/CurrentRun"
import { JournalError } from "perdure/Errors"
import type { JournalDriver } from "perdure/JournalDriver"
import * as Runs from "perdure/Runs"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { makeWorld, soon, type World, within } from "./fixtures/world.js"

class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { sku: Schema.String }) {}

const Invoice = Workflow.make("Invoice", {
  payload: { order: Schema.String, total: Schema.Number },
  success: Schema.String,
  idempotencyKey: ({ order }) => order
})
const Apology = Workflow.make("Apology", { payload: { order: Schema.String, why: Schema.String } })

const Order = Workflow.make("Order", {
  payload: { order: Schema.String, how: Schema.Literal("well", "badly", "dead", "long", "odd") },
  success: Schema.Number,
  error: OutOfStock
}).pipe(
  Continuation.onSuccess(Invoice, (total, { how, order }) => ({ order, total: how === "odd" ? NaN : total })),
  Continuation.onFailure(Apology, ({ detail, error, runId, status, workflow }, { order }) => ({
    order,
    why: [
      workflow,
      status,
      runId.length > 0,
      Option.match(error, { onNone: () => detail, onSome: (failed) => `${failed._tag}` })
    ].join(" ")
  }), { queue: "mail", priority: 3, delay: "1 minute", tags: ["apology"] })
)

const OrderLive = Order.toLayer(({ how }) =>
  Effect.gen(function*() {
    yield* Step.run("work", Effect.void)
    if (how === "badly") return yield* new OutOfStock({ sku: "s" })
    if (how === "dead") return yield* Effect.die(new Error("boom"))
    if (how === "long") yield* Effect.sleep("1 day")
    return 42
  })
)
const InvoiceLive = Invoice.toLayer(({ order, total }) => Effect.succeed(`${order}: ${total}`))

/** The runs of a workflow. */
const following = (world: World, workflow: string) =>
  Effect.map(
    world.driver.find({ filter: { workflows: [workflow] }, after: null, limit: 100 }),
    ({ value }) => value.runs
  )

describe("a continuation", () => {
  it.scoped("follows a success, with its value and payload, as an independent run", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.merge(OrderLive, InvoiceLive))
      const run = yield* process.use(Order.start({ order: "o", how: "well" }))
      assert.strictEqual(yield* soon(run.result), 42)
      const [invoice] = yield* following(world, "Invoice")
      assert.deepInclude(invoice, {
        payload: `{"order":"o","total":42}`,
        status: "completed",
        parent: null,
        root: invoice?.id ?? "none",
        depth: 0,
        idempotencyKey: "o",
        exit: { kind: "success", value: "\"o: 42\"" }
      })
      assert.deepStrictEqual(yield* following(world, "Apology"), [])
    }))

  it.scoped("follows a failure and a defect, on the queue and at the time of its options", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.merge(OrderLive, InvoiceLive))
      for (const how of ["badly", "dead"] as const) {
        const run = yield* process.use(Order.start({ order: how, how }))
        yield* soon(Effect.exit(run.result))
      }
      const apologies = yield* following(world, "Apology")
      assert.deepStrictEqual(
        apologies.map(({ payload }) => payload).toSorted(),
        [
          `{"order":"badly","why":"Order failed true OutOfStock"}`,
          `{"order":"dead","why":"Order failed true Error: boom"}`
        ]
      )
      for (const { availableAt, createdAt, priority, queue, tags } of apologies) {
        assert.deepStrictEqual([queue, priority, tags], ["mail", 3, ["apology"]])
        assert.isAtLeast(availableAt - createdAt, 50_000)
      }
      assert.deepStrictEqual(yield* following(world, "Invoice"), [])
    }))

  it.scoped("does not follow a run that was cancelled or ended from outside", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.merge(OrderLive, InvoiceLive))
      const one = yield* process.use(Order.start({ order: "1", how: "long" }))
      const two = yield* process.use(Order.start({ order: "2", how: "long" }))
      yield* TestClock.adjust("1 second")
      yield* one.cancel()
      yield* two.terminate()
      yield* soon(Effect.exit(one.result))
      yield* soon(Effect.exit(two.result))
      yield* TestClock.adjust("2 days")
      assert.deepStrictEqual([...yield* following(world, "Invoice"), ...yield* following(world, "Apology")], [])
    }))

  it.scoped("that cannot be made does not stop the run from ending; the reason is published", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const process = yield* world.launch(Layer.merge(OrderLive, InvoiceLive))
      const run = yield* process.use(Order.start({ order: "o", how: "odd" }))
      assert.strictEqual(yield* soon(run.result), 42)
      assert.deepStrictEqual(yield* following(world, "Invoice"), [])
      const { value: [published] } = yield* world.driver.published(run.id)
      assert.strictEqual(published?.key, "perdure:continuation")
      assert.match(published?.value ?? "", /has ended, but its continuation Invoice cannot start: .*NaN/)
      const Throws = Workflow.make("Throws", { payload: {} }).pipe(
        Continuation.onSuccess(Apology, () => JSON.parse("{"))
      )
      const other = yield* world.launch(Throws.toLayer(() => Effect.void), { id: "other" })
      const thrown = yield* other.use(Throws.start({}))
      yield* soon(thrown.result)
      assert.include(
        (yield* world.driver.published(thrown.id)).value[0]?.value,
        "its continuation Apology cannot start"
      )
    }))

  it.scoped("may be one of several; a chain of any length has ids of bounded length", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const End = Workflow.make("End", { payload: { n: Schema.Number } })
      const Chain = Workflow.make("Chain", { payload: { n: Schema.Number } })
      const Linked = Chain.pipe(
        Continuation.onSuccess(Chain, (_, { n }) => ({ n: n + 1 }), { delay: "1 hour" }),
        Continuation.onSuccess(End, (_, { n }) => ({ n }))
      )
      const process = yield* world.launch(Linked.toLayer(() => Effect.void))
      yield* process.use(Chain.start({ n: 0 }))
      yield* TestClock.adjust("60 hours")
      const [chain, ends] = [yield* following(world, "Chain"), yield* following(world, "End")]
      assert.isAbove(chain.length, 50)
      assert.strictEqual(new Set(ends.map(({ payload }) => payload)).size, ends.length)
      assert.isAtLeast(ends.length, chain.length - 1)
      assert.isBelow(Math.max(...chain.map(({ id }) => id.length)), 250)
    }))

  it.scoped("that a commit cannot start is reported when the layer is built", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const Single = Workflow.make("Single", { payload: {}, singleton: { key: () => "k", mode: "join" } })
      const Goes = Workflow.make("Goes", { payload: {} }).pipe(Continuation.onSuccess(Single, () => ({})))
      const refused = yield* Effect.flip(world.launch(Goes.toLayer(() => Effect.void)))
      assert.include(refused.message, `continues on success with "Single", which has "singleton" or "debounce"`)
    }))
})

describe("a retried or forked run", () => {
  const Bill = Workflow.make("Bill", { payload: { run: Schema.String } })
  const Sorry = Workflow.make("Sorry", { payload: { run: Schema.String } })
  const Try = Workflow.make("Try", { payload: {}, success: Schema.String, error: OutOfStock }).pipe(
    Continuation.onSuccess(Bill, (run) => ({ run })),
    Continuation.onFailure(Sorry, ({ runId }) => ({ run: runId }))
  )
  /** The ids of runs that have a continuation, sorted. */
  const followed = (world: World, workflow: string) =>
    Effect.map(
      following(world, workflow),
      (runs) => runs.map(({ payload }) => (JSON.parse(payload) as { readonly run: string }).run).toSorted()
    )

  it.scoped("has its own continuations: one for each end, also if it is requested again", () =>
    Effect.gen(function*() {
      let broken = true
      const world = yield* makeWorld()
      const TryLive = Try.toLayer(() =>
        Effect.gen(function*() {
          yield* Step.run("work", Effect.suspend(() => broken ? new OutOfStock({ sku: "s" }) : Effect.void), {
            error: OutOfStock
          })
          return (yield* CurrentRun).id
        })
      )
      const Quiet = Layer.merge(Bill.toLayer(() => Effect.void), Sorry.toLayer(() => Effect.void))
      const process = yield* world.launch(Layer.merge(TryLive, Quiet))
      const run = yield* process.use(Try.start({}))
      yield* soon(Effect.exit(run.result))
      assert.deepStrictEqual(yield* followed(world, "Sorry"), [run.id])

      const second = yield* run.retry()
      assert.strictEqual((yield* run.retry()).id, second.id)
      yield* soon(Effect.exit(second.result))
      const third = yield* run.fork({ from: 0, id: "third" })
      yield* soon(Effect.exit(third.result))
      assert.deepStrictEqual(yield* followed(world, "Sorry"), [run.id, second.id, third.id].toSorted())
      assert.deepStrictEqual(yield* followed(world, "Bill"), [])

      broken = false
      yield* process.use(Stream.runDrain(Runs.retry({ workflow: "Try", status: "failed" })))
      yield* process.use(Stream.runDrain(Runs.retry({ workflow: "Try", status: "failed" })))
      yield* soon(Effect.void)
      const good = [`${run.id}~2`, "third~1"].toSorted()
      assert.deepStrictEqual(yield* followed(world, "Bill"), good)
      assert.deepStrictEqual(yield* followed(world, "Sorry"), [run.id, second.id, third.id].toSorted())
      const all = [...yield* following(world, "Bill"), ...yield* following(world, "Sorry")]
      assert.isTrue(all.every(({ status }) => status === "completed"))

      // A fork of a run that succeeded has a continuation, too.
      const fourth = yield* (yield* process.use(Try.attach("third~1"))).fork({ from: 0, id: "fourth" })
      assert.strictEqual(yield* soon(fourth.result), "fourth")
      assert.deepStrictEqual(yield* followed(world, "Bill"), [...good, "fourth"].toSorted())
    }))
})

describe("exactly once", () => {
  const down = new JournalError({ code: "OutcomeUnknown", operation: "commit", detail: "simulated", retryable: true })

  const isEnd = (request: Parameters<JournalDriver["commit"]>[0]) =>
    request.commits.some(({ transition }) => transition?._tag === "Finish")

  for (const when of ["before", "after"] as const) {
    it.scoped(`when the connection breaks ${when} the commit that ends the run`, () =>
      Effect.gen(function*() {
        let faults = 3
        const world = yield* makeWorld((driver) => ({
          ...driver,
          commit: (request) =>
            Effect.suspend(() => {
              if (!isEnd(request) || faults-- <= 0) return driver.commit(request)
              return when === "before" ? down : Effect.zipRight(driver.commit(request), down)
            })
        }))
        const process = yield* world.launch(OrderLive)
        const run = yield* process.use(Order.start({ order: "o", how: "badly" }))
        yield* within("1 minute")(Effect.exit(run.result))
        assert.isAtMost(faults, 0)
        assert.strictEqual((yield* following(world, "Apology")).length, 1)
      }))

    it.scoped(`when the worker dies right ${when} it, and another takes over`, () =>
      Effect.gen(function*() {
        let killer: Effect.Effect<void> = Effect.void
        let isOver = false
        const world = yield* makeWorld((driver) => ({
          ...driver,
          commit: (request) =>
            !isEnd(request) || isOver
              ? driver.commit(request)
              : when === "before"
              ? Effect.zipRight(killer, Effect.never)
              : Effect.zipRight(driver.commit(request), Effect.zipRight(killer, Effect.never))
        }))
        const first = yield* world.launch(OrderLive, { id: "first", leaseDuration: "10 seconds" })
        let dead = 0
        killer = Effect.suspend(() => dead++ > 0 ? Effect.void : first.kill)
        const run = yield* first.use(Order.start({ order: "o", how: "badly" }))
        yield* TestClock.adjust("1 second")
        assert.strictEqual(dead, 1)
        assert.strictEqual((yield* following(world, "Apology")).length, when === "before" ? 0 : 1)
        isOver = true
        yield* world.launch(OrderLive, { id: "second", leaseDuration: "10 seconds" })
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* world.record(run.id)).status, "failed")
        assert.strictEqual((yield* following(world, "Apology")).length, 1)
      }))
  }
})
