/**
 * Tenants who share a queue: `npx tsx examples/queues/main.ts`.
 *
 * A large tenant starts forty reports, then a small one starts two. Three run at a time, one of each tenant; tenants
 * alternate, so that the small one does not wait for the large one. Then an operator gives the queue more room, while
 * it works.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as PgliteJournal from "@perdure/pglite/PgliteJournal"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import * as RunQueue from "perdure/RunQueue"
import * as Step from "perdure/Step"
import * as Worker from "perdure/Worker"
import * as Workflow from "perdure/Workflow"

const Reports = RunQueue.make("reports", { concurrency: 3, keyConcurrency: 1 })

const Report = Workflow.make("Report", {
  payload: { tenant: Schema.String, page: Schema.Number },
  queue: Reports,
  key: ({ tenant }) => tenant
})

/** The reports in the order in which they were made. */
const made: Array<string> = []

const ReportLive = Report.toLayer(({ page, tenant }) =>
  Step.run("print", Effect.delay(Effect.sync(() => void made.push(`${tenant} ${page}`)), "20 millis"))
)

const start = (tenant: string, pages: number) =>
  Report.startAll(Array.from({ length: pages }, (_, page) => ({ tenant, page })))

const operate = Effect.gen(function*() {
  const large = yield* start("large", 40)
  const small = yield* start("small", 2)
  yield* Effect.forEach(small, (run) => run.result, { concurrency: "unbounded" })
  const before = made.filter((report) => report.startsWith("large")).length
  yield* Console.log(`the small tenant waited for ${before < 20 ? "few" : "many"} reports of the large one`)

  const { keyConcurrency } = yield* RunQueue.change("reports", { keyConcurrency: "unlimited" })
  yield* Console.log(`now ${keyConcurrency ?? "as many as there is room for"} of one tenant`)
  yield* Effect.forEach(large, (run) => run.result, { concurrency: "unbounded" })

  yield* RunQueue.pause("reports")
  yield* start("large", 1)
  const { ready, running } = yield* RunQueue.counts("reports")
  yield* Console.log(`${made.length} made, ${ready} waiting, ${running} running`)
})

const Main = Layer.merge(ReportLive, Worker.layer({ queues: [Reports] })).pipe(
  Layer.provideMerge(PgliteJournal.layer())
)

/** Standard output is for results. */
const logger = Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.stringLogger))

operate.pipe(
  Effect.provide(Main),
  Effect.scoped,
  Effect.provide(logger),
  NodeRuntime.runMain({ disablePrettyLogger: true })
)
