/** What goes wrong between the driver and its database: each fault has a code, and nothing is written twice. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as FaultProxy from "@perdure/testing/FaultProxy"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { JournalError } from "perdure/Errors"
import { JournalDriver } from "perdure/JournalDriver"
import * as PgJournal from "../src/PgJournal.js"
import { ask, commit, commitOf, driverOn, held, newRun, server, session } from "./support/driver.js"

const withOption = (url: string, name: string, value: string) => {
  const changed = new URL(url)
  changed.searchParams.set("options", `-c ${name}=${value}`)
  return changed.href
}

/** The code of the error that an effect must fail with. */
const codeOf = <A, R>(self: Effect.Effect<A, unknown, R>) =>
  Effect.map(Effect.flip(self), (error) => {
    assert.instanceOf(error, JournalError)
    return [error.code, error.retryable]
  })

/** A driver that reaches its database by a proxy, and the database's own address. */
const proxied = Effect.gen(function*() {
  const { url } = yield* TestDatabase.freshOn(server)
  const proxy = yield* FaultProxy.make(url)
  const driver = yield* driverOn(proxy.url, { maxConnections: 1 })
  return { url, proxy, driver }
})

const written = (url: string, run: string) =>
  Effect.map(
    ask(url, "SELECT count(*)::int AS n FROM perdure.journal WHERE run = $1", [run]),
    ([row]) => row?.["n"]
  )

describe("faults of the connection", () => {
  it.scopedLive("a database that is not there at start is Unavailable, after the time to wait for it", () =>
    Effect.gen(function*() {
      const down = driverOn("postgres://postgres@127.0.0.1:1/nothing", { startTimeout: "300 millis" })
      assert.deepStrictEqual(yield* codeOf(down), ["Unavailable", true])
    }))

  it.scopedLive("a database that comes up while it is waited for is used", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const proxy = yield* FaultProxy.make(url)
      const outage = yield* Scope.make()
      yield* Scope.extend(proxy.away, outage)
      const refused = yield* codeOf(driverOn(proxy.url, { startTimeout: 0 }))
      assert.deepStrictEqual(refused, ["Unavailable", true])
      const starting = yield* Effect.fork(driverOn(proxy.url))
      yield* Scope.close(outage, yield* Effect.exit(Effect.void))
      const driver = yield* Fiber.join(starting)
      assert.deepStrictEqual((yield* driver.get([])).value, [])
    }))

  it.scopedLive("a wrong database is refused at once", () =>
    Effect.gen(function*() {
      const nowhere = new URL(server.url)
      nowhere.pathname = "/nowhere"
      assert.deepStrictEqual(yield* codeOf(driverOn(nowhere.href)), ["Refused", false])
    }))

  it.scopedLive("a connection cut before the server has a commit: outcome unknown, nothing written, sent again", () =>
    Effect.gen(function*() {
      const { driver, proxy, url } = yield* proxied
      yield* held(driver, "a")
      const sprung = yield* proxy.arm("perdure:commit", "before")
      assert.deepStrictEqual(yield* codeOf(commit(driver, commitOf("a"))), ["OutcomeUnknown", true])
      yield* sprung
      assert.strictEqual(yield* written(url, "a"), 0)
      assert.deepStrictEqual(yield* commit(driver, commitOf("a")), ["Applied"])
      assert.strictEqual(yield* written(url, "a"), 1)
    }))

  it.scopedLive("a connection cut after a commit: outcome unknown; sent again it is applied, and written once", () =>
    Effect.gen(function*() {
      const { driver, proxy, url } = yield* proxied
      yield* held(driver, "a")
      const sprung = yield* proxy.arm("perdure:commit", "after")
      assert.deepStrictEqual(yield* codeOf(commit(driver, commitOf("a"))), ["OutcomeUnknown", true])
      yield* sprung
      assert.deepStrictEqual(yield* commit(driver, commitOf("a")), ["Applied"])
      assert.strictEqual(yield* written(url, "a"), 1)
    }))

  it.scopedLive("a connection that gives no answer is closed after a while: outcome unknown, sent again on another", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const proxy = yield* FaultProxy.make(url)
      const driver = yield* driverOn(proxy.url, { maxConnections: 1, statementTimeout: "500 millis" })
      yield* held(driver, "a")
      for (const text of ["perdure:commit", "COMMIT"]) {
        const sprung = yield* proxy.arm(text, "hang")
        const write = commit(driver, commitOf("a"))
        const hanging = text === "COMMIT" ? driver.transaction(write) : write
        assert.deepStrictEqual(yield* codeOf(hanging), ["OutcomeUnknown", true], text)
        yield* sprung
        assert.strictEqual(yield* written(url, "a"), 0)
      }
      assert.deepStrictEqual(yield* commit(driver, commitOf("a")), ["Applied"])
      assert.strictEqual(yield* written(url, "a"), 1)
    }))

  it.scopedLive("a statement of one's own may take longer", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const layer = PgJournal.layerDriver({ url: Redacted.make(url), statementTimeout: "100 millis" })
      const answer = yield* Effect.provide(
        Effect.flatMap(SqlClient.SqlClient, (sql) => sql`SELECT 1 AS one FROM pg_sleep(0.3)`),
        layer
      )
      assert.deepStrictEqual(answer, [{ one: 1 }])
    }))

  it.scopedLive("a commit that is sent again while the first is still under way is applied once", () =>
    Effect.gen(function*() {
      const { driver, proxy, url } = yield* proxied
      yield* held(driver, "a")
      const gate = yield* session(url)
      yield* gate("BEGIN")
      yield* gate("SELECT FROM perdure.runs WHERE id = 'a' FOR UPDATE")
      const waiting = (count: number) =>
        Effect.repeat(
          ask(
            url,
            `SELECT count(*)::int AS n FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '/* perdure:commit%'`
          ),
          { until: ([row]) => row?.["n"] === count }
        )
      const first = yield* Effect.fork(codeOf(commit(driver, commitOf("a"))))
      yield* waiting(1)
      // The client is gone; the server does not know yet, and goes on waiting for the row.
      yield* proxy.cut
      assert.deepStrictEqual(yield* Fiber.join(first), ["OutcomeUnknown", true])
      const again = yield* Effect.fork(commit(driver, commitOf("a")))
      yield* waiting(2)
      yield* gate("COMMIT")
      assert.deepStrictEqual(yield* Fiber.join(again), ["Applied"])
      assert.strictEqual(yield* written(url, "a"), 1)
    }))

  it.scopedLive("with the database away every operation is Unavailable, and works when it is back", () =>
    Effect.gen(function*() {
      const { driver, proxy } = yield* proxied
      yield* held(driver, "a")
      yield* Effect.scoped(Effect.zipRight(
        proxy.away,
        Effect.gen(function*() {
          // The pool may hand out the connection that was cut before it has noticed.
          yield* Effect.either(driver.get(["a"]))
          assert.deepStrictEqual(yield* codeOf(driver.get(["a"])), ["Unavailable", true])
          assert.deepStrictEqual(yield* codeOf(commit(driver, commitOf("a"))), ["Unavailable", true])
        })
      ))
      assert.deepStrictEqual(yield* commit(driver, commitOf("a")), ["Applied"])
    }))

  it.scopedLive("a backend that is terminated in a statement leaves its outcome unknown", () =>
    Effect.gen(function*() {
      const { driver, url } = yield* proxied
      yield* held(driver, "a")
      const gate = yield* session(url)
      yield* gate("BEGIN")
      yield* gate("SELECT FROM perdure.runs WHERE id = 'a' FOR UPDATE")
      const stuck = yield* Effect.fork(codeOf(commit(driver, commitOf("a"))))
      yield* Effect.repeat(
        ask(
          url,
          `SELECT pg_terminate_backend(pid) AS cut FROM pg_stat_activity
          WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '/* perdure:commit%'`
        ),
        { until: (rows) => rows.length > 0 }
      )
      assert.deepStrictEqual(yield* Fiber.join(stuck), ["OutcomeUnknown", true])
      yield* gate("COMMIT")
      // The pool may hand out the dying connection once more, before its socket has closed.
      const again = Effect.retry(commit(driver, commitOf("a")), { times: 3 })
      assert.deepStrictEqual(yield* again, ["Applied"])
    }))
})

describe("faults that the server reports", () => {
  for (const limit of ["lock_timeout", "statement_timeout"]) {
    it.scopedLive(`${limit} is a conflict: rolled back, to be tried again`, () =>
      Effect.gen(function*() {
        const { url } = yield* TestDatabase.freshOn(server)
        const patient = yield* driverOn(url)
        yield* held(patient, "a")
        const driver = yield* driverOn(withOption(url, limit, "100"), { migrate: false })
        const gate = yield* session(url)
        yield* gate("BEGIN")
        yield* gate("SELECT FROM perdure.runs WHERE id = 'a' FOR UPDATE")
        assert.deepStrictEqual(yield* codeOf(commit(driver, commitOf("a"))), ["Conflict", true])
        yield* gate("COMMIT")
        assert.deepStrictEqual(yield* commit(driver, commitOf("a")), ["Applied"])
      }))
  }

  it.scopedLive("a server that only reads, as a standby does, is Unavailable for writing", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      yield* driverOn(url)
      const standby = driverOn(withOption(url, "default_transaction_read_only", "on"), {
        migrate: false,
        startTimeout: 0
      })
      assert.deepStrictEqual(yield* codeOf(standby), ["Unavailable", true])
    }))

  it.scopedLive("a table that is gone is a matter of the schema", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const driver = yield* driverOn(url)
      yield* ask(url, "ALTER TABLE perdure.journal RENAME TO elsewhere")
      const history = driver.history({ run: "a", from: 0, limit: 1 })
      assert.deepStrictEqual(yield* codeOf(history), ["SchemaVersion", false])
    }))

  it.scopedLive("a row that cannot be read is Corrupt", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const driver = yield* driverOn(url)
      yield* driver.enqueue({ runs: [newRun("a")], claim: null })
      yield* ask(url, "UPDATE perdure.runs SET status = 'sleepy'")
      assert.deepStrictEqual(yield* codeOf(driver.get(["a"])), ["Corrupt", false])
    }))

  it.scopedLive("what JSON can carry and Postgres cannot is refused, and nothing of it is written", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const driver = yield* driverOn(url)
      const runs = [newRun("fine"), newRun("not\u0000fine")]
      assert.deepStrictEqual(yield* codeOf(driver.enqueue({ runs, claim: null })), ["Refused", false])
      assert.deepStrictEqual((yield* driver.get(["fine"])).value, [])
    }))
})

describe("clients", () => {
  it.scopedLive("without prepared statements all is the same", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const driver = yield* driverOn(url, { prepare: false, maxConnections: 1 })
      yield* held(driver, "a")
      assert.deepStrictEqual(yield* commit(driver, commitOf("a")), ["Applied"])
      assert.deepStrictEqual((yield* driver.history({ run: "a", from: 0, limit: 9 })).value.length, 1)
    }))

  it.scopedLive("the server keeps our statements prepared, and only ours", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const layer = PgJournal.layerDriver({ url: Redacted.make(url), listen: false, maxConnections: 1 })
      const names = yield* Effect.gen(function*() {
        const driver = yield* JournalDriver
        const sql = yield* SqlClient.SqlClient
        yield* driver.get(["a"])
        yield* driver.get(["b"])
        const rows = yield* sql<{ name: string }>`SELECT name FROM pg_prepared_statements ORDER BY name`
        return rows.map(({ name }) => name.replace(/:[0-9a-f]+$/, ""))
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(names, ["perdure:get"])
    }))
})
