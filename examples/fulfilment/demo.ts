/** `npm run demo`: fulfils the orders of `orders.csv` while its worker processes are killed; see README.md. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as SqlClient from "@effect/sql/SqlClient"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import * as Approvals from "./approvals.js"
import { audit } from "./audit.js"
import * as Display from "./display.js"
import * as Inventory from "./inventory.js"
import * as Options from "./options.js"
import { stock } from "./orders.js"
import { Progress } from "./stages.js"
import * as Storage from "./storage.js"
import { announcement, isCorrect, type Plan, type Result, summary } from "./summary.js"
import * as Supervisor from "./supervisor.js"

/** Creates the tables of the shop; opening the journal creates its own. */
const prepare = (settings: Storage.Settings) =>
  Effect.gen(function*() {
    yield* Inventory.prepare(settings.schema, yield* stock(settings.orders))
    yield* Approvals.prepare(settings.schema)
  }).pipe(Effect.provide(Storage.layer(settings)))

/** On Postgres, drops the schemas of the demo; an embedded database goes with the folder. */
const dropSchemas = (settings: Storage.Settings) =>
  Option.isNone(settings.databaseUrl) ? Effect.void : Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => sql`DROP SCHEMA IF EXISTS ${sql(settings.schema)}, ${sql(settings.journalSchema)} CASCADE`
  ).pipe(Effect.provide(Storage.layer(settings)))

/** Works until every order has its outcome; returns the number of kills. */
const supervise = (settings: Storage.Settings, plan: Plan) =>
  Effect.scoped(Effect.gen(function*() {
    const progress = new Progress(plan.orders)
    const supervisor = yield* Supervisor.make({
      settings,
      workers: plan.workers,
      kills: plan.kills,
      progress,
      onKill: (kill, pid) =>
        Display.note(`SIGKILL ${kill} of ${plan.kills}: worker process ${pid} is dead, another takes over`)
    })
    // The tables are created while the worker processes load their program.
    yield* Effect.raceFirst(Effect.zipRight(prepare(settings), supervisor.run), Display.run(progress))
    yield* Display.note("every order is done; the audit begins")
    return supervisor.kills()
  }))

const demo = (options: Options.Options, folder: string) =>
  Effect.gen(function*() {
    const database = Option.isSome(options["database-url"]) ? "postgres" : "pglite"
    const plan: Plan = {
      database,
      orders: options.orders,
      workers: database === "postgres" ? 2 : 1,
      kills: options.kills
    }
    const settings = new Storage.Settings({
      folder,
      databaseUrl: options["database-url"],
      schema: `fulfilment_${randomBytes(4).toString("hex")}`,
      orders: options.orders
    })
    yield* Display.text(announcement(plan, folder))
    const kills = yield* Effect.onInterrupt(supervise(settings, plan), () => Effect.ignoreLogged(dropSchemas(settings)))
    const audited = yield* Effect.provide(audit(settings), Storage.layer(settings))
    if (isCorrect(audited)) yield* dropSchemas(settings)
    const result: Result = { ...plan, kills, ...audited, seconds: Math.round(performance.now() / 100) / 10 }
    return result
  })

/** The files are kept if they show what went wrong. */
const isKept = Exit.match({
  onSuccess: (result: Result) => !isCorrect(result),
  onFailure: (cause: Cause.Cause<unknown>) =>
    Chunk.some(Cause.failures(cause), (error) => error instanceof Supervisor.WorkerFailed)
})

const main = Effect.gen(function*() {
  const options = yield* Options.parse(process.argv.slice(2))
  if (options.help) return process.stdout.write(Options.help)
  yield* Effect.acquireUseRelease(
    Effect.promise(() => fs.mkdtemp(path.join(tmpdir(), "perdure-fulfilment-"))),
    (folder) =>
      Effect.tap(demo(options, folder), (result) => {
        process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : summary(result, folder))
        if (!isCorrect(result)) process.exitCode = 1
      }),
    (folder, exit) => isKept(exit) ? Effect.void : Effect.promise(() => fs.rm(folder, { recursive: true }))
  )
})

main.pipe(
  Effect.catchAll((error) =>
    Effect.sync(() => {
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
      process.exitCode = 2
    })
  ),
  Effect.provide(NodeContext.layer),
  NodeRuntime.runMain
)
