/** What a transaction pooler takes from a connection, without the pooler: prepared statements and settings. */
import { assert, describe, it } from "@effect/vitest"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import { createServer, type Server } from "node:net"
import * as Pg from "pg"
import { Fleet } from "../src/internal/Fleet.js"
import { journalClient } from "../src/internal/JournalClient.js"
import { server } from "./support/driver.js"

/** A pool of one connection, and the warnings of its fleet. */
const poolOn = (config: Pg.ClientConfig) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const warnings: Array<string> = []
      const fleet = new Fleet(true, (message) => warnings.push(message))
      const settings = "-c default_transaction_isolation=serializable"
      const pool = new Pg.Pool({
        max: 1,
        Client: journalClient({
          fleet,
          config: () => fleet.sendsSettings ? { ...config, options: settings } : config,
          statementMillis: 10_000
        })
      })
      pool.on("error", () => {})
      fleet.follow(pool)
      const query = (text: string, values: ReadonlyArray<unknown>) =>
        Effect.async<ReadonlyArray<unknown>, Error>((resume) => {
          pool.query<Record<string, unknown>>(text, [...values], (error: Error | null, result) =>
            resume(error === null || error === undefined ? Effect.succeed(result.rows) : Effect.fail(error)))
        })
      return { pool, fleet, warnings, query }
    }),
    ({ pool }) =>
      Effect.promise(() =>
        pool.end()
      )
  )

const statement = "/* perdure:add:1 */ SELECT $1::int + 1 AS sum"

const prepared = "SELECT count(*)::int AS n FROM pg_prepared_statements WHERE name = 'perdure:add:1' AND $1"

describe("a connection of the journal", () => {
  it.scopedLive("that lost its prepared statements executes them unprepared, and says so once", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const { fleet, query, warnings } = yield* poolOn({ connectionString: url })
      assert.deepStrictEqual(yield* query(statement, [1]), [{ sum: 2 }])
      assert.deepStrictEqual(yield* query(prepared, [true]), [{ n: 1 }])
      yield* query("DEALLOCATE ALL", [])
      for (const n of [2, 3]) assert.deepStrictEqual(yield* query(statement, [n]), [{ sum: n + 1 }])
      assert.deepStrictEqual(yield* query(prepared, [true]), [{ n: 0 }])
      assert.isFalse(fleet.prepares)
      assert.lengthOf(warnings, 1)
    }))

  it.scopedLive("whose prepared statement reads a table that changed executes it, and is replaced", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const { fleet, query, warnings } = yield* poolOn({ connectionString: url })
      yield* query("CREATE TABLE wide (a int)", [])
      const all = "/* perdure:all:1 */ SELECT * FROM wide WHERE $1"
      const pid = "SELECT pg_backend_pid() AS pid WHERE $1"
      yield* query(all, [true])
      const before = yield* query(pid, [true])
      yield* query("ALTER TABLE wide ADD COLUMN b int", [])
      assert.deepStrictEqual(yield* query(all, [true]), [])
      assert.notDeepEqual(yield* query(pid, [true]), before)
      assert.isTrue(fleet.prepares)
      assert.deepStrictEqual(warnings, [])
    }))

  it.scopedLive("in a transaction that lost its prepared statements reports that, not that it is aborted", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const { query } = yield* poolOn({ connectionString: url })
      yield* query(statement, [1])
      yield* query("BEGIN", [])
      yield* query("DEALLOCATE ALL", [])
      const error = yield* Effect.flip(query(statement, [1]))
      assert.strictEqual(Reflect.get(error, "code"), "26000")
      yield* query("ROLLBACK", [])
    }))

  it.scopedLive("that is refused because of its settings leads to connections without them", () =>
    Effect.gen(function*() {
      const refusing = yield* Effect.acquireRelease(
        Effect.async<Server>((resume) => {
          const made = createServer((socket) => {
            socket.on("error", () => {})
            socket.once("data", () => {
              const fields = "SFATAL\u0000C08P01\u0000Munsupported startup parameter: options\u0000\u0000"
              const head = Buffer.alloc(5)
              head.write("E")
              head.writeInt32BE(4 + fields.length, 1)
              socket.end(Buffer.concat([head, Buffer.from(fields)]))
            })
          })
          made.listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
        }),
        (made) => Effect.sync(() => made.close())
      )
      const address = refusing.address()
      const port = address !== null && typeof address === "object" ? address.port : 0
      const { fleet, query, warnings } = yield* poolOn({ host: "127.0.0.1", port, user: "ann" })
      yield* Effect.flip(query(statement, [1]))
      assert.isFalse(fleet.sendsSettings)
      assert.lengthOf(warnings, 1)
    }))
})
