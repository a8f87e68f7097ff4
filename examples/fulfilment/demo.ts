/** `npm run demo`: fulfils the orders of `orders.csv` while its worker processes are killed; see README.md. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as SqlClient from "@effect/sql/SqlClient"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import * as Approvals from "./approvals.js"
import { type Audit, audit } from "./audit.js"
import * as Inventory from "./inventory.js"
import * as Options from "./options.js"
import { orders, stock } from "./orders.js"
import * as ProgressBar from "./progressBar.js"
import * as Storage from "./storage.js"
import * as Supervisor from "./supervisor.js"

/** What `--json` prints. */
export interface Result extends Audit {
  readonly database: "pglite" | "postgres"
  readonly orders: number
  readonly workers: number
  readonly kills: number
  readonly seconds: number
}

/** The shop's tables, and the journal's (by opening it). */
const prepare = (settings: Storage.Settings) =>
  Effect.gen(function*() {
    yield* Inventory.prepare(settings.schema, yield* stock(settings.orders))
    yield* Approvals.prepare(settings.schema)
  }).pipe(Effect.provide(Storage.layer(settings)))

/** Take away what the demo made: on Postgres its schemas, and its folder. */
const cleanUp = (settings: Storage.Settings) =>
  Effect.gen(function*() {
    if (Option.isSome(settings.databaseUrl)) {
      const sql = yield* SqlClient.SqlClient
      yield* sql`DROP SCHEMA ${sql(settings.schema)}, ${sql(settings.journalSchema)} CASCADE`
    }
    yield* Effect.promise(() => fs.rm(settings.folder, { recursive: true }))
  })

/** Bodies begun for an order, on the mean: its lines, its parcels twice, charge, sale and receipt, and some retries. */
const expectedExecutions = (settings: Storage.Settings) =>
  Effect.map(
    orders(settings.orders),
    (all) => all.reduce((sum, { lines, parcels }) => sum + 1.07 * lines.length + 2.2 * parcels + 3.2, 0)
  )

const demo = (options: Options.Options) =>
  Effect.gen(function*() {
    const started = yield* Clock.currentTimeMillis
    const database = Option.isSome(options["database-url"]) ? "postgres" : "pglite"
    const settings = new Storage.Settings({
      folder: yield* Effect.promise(() => fs.mkdtemp(path.join(tmpdir(), "perdure-fulfilment-"))),
      databaseUrl: options["database-url"],
      schema: `fulfilment_${randomBytes(4).toString("hex")}`,
      orders: options.orders
    })
    yield* prepare(settings)

    const workers = database === "postgres" ? 2 : 1
    const expected = yield* expectedExecutions(settings)
    const bar = yield* ProgressBar.make(() => ({
      fraction: Math.min(supervisor.ended() === options.orders ? 1 : 0.99, supervisor.executions() / expected),
      text: `${supervisor.ended()} of ${options.orders} orders`
    }))
    const supervisor = Supervisor.make({
      settings,
      workers,
      kills: options.kills,
      expectedExecutions: expected,
      onKill: (kill, pid) => bar.note(`SIGKILL ${kill} of ${options.kills}: process ${pid} is dead, another takes over`)
    })
    yield* Effect.raceFirst(supervisor.run, bar.run)
    yield* bar.end

    const audited = yield* audit(settings).pipe(
      Effect.tap(({ lost, problems }) => lost + problems.length === 0 ? cleanUp(settings) : Effect.void),
      Effect.provide(Storage.layer(settings))
    )
    const seconds = ((yield* Clock.currentTimeMillis) - started) / 1000
    const result: Result = {
      database,
      orders: options.orders,
      workers,
      kills: supervisor.kills(),
      ...audited,
      seconds: Math.round(seconds * 10) / 10
    }
    return { result, settings }
  })

const table = (rows: ReadonlyArray<readonly [string, string | number]>) => {
  const width = Math.max(...rows.map(([label]) => label.length))
  return rows.map(([label, value]) => `  ${label.padEnd(width)}  ${String(value).padStart(7)}\n`).join("")
}

const print = (result: Result, kept: string) => {
  const trouble = [...result.problems.slice(0, 20), ...(result.problems.length > 20 ? ["…"] : [])]
  return `
${
    table([
      [
        `orders (on ${result.database}, ${result.workers} worker process${result.workers > 1 ? "es" : ""})`,
        result.orders
      ],
      ...Object.entries(result.outcomes).sort(([, a], [, b]) => b - a).map(([name, n]) => [`  ${name}`, n] as const),
      ["kills survived", result.kills],
      ["step executions", result.executions],
      ["  of steps executed before (1)", result.repeated],
      ["  requests that a service knew by key (2)", result.requestedAgain],
      ["checks that failed", result.problems.length],
      ["lost", result.lost],
      ["seconds", result.seconds]
    ])
  }
  (1) A step runs at least once: again, if its process is killed before its exit is durable, never after.
      Stock is changed by Step.transaction: whatever was executed twice took effect once.
  (2) Outside services know a repeated request (after a kill, or a lost answer) by its idempotency key.
${trouble.map((problem) => `\n  ${problem}`).join("")}
lost: ${result.lost}${kept}
`
}

const main = Effect.gen(function*() {
  const options = yield* Options.parse(process.argv.slice(2))
  if (options.help) return process.stdout.write(Options.help)
  const { result, settings } = yield* demo(options)
  const isFine = result.lost + result.problems.length === 0
  process.stdout.write(
    options.json ? `${JSON.stringify(result)}\n` : print(result, isFine ? "" : `, see ${settings.folder}`)
  )
  if (!isFine) process.exitCode = 1
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
