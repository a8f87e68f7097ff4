/** Transactions of the driver and of the application: which verbs join them, and how they end after faults. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as FaultProxy from "@perdure/testing/FaultProxy"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { JournalError } from "perdure/Errors"
import { JournalDriver } from "perdure/JournalDriver"
import * as PgJournal from "../src/PgJournal.js"
import { ask, claim, newRun, server, worker } from "./support/driver.js"

class Oops extends Error {
  readonly _tag = "Oops"
}

/** The driver and its client through a proxy. `url` is that of the database without it. */
const both = (listen = false) =>
  Effect.gen(function*() {
    const { url } = yield* TestDatabase.freshOn(server)
    const proxy = yield* FaultProxy.make(url)
    const context = yield* Layer.build(PgJournal.layerDriver({ url: Redacted.make(proxy.url), listen }))
    const driver = Context.get(context, JournalDriver)
    yield* driver.heartbeat({ worker, leaseMillis: 1e9, info: null })
    return { url, proxy, driver, sql: Context.get(context, SqlClient.SqlClient) }
  })

const count = (url: string) =>
  Effect.map(ask(url, "SELECT count(*)::int AS n FROM perdure.runs"), ([row]) => row?.["n"])

const codeOf = <A>(self: Effect.Effect<A, unknown>) =>
  Effect.map(Effect.flip(self), (error) => error instanceof JournalError ? [error.code, error.retryable] : error)

describe("a transaction", () => {
  it.scopedLive("is rolled back if its effect fails, with that failure", () =>
    Effect.gen(function*() {
      const { driver, url } = yield* both()
      const failing = Effect.zipRight(driver.enqueue({ runs: [newRun("a")], claim: null }), Effect.fail(new Oops()))
      assert.instanceOf(yield* Effect.flip(driver.transaction(failing)), Oops)
      assert.strictEqual(yield* count(url), 0)
    }))

  it.scopedLive("leaves connections for the journal if many are started at once", () =>
    Effect.gen(function*() {
      const { driver, url } = yield* both()
      const goOn = yield* Deferred.make<void>()
      const open = yield* Queue.unbounded<number>()
      const many = yield* Effect.fork(Effect.forEach(
        Array.from({ length: 30 }, (_, n) => n),
        (n) =>
          driver.transaction(Effect.gen(function*() {
            yield* driver.enqueue({ runs: [newRun(`run-${n}`)], claim: null })
            yield* Queue.offer(open, n)
            yield* Deferred.await(goOn)
            // A nested transaction uses the same connection.
            yield* driver.transaction(driver.get([`run-${n}`]))
          })),
        { concurrency: "unbounded" }
      ))
      // All connections of the application.
      yield* Queue.takeN(open, 6)
      yield* driver.enqueue({ runs: [newRun("beside")], claim: null })
      yield* driver.heartbeat({ worker, leaseMillis: 1e9, info: null })
      assert.deepStrictEqual((yield* claim(driver)).map(({ id }) => id), ["beside"])
      assert.strictEqual(yield* Queue.size(open), 0)
      yield* Deferred.succeed(goOn, undefined)
      yield* Fiber.join(many)
      assert.strictEqual(yield* count(url), 31)
    }))

  it.scopedLive("that the server refuses to commit fails with a typed error and is rolled back", () =>
    Effect.gen(function*() {
      const { driver, sql, url } = yield* both()
      yield* sql`CREATE TABLE unique_later (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)`
      const doomed = driver.transaction(Effect.gen(function*() {
        yield* driver.enqueue({ runs: [newRun("a")], claim: null })
        yield* sql`INSERT INTO unique_later VALUES (1), (1)`
      }))
      assert.deepStrictEqual(yield* codeOf(doomed), ["Refused", false])
      assert.strictEqual(yield* count(url), 0)
    }))

  it.scopedLive("that a failed statement has aborted fails with the message of that statement, also if it was caught", () =>
    Effect.gen(function*() {
      const { driver, sql, url } = yield* both()
      const divide = Effect.ignore(sql`SELECT 1 / 0`)
      const aborted = driver.transaction(Effect.zipRight(driver.enqueue({ runs: [newRun("a")], claim: null }), divide))
      const error = yield* Effect.flip(aborted)
      assert.deepStrictEqual([error.code, error.retryable], ["Refused", false])
      assert.match(error.message, /division by zero \(SQLSTATE 22012\).*savepoint/)
      assert.strictEqual(yield* count(url), 0)
      // A savepoint takes back what the failed statement did.
      yield* driver.transaction(Effect.zipRight(
        driver.enqueue({ runs: [newRun("b")], claim: null }),
        Effect.ignore(sql.withTransaction(sql`SELECT 1 / 0`))
      ))
      assert.strictEqual(yield* count(url), 1)
    }))

  it.scopedLive("that met another transaction is a retryable Conflict, whatever its effect makes of it", () =>
    Effect.gen(function*() {
      const { driver, sql } = yield* both()
      const raise = (code: string) => sql.unsafe(`DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '${code}'; END $$`)
      const failing = (code: string) =>
        driver.transaction(Effect.zipRight(Effect.ignore(raise(code)), Effect.fail(new Oops())))
      assert.deepStrictEqual(yield* codeOf(failing("40001")), ["Conflict", true])
      assert.deepStrictEqual(yield* codeOf(failing("40P01")), ["Conflict", true])
      assert.deepStrictEqual(yield* codeOf(failing("25006")), ["Unavailable", true])
      for (const code of ["55P03", "23505", "57014"]) {
        assert.instanceOf(yield* Effect.flip(failing(code)), Oops, code)
      }
      const recovered = Effect.zipRight(Effect.ignore(sql.withTransaction(raise("40001"))), Effect.fail(new Oops()))
      assert.instanceOf(yield* Effect.flip(driver.transaction(recovered)), Oops)
    }))

  it.scopedLive("whose connection is cut before COMMIT arrives is OutcomeUnknown, and was rolled back", () =>
    Effect.gen(function*() {
      const { driver, proxy, url } = yield* both()
      const sprung = yield* proxy.arm("COMMIT", "before")
      const cut = driver.transaction(driver.enqueue({ runs: [newRun("a")], claim: null }))
      assert.deepStrictEqual(yield* codeOf(cut), ["OutcomeUnknown", true])
      yield* sprung
      assert.strictEqual(yield* count(url), 0)
    }))

  it.scopedLive("whose connection is cut after COMMIT arrives is OutcomeUnknown, and was committed", () =>
    Effect.gen(function*() {
      const { driver, proxy, url } = yield* both()
      const sprung = yield* proxy.arm("COMMIT", "after")
      const cut = driver.transaction(driver.enqueue({ runs: [newRun("a")], claim: null }))
      assert.deepStrictEqual(yield* codeOf(cut), ["OutcomeUnknown", true])
      yield* sprung
      assert.strictEqual(yield* count(url), 1)
    }))

  it.scopedLive("whose ROLLBACK cannot be sent is Unavailable", () =>
    Effect.gen(function*() {
      const { driver, proxy, url } = yield* both()
      const sprung = yield* proxy.arm("ROLLBACK", "before")
      const failing = Effect.zipRight(driver.enqueue({ runs: [newRun("a")], claim: null }), Effect.fail(new Oops()))
      assert.deepStrictEqual(yield* codeOf(driver.transaction(failing)), ["Unavailable", true])
      yield* sprung
      assert.strictEqual(yield* count(url), 0)
    }))

  it.scopedLive("that cannot begin is Unavailable, and its effect is not executed", () =>
    Effect.gen(function*() {
      const { driver, proxy } = yield* both()
      let ran = false
      yield* Effect.scoped(Effect.gen(function*() {
        yield* proxy.away
        yield* Effect.either(driver.get([]))
        const self = Effect.sync(() => {
          ran = true
        })
        assert.deepStrictEqual(yield* codeOf(driver.transaction(self)), ["Unavailable", true])
      }))
      assert.isFalse(ran)
    }))

  it.scopedLive("keeps defects and interruption of its effect", () =>
    Effect.gen(function*() {
      const { driver } = yield* both()
      const dies = yield* Effect.exit(driver.transaction(Effect.die("bug")))
      assert.deepStrictEqual(dies, Exit.die("bug"))
      const interrupted = yield* Effect.exit(driver.transaction(Effect.interrupt))
      assert.isTrue(Exit.isInterrupted(interrupted))
    }))

  it.scopedLive("inside another one is rolled back alone", () =>
    Effect.gen(function*() {
      const { driver } = yield* both()
      const inner = Effect.zipRight(driver.enqueue({ runs: [newRun("inner")], claim: null }), Effect.fail(new Oops()))
      yield* driver.transaction(Effect.gen(function*() {
        yield* driver.enqueue({ runs: [newRun("outer")], claim: null })
        yield* Effect.either(driver.transaction(inner))
      }))
      const found = yield* driver.get(["outer", "inner"])
      assert.deepStrictEqual(found.value.map(({ id }) => id), ["outer"])
    }))
})

describe("a transaction of the application", () => {
  it.scopedLive("commits or rolls back the driver's verbs in it", () =>
    Effect.gen(function*() {
      const { driver, sql, url } = yield* both()
      const start = (id: string) => driver.enqueue({ runs: [newRun(id)], claim: { worker, capacity: 1 } })
      yield* Effect.either(sql.withTransaction(Effect.zipRight(start("a"), Effect.fail(new Oops()))))
      assert.strictEqual(yield* count(url), 0)
      const { value } = yield* sql.withTransaction(start("b"))
      // The insert claims no run, because no worker may execute it before the commit.
      assert.deepStrictEqual(value, [{ _tag: "Started", id: "b", epoch: null }])
      assert.deepStrictEqual((yield* claim(driver)).map(({ id }) => id), ["b"])
    }))

  it.scopedLive("sends hints to every process when it is committed, and none when it is rolled back", () =>
    Effect.gen(function*() {
      const { driver, sql, url } = yield* both(true)
      // Hints of new runs are sent for idle workers.
      yield* claim(driver)
      yield* ask(url, "UPDATE perdure.workers SET queues = ARRAY['q', 'undone']")
      const heard = yield* Effect.fork(driver.hints.pipe(
        Stream.filter((hint) => hint._tag === "Ready" && hint.queue !== "again"),
        Stream.take(1),
        Stream.runCollect
      ))
      const undone = driver.enqueue({ runs: [newRun("a", { queue: "undone" })], claim: null })
      yield* Effect.either(sql.withTransaction(Effect.zipRight(undone, Effect.fail(new Oops()))))
      // Hints are lost until the listener has connected.
      const commits = Effect.forever(
        Effect.suspend(() => {
          const id = crypto.randomUUID()
          return sql.withTransaction(driver.enqueue({ runs: [newRun(id)], claim: null }))
        })
      )
      yield* Effect.raceFirst(commits, Fiber.await(heard))
      assert.deepStrictEqual(Chunk.toReadonlyArray(yield* Fiber.join(heard)), [{ _tag: "Ready", queue: "q" }])
    }))
})
