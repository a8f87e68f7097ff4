/** Child runs: typed results, attached and detached, limits. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { CurrentRun } from "perdure/CurrentRun"
import { type ChildDepthExceeded, ChildLimitExceeded } from "perdure/Errors"
import { childId } from "perdure/internal/codec/ids"
import type { Journal } from "perdure/Journal"
import { Limits } from "perdure/Limits"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { makeWorld, shown, soon, within } from "./fixtures/world.js"

class Broken extends Schema.TaggedError<Broken>()("Broken", { parcel: Schema.Number }) {}

const Ship = Workflow.make("Ship", { payload: { parcel: Schema.Number }, success: Schema.String, error: Broken })

const Order = Workflow.make("Order", { payload: {}, success: Schema.Unknown, error: Broken })

const Go = Signal.make("Go", { payload: {} })

/** Ships after an hour; parcels beyond 100 are broken. */
const makeShip = () => {
  const events: Array<string> = []
  const note = (event: string) => Effect.orDie(Step.run(event, Effect.sync(() => void events.push(event))))
  const live = Ship.toLayer(({ parcel }) =>
    Effect.gen(function*() {
      yield* note(`begin ${parcel}`)
      yield* Effect.onInterrupt(Effect.sleep("1 hour"), () => note(`undo ${parcel}`))
      if (parcel > 100) return yield* new Broken({ parcel })
      yield* note(`shipped ${parcel}`)
      return `label ${parcel}`
    })
  )
  return { events, live }
}

describe("a child", () => {
  it.scoped("returns its typed result to the parent, has its own journal and knows its parent, root and depth", () =>
    Effect.gen(function*() {
      const places: Array<unknown> = []
      const world = yield* makeWorld()
      const { live } = makeShip()
      const first = yield* world.launch(Layer.mergeAll(
        live,
        Order.toLayer(() =>
          Effect.flatMap(
            CurrentRun,
            ({ depth, id }) => Effect.zipRight(Effect.sync(() => places.push([depth, id])), Ship.execute({ parcel: 1 }))
          )
        )
      ))
      const order = yield* first.use(Order.start({}))
      assert.strictEqual(yield* within("1 hour")(order.result), "label 1")
      assert.deepStrictEqual(shown(yield* world.history(order.id)), ["child Ship"])
      const child = yield* world.record(childId(order.id, 0, 0, "Ship"))
      assert.deepInclude(child, { workflow: "Ship", depth: 1, root: order.id, status: "completed" })
      assert.deepInclude(child.parent, { id: order.id, attached: true })
      assert.deepStrictEqual(
        shown(yield* world.history(child.id)),
        ["step begin 1", "timer sleep", "step shipped 1"]
      )
    }))

  it.scoped("that fails makes the parent's call fail with its typed error, which the parent can handle", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Layer.mergeAll(
        makeShip().live,
        Order.toLayer(() =>
          Effect.gen(function*() {
            const recovered = yield* Ship.execute({ parcel: 101 }).pipe(
              Effect.catchTag("Broken", ({ parcel }) => Effect.succeed(`recovered ${parcel}`))
            )
            yield* Step.run(recovered, Effect.void)
            return yield* Ship.execute({ parcel: 102 })
          })
        )
      ))
      const order = yield* world.use(Order.start({}))
      const exit = yield* within("2 hours")(Effect.exit(order.result))
      assert.deepStrictEqual(exit, Exit.fail(new Broken({ parcel: 102 })))
      assert.include(shown(yield* world.history(order.id)), "step recovered 101")
    }))

  it.scoped("that dies or is terminated makes the parent's call fail with RunEnded", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const Die = Workflow.make("Die", { payload: {} })
      yield* world.launch(Layer.mergeAll(
        makeShip().live,
        Die.toLayer(() => Effect.dieMessage("bones")),
        Order.toLayer(() =>
          Effect.all([Effect.flip(Die.execute({})), Effect.flip(Ship.execute({ parcel: 1 }))], { concurrency: 2 }).pipe(
            Effect.map((errors) => errors.map((error) => error.message)),
            Effect.orDieWith(String)
          )
        )
      ))
      const order = yield* world.use(Order.start({}))
      yield* TestClock.adjust("1 minute")
      const ship = yield* world.use(Ship.attach(childId(order.id, 0, 2, "Ship")))
      assert.isTrue(yield* ship.terminate())
      const [died, terminated] = Object.values(Object(yield* soon(order.result)))
      assert.include(String(died), "bones")
      assert.include(String(terminated), "terminated")
    }))

  it.scoped("started without waiting executes while the parent continues, and can be awaited later", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const { events, live } = makeShip()
      const both = Layer.mergeAll(
        live,
        Order.toLayer(() =>
          Effect.gen(function*() {
            const runs = yield* Effect.forEach([1, 2, 3], (parcel) => Ship.start({ parcel }))
            yield* Effect.sleep("30 minutes")
            return yield* Effect.forEach(runs, (run) => run.result, { concurrency: "unbounded" })
          })
        )
      )
      const first = yield* world.launch(both)
      const order = yield* world.use(Order.start({}))
      yield* TestClock.adjust("40 minutes")
      yield* first.kill
      yield* world.driver.retire(first.worker.core.ref)
      yield* world.launch(both)
      assert.deepStrictEqual(yield* within("1 hour")(order.result), ["label 1", "label 2", "label 3"])
      assert.strictEqual(events.filter((event) => event.startsWith("begin")).length, 3, "each began once")
    }))

  it.scoped("returns its result to repeated and concurrent waits", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const both = Layer.mergeAll(
        makeShip().live,
        Order.toLayer(() =>
          Effect.gen(function*() {
            const run = yield* Ship.start({ parcel: 1 })
            const early = yield* Effect.timeoutOption(run.result, "30 minutes")
            const both = yield* Effect.all([run.result, run.result], { concurrency: 2 })
            const again = yield* run.result
            yield* Effect.sleep("1 day")
            return [early._tag, both, again, yield* run.result]
          })
        )
      )
      const first = yield* world.launch(both)
      const order = yield* world.use(Order.start({}))
      yield* TestClock.adjust("2 hours")
      yield* first.stop
      yield* world.launch(both)
      assert.deepStrictEqual(yield* within("1 day")(order.result), [
        "None",
        ["label 1", "label 1"],
        "label 1",
        "label 1"
      ])
      assert.strictEqual(shown(yield* world.history(order.id)).filter((entry) => entry === "child Ship").length, 1)
    }))

  it.scoped("starts after a delay, on another queue and with its own priority", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const { events, live } = makeShip()
      yield* world.launch(
        Layer.mergeAll(
          live,
          Order.toLayer(() => Ship.execute({ parcel: 1 }, { delay: "1 day", queue: "night", priority: 3 }))
        ),
        { queues: ["default", "night"] }
      )
      const order = yield* world.use(Order.start({}))
      yield* TestClock.adjust("23 hours")
      assert.deepStrictEqual(events, [])
      assert.deepInclude(yield* world.record(childId(order.id, 0, 0, "Ship")), {
        queue: "night",
        priority: 3,
        status: "pending"
      })
      assert.strictEqual(yield* within("2 hours")(order.result), "label 1")
    }))
})

describe("the end of a parent", () => {
  it.scoped("by cancel cancels attached children, whose compensation runs, and leaves detached ones", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const { events, live } = makeShip()
      yield* world.launch(Layer.mergeAll(
        live,
        Order.toLayer(() =>
          Effect.gen(function*() {
            yield* Ship.start({ parcel: 1 })
            yield* Ship.start({ parcel: 2 }, { detached: true })
            return yield* Ship.execute({ parcel: 3 })
          })
        )
      ))
      const order = yield* world.use(Order.start({}))
      yield* TestClock.adjust("1 minute")
      yield* order.cancel()
      assert.include((yield* soon(Effect.flip(order.result))).message, "cancelled")
      assert.deepStrictEqual([...events].sort(), ["begin 1", "begin 2", "begin 3", "undo 1", "undo 3"])
      yield* TestClock.adjust("1 hour")
      assert.include(events, "shipped 2")
      assert.notInclude(events, "shipped 1")
    }))

  it.scoped("by termination terminates the whole attached tree at once", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const { events, live } = makeShip()
      const Middle = Workflow.make("Middle", { payload: {}, success: Schema.String, error: Broken })
      yield* world.launch(Layer.mergeAll(
        live,
        Middle.toLayer(() => Ship.execute({ parcel: 1 })),
        Order.toLayer(() =>
          Effect.all([Middle.execute({}), Ship.start({ parcel: 2 }, { detached: true })], { concurrency: 2 })
        )
      ))
      const order = yield* world.use(Order.start({}))
      yield* TestClock.adjust("1 minute")
      assert.isTrue(yield* order.terminate())
      const statuses = yield* Effect.forEach(
        [order.id, childId(order.id, 0, 0, "Middle"), childId(childId(order.id, 0, 0, "Middle"), 0, 0, "Ship")],
        (id) => Effect.map(world.record(id), ({ status }) => status)
      )
      assert.deepStrictEqual(statuses, ["terminated", "terminated", "terminated"])
      yield* TestClock.adjust("2 hours")
      assert.deepStrictEqual([...events].sort(), ["begin 1", "begin 2", "shipped 2"])
    }))

  it.scoped("by success cancels children that were not awaited", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const { events, live } = makeShip()
      yield* world.launch(Layer.mergeAll(
        live,
        Order.toLayer(() => Effect.zipRight(Ship.start({ parcel: 1 }), Effect.as(Effect.sleep("1 minute"), "done")))
      ))
      const order = yield* world.use(Order.start({}))
      assert.strictEqual(yield* within("1 minute")(order.result), "done")
      yield* TestClock.adjust("2 hours")
      assert.deepStrictEqual(events, ["begin 1", "undo 1"])
    }))

  it.scoped("by continueAsNew cancels the children of the old generation", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const { events, live } = makeShip()
      const Loop = Workflow.make("Loop", { payload: { round: Schema.Number }, error: Broken })
      yield* world.launch(Layer.mergeAll(
        live,
        Loop.toLayer(({ round }) =>
          Effect.gen(function*() {
            yield* Effect.orDie(Ship.start({ parcel: round }))
            yield* Effect.sleep("1 minute")
            if (round < 2) return yield* Loop.continueAsNew({ round: round + 1 })
          })
        )
      ))
      const loop = yield* world.use(Loop.start({ round: 1 }))
      yield* within("3 minutes")(loop.result)
      yield* TestClock.adjust("2 hours")
      assert.deepStrictEqual([...events].sort(), ["begin 1", "begin 2", "undo 1", "undo 2"])
    }))

  it.scoped("by cancel waits for a child's compensation if a finalizer awaits it", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const { events, live } = makeShip()
      yield* world.launch(Layer.mergeAll(
        live,
        Order.toLayer(() =>
          Effect.gen(function*() {
            const ship = yield* Ship.start({ parcel: 1 })
            return yield* Effect.onInterrupt(ship.result, () =>
              Effect.orDie(Effect.gen(function*() {
                yield* ship.cancel()
                events.push((yield* Effect.exit(ship.result))._tag)
              })))
          })
        )
      ))
      const order = yield* world.use(Order.start({}))
      yield* TestClock.adjust("1 minute")
      yield* order.cancel()
      assert.include((yield* soon(Effect.flip(order.result))).message, "cancelled")
      assert.deepStrictEqual(events, ["begin 1", "undo 1", "Failure"])
    }))

  it.scoped("an interrupted execute cancels its child; the child that loses a race is cancelled and compensated", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const { events, live } = makeShip()
      yield* world.launch(Layer.mergeAll(
        live,
        Order.toLayer(() => Effect.race(Ship.execute({ parcel: 1 }), Effect.as(Go.receive, "gone")))
      ))
      const order = yield* world.use(Order.start({}))
      yield* TestClock.adjust("1 minute")
      yield* world.use(Go.send(order.id, {}))
      assert.strictEqual(yield* soon(order.result), "gone")
      yield* TestClock.adjust("2 hours")
      assert.deepStrictEqual(events, ["begin 1", "undo 1"])
    }))
})

describe("a child of execute", () => {
  type Executed = ReturnType<typeof Ship.execute>
  type Started = Effect.Effect.Success<ReturnType<typeof Order.start>>
  const gone = Effect.asVoid(Effect.orDie(Go.receive))
  const go = (id: string) => Go.send(id, {})
  /** How the parent, which executes `child`, ends a minute later. */
  const ends: Record<string, {
    readonly parent: (child: Executed) => Effect.Effect<string, Effect.Effect.Error<Executed>, Journal | CurrentRun>
    readonly make: (order: Started) => Effect.Effect<unknown, unknown, Journal>
    readonly status: string
    /** What an attached child that had started does then. */
    readonly undone: ReadonlyArray<string>
  }> = {
    "stops waiting": {
      parent: (child) => Effect.race(child, Effect.as(gone, "gone")),
      make: ({ id }) => go(id),
      status: "completed",
      undone: ["begin 1", "undo 1"]
    },
    "stops waiting and continues": {
      parent: (child) => Effect.zipLeft(Effect.race(child, Effect.as(gone, "gone")), Effect.sleep("1 day")),
      make: ({ id }) => go(id),
      status: "suspended",
      undone: ["begin 1", "undo 1"]
    },
    "leaves it to a daemon": {
      parent: (child) => Effect.zipRight(Effect.forkDaemon(child), Effect.as(gone, "gone")),
      make: ({ id }) => go(id),
      status: "completed",
      undone: ["begin 1", "undo 1"]
    },
    "has no more time": {
      parent: (child) => Effect.orDie(Effect.timeout(child, "1 minute")),
      make: () => TestClock.adjust("1 minute"),
      status: "failed",
      undone: ["begin 1", "undo 1"]
    },
    "fails beside it": {
      parent: (child) => Effect.zipLeft(child, Effect.zipRight(gone, new Broken({ parcel: 0 })), { concurrent: true }),
      make: ({ id }) => go(id),
      status: "failed",
      undone: ["begin 1", "undo 1"]
    },
    "is cancelled": {
      parent: (child) => child,
      make: ({ cancel }) => cancel(),
      status: "cancelled",
      undone: ["begin 1", "undo 1"]
    },
    "is terminated": {
      parent: (child) => child,
      make: ({ terminate }) => terminate(),
      status: "terminated",
      undone: ["begin 1"]
    },
    "ends at once beside its daemon": {
      parent: (child) => Effect.forkDaemon(child).pipe(Effect.zipRight(Effect.yieldNow()), Effect.as("at once")),
      make: () => Effect.void,
      status: "completed",
      undone: []
    },
    "never waits for it": {
      parent: (child) => Effect.raceFirst(child, Effect.succeed("at once")),
      make: () => Effect.void,
      status: "completed",
      undone: []
    }
  }
  const cases = Object.entries(ends).flatMap(([how, end]) =>
    (["attached", "detached"] as const).map((given) => ({ how, given, ...end }))
  )

  it.scoped.each(cases)(
    "$given, when its parent $how",
    ({ given, make, parent, status, undone }) =>
      Effect.gen(function*() {
        const world = yield* makeWorld()
        const { events, live } = makeShip()
        yield* world.launch(Layer.mergeAll(
          live,
          Order.toLayer(() => parent(Ship.execute({ parcel: 1 }, { detached: given === "detached" })))
        ))
        const order = yield* world.use(Order.start({}))
        yield* TestClock.adjust("1 minute")
        yield* world.use(make(order))
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* order.record).status, status)
        assert.deepStrictEqual(events, given === "detached" ? ["begin 1"] : undone)
        yield* TestClock.adjust("2 hours")
        assert.deepStrictEqual(events, given === "detached" ? ["begin 1", "shipped 1"] : undone)
        const { value: children } = yield* world.driver.get([0, 1].map((op) => childId(order.id, 0, op, "Ship")))
        assert.strictEqual(children.length, given === "detached" || undone.length > 0 ? 1 : 0)
      })
  )

  it.scoped("detached returns its result to a parent that waits", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Layer.mergeAll(
        makeShip().live,
        Order.toLayer(() =>
          Effect.all([
            Ship.execute({ parcel: 1 }, { detached: true }),
            Ship.execute({ parcel: 101 }, { detached: true }).pipe(
              Effect.catchTag("Broken", ({ parcel }) => Effect.succeed(`broken ${parcel}`))
            )
          ], { concurrency: 2 })
        )
      ))
      const order = yield* world.use(Order.start({}))
      assert.deepStrictEqual(yield* within("2 hours")(order.result), ["label 1", "broken 101"])
    }))
})

describe("limits of children", () => {
  it.scoped("a cycle of workflows fails with ChildDepthExceeded at the allowed depth", () =>
    Effect.gen(function*() {
      const Ping = Workflow.make("Ping", { payload: {}, success: Schema.Number })
      const Pong = Workflow.make("Pong", { payload: {}, success: Schema.Number })
      const errors: Array<ChildDepthExceeded> = []
      const descend = (other: typeof Ping) =>
        Effect.flatMap(CurrentRun, ({ depth }) =>
          other.execute({}).pipe(
            Effect.catchTag("ChildDepthExceeded", (error) =>
              Effect.sync(() => {
                errors.push(error)
                return depth
              }))
          ))
      const world = yield* makeWorld()
      yield* world.launch(Layer.mergeAll(Ping.toLayer(() => descend(Pong)), Pong.toLayer(() => descend(Ping))))
      assert.strictEqual(yield* soon(world.use(Ping.execute({}))), 10)
      assert.strictEqual(errors.length, 1)
      assert.deepInclude(errors[0], { workflow: "Pong", depth: 11, limit: 10 })
      assert.include(errors[0]?.message, "look for workflows that start each other")
    }))

  it.scoped("one child too many fails with ChildLimitExceeded; continueAsNew resets the count", () =>
    Effect.gen(function*() {
      const Leaf = Workflow.make("Leaf", { payload: {} })
      const Fan = Workflow.make("Fan", { payload: { round: Schema.Number }, success: Schema.String })
      const world = yield* makeWorld()
      yield* world.launch(
        Layer.mergeAll(
          Leaf.toLayer(() => Effect.void),
          Fan.toLayer(({ round }) =>
            Effect.gen(function*() {
              yield* Effect.forEach([1, 2, 3], () => Leaf.execute({}), { concurrency: "unbounded" })
              if (round === 0) return yield* Fan.continueAsNew({ round: 1 })
              return yield* Leaf.start({}).pipe(
                Effect.as("started"),
                Effect.catchTag("ChildLimitExceeded", (error) => Effect.succeed(error.message))
              )
            })
          )
        ).pipe(Layer.provide(Limits.layer({ children: 3 })))
      )
      const message = yield* soon(world.use(Fan.execute({ round: 0 })))
      assert.include(message, "has started 3 children and cannot start child Leaf")
      assert.isTrue(new ChildLimitExceeded({ workflow: "w", parent: "p", limit: 1 }).message.includes("continueAsNew"))
    }))

  it.scoped("waiting inside a run for a run that is not its child dies with Misuse and names the cure", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Order.toLayer(() => Effect.flatMap(Ship.attach("stranger"), (run) => run.result)))
      const error = yield* soon(Effect.flip(world.use(Order.execute({}))))
      assert.include(error.message, "stranger is not a child")
      assert.include(error.message, "wait for it inside a Step, or start it here")
    }))
})
