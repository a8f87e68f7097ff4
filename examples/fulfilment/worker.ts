/**
 * A worker process: it starts a run for every order (those that have one keep it), works on all runs that it gets hold
 * of, and ends when every order has an outcome. It may be killed at any moment; the next one does the same.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Worker from "perdure/Worker"
import * as Approvals from "./approvals.js"
import { Inventory } from "./inventory.js"
import { orders } from "./orders.js"
import { Payments } from "./payments.js"
import { ProgressLine } from "./protocol.js"
import * as Storage from "./storage.js"
import { Fulfil, WorkflowsLive } from "./workflows.js"
import { World } from "./world.js"

/** Of requests, and of answers, that get lost. */
const LOSS = 0.05

const services = ({ folder, schema }: Storage.Settings) =>
  Layer.mergeAll(Inventory.layer(schema), Approvals.Approvals.layer(schema), Payments.layer).pipe(
    Layer.provideMerge(World.layer({ folder, loss: LOSS }))
  )

const live = (settings: Storage.Settings) =>
  Layer.mergeAll(
    WorkflowsLive,
    Approvals.clerk(settings.schema, { name: "ann", every: "100 millis" }),
    // On Postgres a short lease: what a killed process held is free after it. Who opens a PGlite folder knows that all others
    // are dead, and waits for nothing.
    Worker.layer({
      concurrency: 100,
      leaseDuration: Option.isSome(settings.databaseUrl) ? "5 seconds" : "15 seconds",
      drainTimeout: "2 seconds"
    })
  ).pipe(
    Layer.provideMerge(services(settings)),
    Layer.provideMerge(Storage.layer(settings))
  )

const work = (settings: Storage.Settings) =>
  Effect.gen(function*() {
    const world = yield* World
    let ended = 0
    const report = Effect.suspend(() =>
      Effect.flatMap(Schema.encode(ProgressLine)({ executions: world.executions(), ended }), Console.log)
    )
    yield* Effect.forkScoped(Effect.repeat(report, Schedule.spaced("50 millis")))

    const runs = yield* Fulfil.startAll(yield* orders(settings.orders))
    yield* Effect.forEach(
      runs,
      (run) =>
        Effect.map(Effect.exit(run.result), () => {
          ended++
        }),
      { concurrency: "unbounded", discard: true }
    )
    yield* report
  })

/** Succeeds when the supervisor is gone. */
const abandoned = Effect.async<void>((resume) => {
  process.stdin.resume().once("close", () => resume(Effect.logWarning("the supervisor is gone")))
  return Effect.sync(() => process.stdin.destroy())
})

Storage.fromEnvironment.pipe(
  Effect.flatMap((settings) => Effect.scoped(Effect.provide(work(settings), live(settings)))),
  Effect.raceFirst(abandoned),
  // Standard output is for the supervisor.
  Effect.provide(Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.logfmtLogger))),
  NodeRuntime.runMain({ disablePrettyLogger: true })
)
