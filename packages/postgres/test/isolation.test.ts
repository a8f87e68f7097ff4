/** Databases whose transactions are stricter than the journal needs. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { JournalError } from "perdure/Errors"
import { JournalDriver } from "perdure/JournalDriver"
import * as PgJournal from "../src/PgJournal.js"
import { ask, driverOn, newRun } from "./support/driver.js"
import { strictDatabase, strictLevels } from "./support/isolation.js"

for (const server of TestDatabase.servers) {
  for (const level of strictLevels) {
    describe(`a database with "${level}" as its default on ${server.name}`, () => {
      it.scopedLive("is migrated once by ten processes that start together", () =>
        Effect.gen(function*() {
          const url = yield* strictDatabase(server, level)
          yield* Effect.forEach(Array.from({ length: 10 }), () => driverOn(url), { concurrency: "unbounded" })
          const [row] = yield* ask(url, "SELECT count(*)::int AS n, max(id) AS last FROM perdure.migrations")
          assert.strictEqual(row?.["n"], row?.["last"])
        }), 60_000)

      it.scopedLive(
        "refuses no start with a key that other processes use at the same time",
        () =>
          Effect.gen(function*() {
            const url = yield* strictDatabase(server, level)
            const drivers = yield* Effect.forEach(Array.from({ length: 4 }), () => driverOn(url))
            const key = (n: number) => `key-${n % 5}`
            const starts = drivers.flatMap((driver, process) =>
              Array.from(
                { length: 25 },
                (_, n) =>
                  driver.enqueue({ runs: [newRun(`run-${process}-${n}`, { idempotencyKey: key(n) })], claim: null })
              )
            )
            const answers = yield* Effect.all(starts, { concurrency: "unbounded" })
            assert.strictEqual(new Set(answers.flatMap(({ value }) => value.map(({ id }) => id))).size, 5)
            const singleton = { key: "one", mode: "join", debounce: null } as const
            const singles = drivers.flatMap((driver, process) =>
              Array.from({ length: 10 }, (_, n) =>
                driver.enqueue({ runs: [newRun(`single-${process}-${n}`, { singleton })], claim: null }))
            )
            const joined = yield* Effect.all(singles, { concurrency: "unbounded" })
            assert.strictEqual(
              new Set(joined.flatMap(({ value }) =>
                value.map(({ id }) => id)
              )).size,
              1
            )
          }),
        60_000
      )

      it.scopedLive("names the conflict of a user's transaction that started before another process's start", () =>
        Effect.gen(function*() {
          const url = yield* strictDatabase(server, level)
          const context = yield* Layer.build(PgJournal.layerDriver({ url: Redacted.make(url), listen: false }))
          const driver = Context.get(context, JournalDriver)
          const sql = Context.get(context, SqlClient.SqlClient)
          const other = yield* driverOn(url)
          const start = (id: string) => ({ runs: [newRun(id, { idempotencyKey: "key" })], claim: null })
          const hasSnapshot = yield* Deferred.make<void>()
          const goOn = yield* Deferred.make<void>()
          const late = yield* Effect.fork(Effect.flip(sql.withTransaction(Effect.gen(function*() {
            yield* sql`SELECT count(*) FROM perdure.runs`
            yield* Deferred.succeed(hasSnapshot, undefined)
            yield* Deferred.await(goOn)
            yield* driver.enqueue(start("late"))
          }))))
          yield* Deferred.await(hasSnapshot)
          yield* other.enqueue(start("first"))
          yield* Deferred.succeed(goOn, undefined)
          const error = yield* Fiber.join(late)
          assert.instanceOf(error, JournalError)
          assert.deepStrictEqual([error.code, error.retryable], ["Conflict", true])
          assert.match(error.message, /could not serialize access.*40001/)
        }))
    })
  }
}
