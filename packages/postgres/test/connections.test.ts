/** The connections of a journal: who can take them, how they are made, and when they are replaced. */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import { JournalError } from "perdure/Errors"
import { JournalDriver } from "perdure/JournalDriver"
import * as Pg from "pg"
import * as Connection from "../src/internal/connection.js"
import * as PgJournal from "../src/PgJournal.js"
import { ask, claim, commit, commitOf, driverOn, finish, newRun, server, session, worker } from "./support/driver.js"
import { tlsServer } from "./support/tlsServer.js"

/** A driver and the client of the application. */
const both = (options: PgJournal.PgJournalOptions) =>
  Effect.gen(function*() {
    const context = yield* Layer.build(PgJournal.layerDriver({ listen: false, ...options }))
    const driver = Context.get(context, JournalDriver)
    yield* driver.heartbeat({ worker, leaseMillis: 1e9, info: null })
    return { driver, sql: Context.get(context, SqlClient.SqlClient) }
  })

/** What a worker does all the time. */
const work = (driver: JournalDriver, id: string) =>
  Effect.gen(function*() {
    yield* driver.heartbeat({ worker, leaseMillis: 1e9, info: null })
    const [run] = yield* claim(driver, 1)
    assert.strictEqual(run?.id, id)
    assert.deepStrictEqual(yield* commit(driver, commitOf(id, { transition: finish })), ["Applied"])
  })

/** Waits until `count` statements wait for a lock. */
const waiting = (url: string, count: number, text: string) =>
  Effect.repeat(
    ask(
      url,
      `SELECT count(*)::int AS n FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE $1`,
      [`%${text}%`]
    ),
    { until: ([row]) => row?.["n"] === count }
  )

describe("the connections of a journal", () => {
  it.scopedLive("for heartbeats, claims, commits and calls are not taken by SQL of the application", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const { driver, sql } = yield* both({ url: Redacted.make(url), connectTimeout: "500 millis" })
      const gate = yield* session(url)
      yield* gate("SELECT pg_advisory_lock(7)")
      const slow = yield* Effect.fork(
        Effect.forEach(Array.from({ length: 30 }), () => sql`SELECT pg_advisory_lock_shared(7)`, {
          concurrency: "unbounded"
        })
      )
      yield* waiting(url, 6, "pg_advisory_lock_shared")
      yield* driver.enqueue({ runs: [newRun("a")], claim: null })
      yield* work(driver, "a")
      // Longer than the time limit of an attempt to connect: a statement waits for a connection, and does not fail.
      yield* Effect.repeat(
        ask(
          url,
          `SELECT FROM pg_stat_activity
          WHERE wait_event_type = 'Lock' AND query LIKE '%pg_advisory_lock_shared%'
            AND clock_timestamp() - query_start > interval '600 milliseconds'`
        ),
        { until: (rows) => rows.length === 6 }
      )
      yield* gate("SELECT pg_advisory_unlock(7)")
      assert.lengthOf(yield* Fiber.join(slow), 30)
    }))

  it.scopedLive("for heartbeats, claims and commits are not taken by calls that wait for a transaction of a user", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const { driver, sql } = yield* both({ url: Redacted.make(url) })
      const other = yield* driverOn(url, { migrate: false })
      const keyed = (id: string) => ({ runs: [newRun(id, { idempotencyKey: "key" })], claim: null })
      const inside = yield* Deferred.make<void>()
      const goOn = yield* Deferred.make<void>()
      const holder = yield* Effect.fork(sql.withTransaction(Effect.gen(function*() {
        yield* driver.enqueue(keyed("first"))
        yield* Deferred.succeed(inside, undefined)
        yield* Deferred.await(goOn)
      })))
      yield* Deferred.await(inside)
      yield* other.enqueue({ runs: [newRun("a")], claim: null })
      const calls = yield* Effect.fork(
        Effect.forEach(Array.from({ length: 20 }, (_, n) => `call-${n}`), (id) => driver.enqueue(keyed(id)), {
          concurrency: "unbounded"
        })
      )
      yield* waiting(url, 6, "perdure:enqueue")
      yield* work(driver, "a")
      yield* Deferred.succeed(goOn, undefined)
      yield* Fiber.join(holder)
      const found = yield* Fiber.join(calls)
      assert.deepStrictEqual(
        new Set(found.flatMap(({ value }) => value.map(({ id }) => id))),
        new Set(["first"])
      )
    }))

  it.scopedLive("leave the isolation level of the application as the database has it", () =>
    Effect.gen(function*() {
      const { name, url } = yield* TestDatabase.freshOn(server)
      yield* ask(server.url, `ALTER DATABASE ${name} SET default_transaction_isolation = 'serializable'`)
      const { sql } = yield* both({ url: Redacted.make(url) })
      const level = sql<{ level: string }>`SELECT current_setting('transaction_isolation') AS level`
      assert.deepStrictEqual(yield* sql.withTransaction(level), [{ level: "serializable" }])
    }))

  it.scopedLive("are replaced when their lifetime is over", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const { sql } = yield* both({ url: Redacted.make(url), maxConnectionLifetime: "1 second" })
      const pid = Effect.map(sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`, ([row]) => row?.pid)
      const first = yield* pid
      yield* Effect.repeat(pid, { until: (next) => next !== first })
    }))

  it("are tested by the operating system after half a minute of silence", () => {
    const { keepAlive, keepAliveInitialDelayMillis } = Connection.make({ host: "db" }, 5_000)(null)
    assert.deepStrictEqual([keepAlive, keepAliveInitialDelayMillis], [true, 30_000])
  })
})

/** What `pg` reads from the settings of a connection. */
const readBack = (options: Connection.ConnectionOptions, settings: string | null = null) => {
  const client = new Pg.Client(Connection.make(options, 5_000)(settings))
  const parameters: unknown = Reflect.get(client, "connectionParameters")
  const ssl: unknown = client.ssl
  const field = (name: string): unknown =>
    typeof parameters === "object" && parameters !== null ? Reflect.get(parameters, name) : undefined
  return {
    host: client.host,
    port: client.port,
    database: client.database,
    user: client.user,
    password: client.password,
    ssl,
    name: field("application_name"),
    options: field("options")
  }
}

describe("the settings of a connection", () => {
  const text = "postgres://ann:one@db:6000/app?sslmode=require&application_name=mine&options=-c%20lock_timeout%3D100"
  const url = Redacted.make(text)

  it("are those of the URL", () => {
    const { ssl, ...others } = readBack({ url })
    assert.deepStrictEqual(others, {
      host: "db",
      port: 6000,
      database: "app",
      user: "ann",
      password: "one",
      name: "mine",
      options: "-c lock_timeout=100"
    })
    assert.isObject(ssl)
  })

  it("are those of the options where the URL says something else", () => {
    const options = {
      url,
      host: "other",
      port: 7000,
      database: "a b/c",
      user: "bob@home",
      password: Redacted.make("p@ss:/?#%zz w+rd"),
      ssl: { rejectUnauthorized: false, ca: "my authority" },
      applicationName: "theirs"
    }
    assert.deepStrictEqual(readBack(options), {
      host: "other",
      port: 7000,
      database: "a b/c",
      user: "bob@home",
      password: "p@ss:/?#%zz w+rd",
      ssl: { rejectUnauthorized: false, ca: "my authority" },
      name: "theirs",
      options: "-c lock_timeout=100"
    })
    assert.isFalse(readBack({ url, ssl: false }).ssl)
  })

  it("keep settings of the server from the URL beside those of the journal", () => {
    assert.strictEqual(readBack({ url }, "-c a=b\\ c").options, "-c lock_timeout=100 -c a=b\\ c")
    assert.strictEqual(readBack({ host: "db" }, "-c a=b").options, "-c a=b")
  })

  it("need no URL", () => {
    const { database, host, password, port, user } = readBack({
      host: "/run/postgresql",
      port: 5433,
      database: "app",
      user: "ann",
      password: Redacted.make("secret")
    })
    assert.deepStrictEqual([host, port, database, user, password], ["/run/postgresql", 5433, "app", "ann", "secret"])
  })

  it("are those of an existing pool", () => {
    const pool = new Pg.Pool({ host: "db", port: 6000, user: "ann", password: "secret", database: "app", ssl: false })
    const { database, host, password, port, ssl, user } = readBack({ pool })
    assert.deepStrictEqual([host, port, database, user, password, ssl], ["db", 6000, "app", "ann", "secret", false])
  })
})

describe("a journal", () => {
  it.scopedLive("uses an existing pool for the application, and leaves it open", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const pool = yield* Effect.acquireRelease(
        Effect.sync(() => new Pg.Pool({ connectionString: url, max: 2, application_name: "theirs" })),
        (made) => Effect.promise(() => made.end())
      )
      const name = Effect.gen(function*() {
        const { driver, sql } = yield* both({ pool })
        const rows = yield* driver.transaction(Effect.zipRight(
          driver.enqueue({ runs: [newRun("a")], claim: null }),
          sql<{ name: string }>`SELECT current_setting('application_name') AS name`
        ))
        yield* work(driver, "a")
        return rows[0]?.name
      })
      assert.strictEqual(yield* Effect.scoped(name), "theirs")
      assert.lengthOf((yield* Effect.promise(() => pool.query("SELECT 1"))).rows, 1)
    }))

  it.scopedLive("uses an existing PgClient for the application", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const context = yield* Layer.build(PgClient.layer({ url: Redacted.make(url), applicationName: "theirs" }))
      const client = Context.get(context, PgClient.PgClient)
      const { driver, sql } = yield* both({ client })
      assert.strictEqual(sql, client)
      yield* client.withTransaction(driver.enqueue({ runs: [newRun("a")], claim: null }))
      yield* work(driver, "a")
    }))

  it.scopedLive("connects by host, port, user, password and database", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const { hostname, password, pathname, port, username } = new URL(url)
      const { driver } = yield* both({
        host: hostname,
        port: Number(port),
        user: decodeURIComponent(username),
        password: Redacted.make(decodeURIComponent(password)),
        database: pathname.slice(1)
      })
      yield* driver.enqueue({ runs: [newRun("a")], claim: null })
      yield* work(driver, "a")
    }))

  const refusalOf = (options: PgJournal.PgJournalOptions) =>
    Effect.map(Effect.flip(both({ startTimeout: "1 hour", ...options })), (error) => {
      assert.instanceOf(error, JournalError)
      return error
    })

  it.scopedLive("fails at once if the certificate of the server cannot be verified, and names the cure", () =>
    Effect.gen(function*() {
      const port = yield* tlsServer
      const error = yield* refusalOf({ url: Redacted.make(`postgres://ann@127.0.0.1:${port}/app?sslmode=verify-full`) })
      assert.deepStrictEqual([error.code, error.retryable], ["Refused", false])
      assert.match(error.message, /SELF_SIGNED.*sslrootcert/)
    }))

  it.scopedLive("fails at once if the server does not support TLS", () =>
    Effect.gen(function*() {
      const secure = new URL(server.url)
      secure.searchParams.set("sslmode", "require")
      const error = yield* refusalOf({ url: Redacted.make(secure.href) })
      assert.deepStrictEqual([error.code, error.retryable], ["Refused", false])
      assert.include(error.message, "does not support SSL")
    }))

  it.scopedLive("says that it waits for the database", () =>
    Effect.gen(function*() {
      const logged: Array<unknown> = []
      const logger = Logger.replace(Logger.defaultLogger, Logger.make(({ message }) => logged.push(message)))
      const nowhere = both({
        url: Redacted.make("postgres://postgres@127.0.0.1:1/nothing"),
        startTimeout: "300 millis"
      })
      yield* Effect.provide(Effect.flip(nowhere), logger)
      assert.deepStrictEqual(logged.flat(), ["waiting up to 300ms for the database"])
    }))
})
