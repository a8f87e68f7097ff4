/** Faults between the driver and its database: each one has a code, and no commit is applied twice. */
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
import { ask, commit, commitOf, driverOn, held, newRun, server, session, worker } from "./support/driver.js"

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

/** A driver that connects through a proxy, and the URL of the database without it. */
const proxied = Effect.gen(function*() {
  const { url } = yield* TestDatabase.freshOn(server)
  const proxy = yield* FaultProxy.make(url)
  const driver = yield* driverOn(proxy.url)
  return { url, proxy, driver }
})

const written = (url: string, run: string) =>
  Effect.map(
    ask(url, "SELECT count(*)::int AS n FROM perdure.journal WHERE run = $1", [run]),
    ([row]) => row?.["n"]
  )

describe("a fault of the connection", () => {
  it.scopedLive("is Unavailable after startTimeout if the database cannot be reached at start", () =>
    Effect.gen(function*() {
      const down = driverOn("postgres://postgres@127.0.0.1:1/nothing", { startTimeout: "300 millis" })
      assert.deepStrictEqual(yield* codeOf(down), ["Unavailable", true])
    }))

  it.scopedLive("ends when the database can be reached within startTimeout", () =>
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

  it.scopedLive("is Refused immediately if the database does not exist", () =>
    Effect.gen(function*() {
      const nowhere = new URL(server.url)
      nowhere.pathname = "/nowhere"
      assert.deepStrictEqual(yield* codeOf(driverOn(nowhere.href)), ["Refused", false])
    }))

  it.scopedLive("before the server receives a commit is OutcomeUnknown, and the commit can be repeated", () =>
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

  it.scopedLive("after the server applied a commit is OutcomeUnknown, and the repeated commit is written once", () =>
    Effect.gen(function*() {
      const { driver, proxy, url } = yield* proxied
      yield* held(driver, "a")
      const sprung = yield* proxy.arm("perdure:commit", "after")
      assert.deepStrictEqual(yield* codeOf(commit(driver, commitOf("a"))), ["OutcomeUnknown", true])
      yield* sprung
      assert.deepStrictEqual(yield* commit(driver, commitOf("a")), ["Applied"])
      assert.strictEqual(yield* written(url, "a"), 1)
    }))

  it.scopedLive("without an answer ends after statementTimeout with OutcomeUnknown, and the commit can be repeated", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const proxy = yield* FaultProxy.make(url)
      const driver = yield* driverOn(proxy.url, { statementTimeout: "500 millis" })
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

  it.scopedLive("does not follow from a slow statement of the application", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const layer = PgJournal.layerDriver({ url: Redacted.make(url), statementTimeout: "100 millis" })
      const answer = yield* Effect.provide(
        Effect.flatMap(SqlClient.SqlClient, (sql) => sql`SELECT 1 AS one FROM pg_sleep(0.3)`),
        layer
      )
      assert.deepStrictEqual(answer, [{ one: 1 }])
    }))

  it.scopedLive("lets a commit be repeated while the first is executing, and it is applied once", () =>
    Effect.gen(function*() {
      const { driver, proxy, url } = yield* proxied
      yield* held(driver, "a")
      const gate = yield* session(url)
      yield* gate("BEGIN")
      yield* gate("SELECT FROM perdure.runs WHERE id = 'a' FOR UPDATE")
      /** Waits until a commit waits for the row that was sent after `since`, the time of the server. */
      const waiting = (since: unknown) =>
        Effect.repeat(
          ask(
            url,
            `SELECT count(*)::int AS n FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '/* perdure:commit%'
              AND query_start > $1::timestamptz`,
            [since]
          ),
          { until: ([row]) => row?.["n"] === 1 }
        )
      const now = Effect.map(ask(url, "SELECT clock_timestamp()::text AS now"), ([row]) => row?.["now"])
      const start = yield* now
      const first = yield* Effect.fork(codeOf(commit(driver, commitOf("a"))))
      yield* waiting(start)
      // The client is disconnected. The server has not noticed, and still waits for the row.
      yield* proxy.cut
      assert.deepStrictEqual(yield* Fiber.join(first), ["OutcomeUnknown", true])
      const cut = yield* now
      const again = yield* Effect.fork(commit(driver, commitOf("a")))
      yield* waiting(cut)
      yield* gate("COMMIT")
      assert.deepStrictEqual(yield* Fiber.join(again), ["Applied"])
      assert.strictEqual(yield* written(url, "a"), 1)
    }))

  it.scopedLive("is Unavailable for every verb while the database cannot be reached, and ends when it can", () =>
    Effect.gen(function*() {
      const { driver, proxy } = yield* proxied
      yield* held(driver, "a")
      yield* Effect.scoped(Effect.zipRight(
        proxy.away,
        Effect.gen(function*() {
          // The pool may return a cut connection before it has noticed the cut.
          yield* Effect.either(driver.get(["a"]))
          assert.deepStrictEqual(yield* codeOf(driver.get(["a"])), ["Unavailable", true])
          assert.deepStrictEqual(yield* codeOf(commit(driver, commitOf("a"))), ["Unavailable", true])
        })
      ))
      assert.deepStrictEqual(yield* commit(driver, commitOf("a")), ["Applied"])
    }))

  it.scopedLive("is OutcomeUnknown if the backend is terminated during a statement", () =>
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
      // The pool may return the terminated connection once more before its socket is closed.
      const again = Effect.retry(commit(driver, commitOf("a")), { times: 3 })
      assert.deepStrictEqual(yield* again, ["Applied"])
    }))
})

describe("a fault that the server reports", () => {
  for (const limit of ["lock_timeout", "statement_timeout"]) {
    it.scopedLive(`is a retryable Conflict at the server's ${limit}, and outside of a transaction a locked run`, () =>
      Effect.gen(function*() {
        const { url } = yield* TestDatabase.freshOn(server)
        const patient = yield* driverOn(url)
        yield* held(patient, "a")
        const driver = yield* driverOn(withOption(url, limit, "100"), { migrate: false })
        const gate = yield* session(url)
        yield* gate("BEGIN")
        yield* gate("SELECT FROM perdure.runs WHERE id = 'a' FOR UPDATE")
        const inside = driver.transaction(driver.commit({ worker, commits: [commitOf("a")] }))
        assert.deepStrictEqual(yield* codeOf(inside), ["Conflict", true])
        assert.deepStrictEqual(yield* commit(driver, commitOf("a")), ["Locked"])
        yield* gate("COMMIT")
        assert.deepStrictEqual(yield* commit(driver, commitOf("a")), ["Applied"])
      }))
  }

  it.scopedLive("is Unavailable for writes on a read-only server, such as a standby", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      yield* driverOn(url)
      const standby = driverOn(withOption(url, "default_transaction_read_only", "on"), {
        migrate: false,
        startTimeout: 0
      })
      assert.deepStrictEqual(yield* codeOf(standby), ["Unavailable", true])
    }))

  it.scopedLive("is SchemaVersion if a table is missing", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const driver = yield* driverOn(url)
      yield* ask(url, "ALTER TABLE perdure.journal RENAME TO elsewhere")
      const history = driver.history({ run: "a", from: 0, limit: 1 })
      assert.deepStrictEqual(yield* codeOf(history), ["SchemaVersion", false])
    }))

  it.scopedLive("is Corrupt if a row cannot be decoded", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const driver = yield* driverOn(url)
      yield* driver.enqueue({ runs: [newRun("a")], claim: null })
      yield* ask(url, "UPDATE perdure.runs SET status = 'sleepy'")
      assert.deepStrictEqual(yield* codeOf(driver.get(["a"])), ["Corrupt", false])
    }))

  it.scopedLive("is Refused for JSON that PostgreSQL cannot store, and nothing is written", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const driver = yield* driverOn(url)
      const runs = [newRun("fine"), newRun("not\u0000fine")]
      assert.deepStrictEqual(yield* codeOf(driver.enqueue({ runs, claim: null })), ["Refused", false])
      assert.deepStrictEqual((yield* driver.get(["fine"])).value, [])
    }))
})

describe("the client of the journal", () => {
  it.scopedLive("works without prepared statements", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const driver = yield* driverOn(url, { prepare: false })
      yield* held(driver, "a")
      assert.deepStrictEqual(yield* commit(driver, commitOf("a")), ["Applied"])
      assert.deepStrictEqual((yield* driver.history({ run: "a", from: 0, limit: 9 })).value.length, 1)
    }))

  it.scopedLive("prepares the statements of the journal and no others", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const layer = PgJournal.layerDriver({ url: Redacted.make(url), listen: false })
      const names = yield* Effect.gen(function*() {
        const driver = yield* JournalDriver
        const sql = yield* SqlClient.SqlClient
        // Inside of a transaction, the journal uses the connection of the application.
        const rows = yield* sql.withTransaction(Effect.gen(function*() {
          yield* driver.get(["a"])
          yield* driver.get(["b"])
          return yield* sql<{ name: string }>`SELECT name FROM pg_prepared_statements ORDER BY name`
        }))
        return rows.map(({ name }) => name.replace(/:[0-9a-f]+$/, ""))
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(names, ["perdure:get"])
    }))
})
