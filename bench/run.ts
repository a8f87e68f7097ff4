/** One database's figures, as one JSON object a line. Started by `main.ts`, in a process of its own. */
import * as Terminal from "@effect/platform/Terminal"
import { NodeRuntime, NodeTerminal } from "@effect/platform-node"
import * as PgJournal from "@perdure/postgres/PgJournal"
import * as PgliteJournal from "@perdure/pglite/PgliteJournal"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { Journal } from "perdure/Journal"
import * as Worker from "perdure/Worker"
import * as Ceilings from "./ceilings.js"
import type { Figure } from "./measure.js"
import { emit, Figures } from "./measure.js"
import { flatness, limitsOn } from "./queues.js"
import { retention } from "./retention.js"
import * as Schedules from "./schedules.js"
import * as Workloads from "./workloads.js"

const [, , database = "", url = "", part = "", runs = ""] = process.argv

const figures = Layer.effect(
  Figures,
  Effect.map(Terminal.Terminal, (terminal) => ({
    database,
    emit: (name, value, unit) => {
      const figure: Figure = { name, database, value: Number(value.toPrecision(4)), unit }
      return Effect.orDie(terminal.display(`${JSON.stringify(figure)}\n`))
    }
  }))
)

const worker = Layer.mergeAll(
  Workloads.handlers,
  Worker.layer({ concurrency: 1000, claimBatchSize: 1000 })
).pipe(Layer.provideMerge(Journal.layer({ pollInterval: "1 minute" })))

const onPostgres = Effect.gen(function*() {
  const ceiling = yield* Ceilings.postgres(url)
  const steps = yield* Effect.provide(
    Workloads.all(1),
    Layer.provideMerge(worker, PgJournal.layerDriver({ url: Redacted.make(url), schema: "perdure_bench" }))
  )
  yield* emit("10-step throughput over one INSERT a step", steps / ceiling, "×")
})

/** Deleting beside starting. */
const besideRetention = Effect.provide(
  retention(Workloads.OneStep, { schema: "perdure_bench", count: Number(runs), rate: 1000 }),
  Layer.provideMerge(worker, PgJournal.layerDriver({ url: Redacted.make(url), schema: "perdure_bench" }))
)

/** Claims and limits. */
const queues = Effect.gen(function*() {
  const storage = (schema: string) => PgJournal.layer({ url: Redacted.make(url), schema })
  yield* flatness(storage, Number(runs))
  yield* Effect.provide(limitsOn, storage("perdure_bench"))
})

/** A year of nights, ticks, and many that are due at once. */
const schedules = Effect.gen(function*() {
  // Fewer connections than a server has, so that others can connect.
  const storage = (schema: string, journals = 1) =>
    PgJournal.layer({ url: Redacted.make(url), schema, maxConnections: journals > 1 ? 4 : 16 })
  yield* Schedules.nights
  yield* Schedules.flatness(storage, Number(runs))
  yield* Schedules.atOnce(storage)
})

const onPglite = Effect.flatMap(
  Ceilings.embedded,
  (ceiling) =>
    Effect.flatMap(
      Effect.provide(Workloads.all(0.25), worker),
      (steps) => emit("10-step throughput over one INSERT a step", steps / ceiling, "×")
    )
).pipe(
  Effect.provide(PgliteJournal.layerDriver({ schema: "perdure_bench" }))
)

NodeRuntime.runMain(
  Effect.scoped(
    part === "retention"
      ? besideRetention
      : part === "queues"
      ? queues
      : part === "schedules"
      ? schedules
      : database === "pglite"
      ? onPglite
      : onPostgres
  ).pipe(
    Effect.provide(figures),
    Effect.provide(NodeTerminal.layer)
  )
)
