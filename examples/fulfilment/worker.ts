/**
 * A worker process. It loads the program and waits for a line on standard input, so that it can stand by. Then it opens
 * the database, starts a run for every order (an order that has a run keeps it), executes runs, and ends when every
 * order has an outcome. It may be killed at any moment; the next process does the same.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Worker from "perdure/Worker"
import * as Approvals from "./approvals.js"
import { Inventory } from "./inventory.js"
import { type Order, orders } from "./orders.js"
import { Payments } from "./payments.js"
import { Events } from "./events.js"
import * as Storage from "./storage.js"
import { Fulfil, WorkflowsLive } from "./workflows.js"
import { World } from "./world.js"

/** The share of requests, and of responses, that are lost. */
const LOSS = 0.05

const services = ({ folder, schema }: Storage.Settings) =>
  Layer.mergeAll(Inventory.layer(schema), Approvals.Approvals.layer(schema), Payments.layer).pipe(
    Layer.provideMerge(World.layer({ loss: LOSS })),
    Layer.provideMerge(Events.layer(folder))
  )

const live = (settings: Storage.Settings) =>
  Layer.mergeAll(
    WorkflowsLive,
    Approvals.clerk(settings.schema, { name: "ann", interval: "100 millis" }),
    // On Postgres, the runs of a killed process are free when its lease ends, so the lease is short. A process that
    // opens a PGlite folder is the only one that is alive: it takes over at once.
    Worker.layer({
      concurrency: 100,
      leaseDuration: Option.isSome(settings.databaseUrl) ? "5 seconds" : "15 seconds",
      drainTimeout: "2 seconds"
    })
  ).pipe(
    Layer.provideMerge(services(settings)),
    Layer.provideMerge(Storage.layer(settings))
  )

const work = (all: ReadonlyArray<Order>) =>
  Effect.gen(function*() {
    const { append } = yield* Events
    const runs = yield* Fulfil.startAll(all)
    yield* Effect.forEach(
      all,
      ({ orderId }, index) =>
        Effect.zipRight(Effect.exit(runs[index]?.result ?? Effect.void), append({ _tag: "End", orderId })),
      { concurrency: "unbounded", discard: true }
    )
  })

/** Succeeds at the first data on standard input. */
const go = Effect.async<void>((resume) => {
  process.stdin.once("data", () => resume(Effect.void))
})

/** Succeeds when the supervisor has died. */
const abandoned = Effect.async<void>((resume) => {
  process.stdin.once("close", () => resume(Effect.logWarning("the supervisor has died")))
  return Effect.sync(() => process.stdin.destroy())
})

Effect.gen(function*() {
  const settings = yield* Storage.fromEnvironment
  const all = yield* orders(settings.orders)
  yield* go
  yield* Effect.provide(work(all), live(settings))
}).pipe(
  Effect.raceFirst(abandoned),
  Effect.provide(Logger.logFmt),
  NodeRuntime.runMain({ disablePrettyLogger: true })
)
