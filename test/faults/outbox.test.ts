/**
 * Operations on runs in the caller's transaction commit or roll back with it, and wake workers only after COMMIT. The
 * test kills a process that makes a purchase right before and right after COMMIT.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as PgliteJournal from "@perdure/pglite/PgliteJournal"
import * as PgJournal from "@perdure/postgres/PgJournal"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type { Journal } from "perdure/Journal"
import type { RunStatus } from "perdure/JournalDriver"
import type { Run } from "perdure/Run"
import * as Worker from "perdure/Worker"
import { spawn } from "node:child_process"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import * as Pg from "pg"
import { buildScript } from "../fixtures/script.js"
import { live, purchase, Sleeps, table, Waits } from "./fixtures/outbox.js"
import { connect, type Database } from "./harness.js"

const moments = ["before", "after"] as const

const file = fileURLToPath(new URL("./fixtures/outbox-buyer.ts", import.meta.url))
const root = fileURLToPath(new URL("../..", import.meta.url))

interface Runs {
  readonly waits: string
  readonly sleeps: string
}

/** Starts a process that makes a purchase. */
const buyer = (storage: string, { sleeps, waits }: Runs) =>
  Effect.gen(function*() {
    const [ended, inside, committed] = yield* Effect.all([
      Deferred.make<void>(),
      Deferred.make<void>(),
      Deferred.make<void>()
    ])
    const script = yield* Effect.promise(() => buildScript(file))
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const made = spawn(process.execPath, [script, storage, waits, sleeps], {
          cwd: root,
          stdio: ["pipe", "pipe", "inherit"]
        })
        made.once("exit", () => Deferred.unsafeDone(ended, Effect.void))
        createInterface({ input: made.stdout }).on("line", (line) => {
          Deferred.unsafeDone(line === "inside" ? inside : committed, Effect.void)
        })
        return made
      }),
      (made) => Effect.zipRight(Effect.sync(() => made.kill("SIGKILL")), Deferred.await(ended))
    )
    const died = Effect.zipRight(Deferred.await(ended), Effect.dieMessage("the buyer has ended"))
    return {
      inside: Effect.raceFirst(Deferred.await(inside), died),
      commit: Effect.zipRight(
        Effect.sync(() => child.stdin.write("commit\n")),
        Effect.raceFirst(Deferred.await(committed), died)
      ),
      kill: Effect.zipRight(Effect.sync(() => child.kill("SIGKILL")), Deferred.await(ended))
    }
  })

const becomes = <A, E>(run: Run<A, E>, status: RunStatus) =>
  run.record.pipe(
    Effect.repeat({ schedule: Schedule.spaced("10 millis"), while: (record) => record.status !== status }),
    Effect.timeoutFail({ duration: "45 seconds", onTimeout: () => new Error(`${run.workflow} never is ${status}`) })
  )

/** Starts the runs that the purchase affects, and waits until they are suspended. */
const begin = Effect.gen(function*() {
  const waits = yield* Waits.start({})
  const sleeps = yield* Sleeps.start({})
  yield* becomes(waits, "suspended")
  yield* becomes(sleeps, "suspended")
  return { waits, sleeps }
})

const over = (journal: Layer.Layer<Journal | SqlClient.SqlClient, unknown>) =>
  Layer.build(Layer.provideMerge(
    Layer.merge(
      live,
      Worker.layer({ queues: ["outbox"], pollInterval: "50 millis", lingerDuration: 0, leaseDuration: "5 seconds" })
    ),
    journal
  ))

type Rows = (text: string) => Effect.Effect<ReadonlyArray<Readonly<Record<string, unknown>>>, unknown>

/** The numbers of rows that the purchase writes. */
const left = (rows: Rows) =>
  Effect.map(
    rows(`select (select count(*)::int from orders) as orders,
      (select count(*)::int from perdure.runs where workflow in ('Ship', 'Sync')) as runs,
      (select count(*)::int from perdure.inputs where workflow in ('Ship', 'Sync')) as inputs,
      (select count(*)::int from perdure.singletons) as singletons,
      (select count(*)::int from perdure.inbox) as messages`),
    ([row]) => row
  )

const nothing = { orders: 0, runs: 0, inputs: 0, singletons: 0, messages: 0 }
const all = { orders: 1, runs: 2, inputs: 2, singletons: 1, messages: 3 }

/** Asserts that the purchase is shipped once and that the waiting runs end. */
const done = (rows: Rows, runs: Effect.Effect.Success<typeof begin>) =>
  Effect.gen(function*() {
    assert.strictEqual(yield* runs.waits.result, "ann 7")
    yield* becomes(runs.sleeps, "cancelled")
    const shipped = rows(
      "select workflow, status, exit_value, epoch from perdure.runs where workflow in ('Ship', 'Sync')" +
        " order by 1"
    )
    const found = yield* Effect.repeat(shipped, {
      schedule: Schedule.zipLeft(
        Schedule.identity<Effect.Effect.Success<typeof shipped>>(),
        Schedule.spaced("10 millis")
      ),
      until: (each) => each.every(({ status }) => status === "completed")
    })
    assert.deepStrictEqual(found, [
      { workflow: "Ship", status: "completed", exit_value: "\"shipped o-1\"", epoch: 1 },
      { workflow: "Sync", status: "completed", exit_value: null, epoch: 1 }
    ])
  })

/** Records the notifications on the journal's channel, except the echoes of listeners. */
const listen = (url: string) =>
  Effect.gen(function*() {
    const heard: Array<string> = []
    const echoes = new Map<string, Deferred.Deferred<void>>()
    const client = yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const made = new Pg.Client({ connectionString: url })
        await made.connect()
        await made.query("LISTEN perdure")
        return made
      }),
      (made) => Effect.promise(() => made.end())
    )
    client.on("notification", ({ payload = "" }) => {
      const echo = echoes.get(payload)
      if (echo !== undefined) Deferred.unsafeDone(echo, Effect.void)
      else if (!payload.startsWith("[\"Echo\"")) heard.push(payload)
    })
    let count = 0
    return {
      /** The notifications so far. */
      heard: (database: Database) =>
        Effect.gen(function*() {
          const echo = yield* Deferred.make<void>()
          const payload = `["Echo", "${++count}"]`
          echoes.set(payload, echo)
          yield* database.rows("select pg_notify('perdure', $1)", [payload])
          yield* Deferred.await(echo)
          return heard.splice(0)
        })
    }
  })

const gone = `select 1 where not exists (select from pg_stat_activity where application_name = 'buyer'
  and datname = current_database())`

for (const server of TestDatabase.servers) {
  describe(`a purchase on ${server.name}`, () => {
    for (const moment of moments) {
      it.scopedLive(
        `is ${moment === "before" ? "undone" : "kept"} when its process is killed right ${moment} COMMIT`,
        () =>
          Effect.gen(function*() {
            const { url } = yield* TestDatabase.freshOn(server)
            const database = yield* connect(url)
            yield* database.rows(table)
            const context = yield* over(PgJournal.layer({ url: Redacted.make(url) }))
            const runs = yield* Effect.provide(begin, context)
            const listener = yield* listen(url)
            // An idle worker exists that a notification would wake.
            yield* database.until("select 1 from perdure.workers where idle and 'outbox' = any (queues)")
            const child = yield* buyer(url, { waits: runs.waits.id, sleeps: runs.sleeps.id })
            yield* child.inside
            assert.deepStrictEqual(yield* left(database.rows), nothing)
            assert.deepStrictEqual(yield* listener.heard(database), [], "no worker is woken inside the transaction")
            if (moment === "after") yield* child.commit
            yield* child.kill
            yield* database.until(gone)
            const heard = yield* listener.heard(database)
            if (moment === "before") {
              assert.deepStrictEqual(heard, [])
              assert.deepStrictEqual(yield* left(database.rows), nothing)
              const statuses = yield* Effect.all([runs.waits.record, runs.sleeps.record])
              assert.deepStrictEqual(statuses.map(({ status }) => status), ["suspended", "suspended"])
              // Another process can repeat the purchase.
              yield* Effect.provide(purchase({ waits: runs.waits.id, sleeps: runs.sleeps.id }, Effect.void), context)
            } else {
              assert.isTrue(heard.some((payload) => payload.startsWith("[\"Ready\"") && payload.includes("\"outbox\"")))
            }
            yield* done(database.rows, runs)
            assert.deepStrictEqual(yield* left(database.rows), all)
          }),
        120_000
      )
    }
  })
}

describe("a purchase on PGlite", () => {
  for (const moment of moments) {
    it.scopedLive(
      `is ${moment === "before" ? "undone" : "kept"} when its process is killed right ${moment} COMMIT`,
      () =>
        Effect.gen(function*() {
          const folder = yield* Effect.acquireRelease(
            Effect.promise(() => fs.mkdtemp(path.join(tmpdir(), "perdure-outbox-"))),
            (made) => Effect.promise(() => fs.rm(made, { recursive: true }))
          )
          const use = <A, E>(
            effect: (rows: Rows) => Effect.Effect<A, E, Journal | SqlClient.SqlClient>
          ) =>
            Effect.scoped(Effect.gen(function*() {
              const context = yield* over(PgliteJournal.layer({ dataDir: folder }))
              const sql = Context.get(context, SqlClient.SqlClient)
              return yield* Effect.provide(effect((text) => sql.unsafe(text)), context)
            }))
          const ids = yield* use((rows) =>
            Effect.gen(function*() {
              yield* rows(table)
              const { sleeps, waits } = yield* begin
              return { sleeps: sleeps.id, waits: waits.id }
            })
          )
          const child = yield* buyer(folder, ids)
          yield* child.inside
          if (moment === "after") yield* child.commit
          yield* child.kill
          yield* use((rows) =>
            Effect.gen(function*() {
              const runs = { sleeps: yield* Sleeps.attach(ids.sleeps), waits: yield* Waits.attach(ids.waits) }
              if (moment === "before") {
                assert.deepStrictEqual(yield* left(rows), nothing)
                yield* purchase(ids, Effect.void)
              }
              yield* done(rows, runs)
              assert.deepStrictEqual(yield* left(rows), all)
            })
          )
        }),
      120_000
    )
  }
})
