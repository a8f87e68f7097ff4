import { assert, describe, it } from "@effect/vitest"
import * as FaultProxy from "@perdure/testing/FaultProxy"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as pg from "pg"
import { query } from "../src/internal/admin.js"

const client = (url: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const made = new pg.default.Client({ connectionString: url })
      made.on("error", () => {})
      await made.connect()
      return made
    }),
    (made) => Effect.promise(() => made.end().catch(() => {}))
  )

const send = (on: pg.Client, text: string) =>
  Effect.exit(Effect.tryPromise(() => on.query<Record<string, unknown>>(text).then((result) => result.rows)))

const setUp = Effect.gen(function*() {
  const database = yield* TestDatabase.fresh
  yield* query(database.url, "create table t (a int)")
  const proxy = yield* FaultProxy.make(database.url)
  const rows = Effect.map(query(database.url, "select a from t order by a"), (all) => all.map((row) => row["a"]))
  return { database, proxy, rows }
})

describe("FaultProxy", () => {
  it.scoped("forwards all bytes", () =>
    Effect.gen(function*() {
      const { proxy } = yield* setUp
      const text = "x".repeat(1_000_000)
      assert.deepStrictEqual(yield* query(proxy.url, `select '${text}' as x`), [{ x: text }])
    }))

  it.scoped("cuts open connections and accepts new ones", () =>
    Effect.gen(function*() {
      const { proxy } = yield* setUp
      const one = yield* client(proxy.url)
      assert.isTrue(Exit.isSuccess(yield* send(one, "select 1")))
      assert.strictEqual(yield* proxy.connections, 1)
      assert.strictEqual(yield* proxy.cut, 1)
      assert.isTrue(Exit.isFailure(yield* send(one, "select 1")))
      assert.deepStrictEqual(yield* query(proxy.url, "select 1 as a"), [{ a: 1 }])
    }))

  it.scoped("cuts before the server receives a statement", () =>
    Effect.gen(function*() {
      const { proxy, rows } = yield* setUp
      const one = yield* client(proxy.url)
      const sprung = yield* proxy.arm("insert into t values (2)", "before")
      assert.isTrue(Exit.isSuccess(yield* send(one, "insert into t values (1)")))
      assert.isTrue(Exit.isFailure(yield* send(one, "insert into t values (2)")))
      yield* sprung
      assert.deepStrictEqual(yield* rows, [1])
    }))

  it.scoped("cuts after the server executed a statement, before its answer arrives", () =>
    Effect.gen(function*() {
      const { proxy, rows } = yield* setUp
      const one = yield* client(proxy.url)
      const sprung = yield* proxy.arm("insert into t values (2)", "after")
      assert.isTrue(Exit.isFailure(yield* send(one, "insert into t values (2)")))
      yield* sprung
      assert.deepStrictEqual(yield* rows, [2])
    }))

  it.scoped("lets a statement hang", () =>
    Effect.gen(function*() {
      const { proxy, rows } = yield* setUp
      const one = yield* client(proxy.url)
      const sprung = yield* proxy.arm("values (2)", "hang")
      const fiber = yield* Effect.fork(send(one, "insert into t values (2)"))
      yield* sprung
      assert.deepStrictEqual(yield* rows, [])
      assert.isNull(fiber.unsafePoll())
      yield* proxy.cut
      assert.isTrue(Exit.isFailure(yield* Fiber.join(fiber)))
    }))

  it.scoped("refuses connections while a scope is open", () =>
    Effect.gen(function*() {
      const { proxy } = yield* setUp
      const one = yield* client(proxy.url)
      const scope = yield* Scope.make()
      yield* Scope.extend(proxy.away, scope)
      assert.isTrue(Exit.isFailure(yield* send(one, "select 1")))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(query(proxy.url, "select 1"))))
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(query(proxy.url, "select 1"))))
    }))

  it.scoped("keeps bytes while a scope is open, then forwards them", () =>
    Effect.gen(function*() {
      const { proxy, rows } = yield* setUp
      const one = yield* client(proxy.url)
      const scope = yield* Scope.make()
      yield* Scope.extend(proxy.stalled, scope)
      const fiber = yield* Effect.fork(send(one, "insert into t values (3)"))
      assert.deepStrictEqual(yield* rows, [])
      assert.isNull(fiber.unsafePoll())
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(fiber)))
      assert.deepStrictEqual(yield* rows, [3])
    }))

  it.scoped("delays bytes by real time", () =>
    Effect.gen(function*() {
      const { proxy } = yield* setUp
      const one = yield* client(proxy.url)
      const clock = Clock.make()
      yield* proxy.delayed("50 millis")
      const before = yield* clock.currentTimeMillis
      assert.isTrue(Exit.isSuccess(yield* send(one, "select 1")))
      // In both directions. Timers can fire a millisecond early.
      assert.isAtLeast((yield* clock.currentTimeMillis) - before, 98)
    }))
})
