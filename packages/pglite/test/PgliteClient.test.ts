import * as Reactivity from "@effect/experimental/Reactivity"
import * as PgClient from "@effect/sql-pg/PgClient"
import { SqlError } from "@effect/sql/SqlError"
import { assert, describe, it, layer } from "@effect/vitest"
import * as PgliteClient from "@perdure/pglite/PgliteClient"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { scheduler } from "node:timers/promises"

/** Both clients, for comparison. */
class Clients extends Context.Tag("test/Clients")<Clients, {
  readonly pglite: PgliteClient.PgliteClient
  readonly postgres: PgClient.PgClient
}>() {
  static readonly layer = Layer.scoped(
    Clients,
    Effect.gen(function*() {
      const pglite = yield* PgliteClient.make()
      const { url } = yield* TestDatabase.fresh
      const postgres = yield* PgClient.make({ url: Redacted.make(url), maxConnections: 2 })
      return { pglite, postgres }
    })
  ).pipe(Layer.provide(Reactivity.layer))
}

/** Executes a statement on both clients, whose results must be equal. */
const same = (ask: (sql: PgliteClient.PgliteClient | PgClient.PgClient) => Effect.Effect<unknown, SqlError>) =>
  Effect.gen(function*() {
    const { pglite, postgres } = yield* Clients
    const [mine, theirs] = [yield* ask(pglite), yield* ask(postgres)]
    assert.deepStrictEqual(mine, theirs)
    return mine
  })

const sqlState = (exit: Exit.Exit<unknown, SqlError>): unknown => {
  const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
  return error instanceof SqlError && error.cause instanceof Error && "code" in error.cause
    ? error.cause.code
    : undefined
}

describe("a transaction of PGlite that takes long", () => {
  it.scoped("is reported after five seconds, while other statements wait", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      const sql = yield* PgliteClient.make().pipe(Effect.provide(Reactivity.layer))
      const gate = yield* Deferred.make<void>()
      const isOpen = yield* Deferred.make<void>()
      const body = Effect.zipRight(Deferred.succeed(isOpen, undefined), Deferred.await(gate))
      const long = yield* Effect.fork(Effect.provide(sql.withTransaction(body), Logger.add(logger)))
      yield* Deferred.await(isOpen)
      const other = yield* Effect.fork(sql`select 1 as one`)
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(lines, [])
      yield* TestClock.adjust("1 second")
      assert.lengthOf(lines, 1)
      assert.include(lines[0], "the only connection of PGlite for 5 seconds")
      assert.strictEqual((yield* Fiber.poll(other))._tag, "None")
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(long)
      assert.deepStrictEqual(yield* Fiber.join(other), [{ one: 1 }])
      yield* Effect.provide(sql.withTransaction(Effect.void), Logger.add(logger))
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(lines, 1)
    }), 60_000)
})

layer(Clients.layer)("PgliteClient beside PgClient", (it) => {
  it.effect("reads every type as the same JavaScript value", () =>
    Effect.gen(function*() {
      const rows = yield* same((sql) =>
        sql`select 9007199254740993::int8 as int8, 7::int4 as int4, 1.5::float8 as float8, 1.10::numeric as numeric,
          true as bool, 'x'::text as text, null::text as nothing,
          '2026-01-02 03:04:05.678+02'::timestamptz as timestamptz, '2026-01-02 03:04:05'::timestamp as timestamp,
          '2026-01-02'::date as date, '{"a": [1, null]}'::json as json, '{"a": [1, null]}'::jsonb as jsonb,
          array['a', null, 'b"\\,{}']::text[] as names, array[1, null]::int8[] as int8s, array[[1, 2], [3, 4]]::int4[] as grid,
          '\\x00ff'::bytea as bytea, gen_random_uuid() is not null as uuid, '1 day 2 hours'::interval as interval,
          array['{"a": 1}']::jsonb[] as jsonbs, array['2026-01-02 03:04:05Z']::timestamptz[] as instants`
      )
      assert.deepInclude(Array.isArray(rows) ? rows[0] : rows, {
        int8: "9007199254740993",
        timestamptz: new Date("2026-01-02T01:04:05.678Z"),
        json: { a: [1, null] },
        names: ["a", null, "b\"\\,{}"]
      })
    }))

  it.effect.prop("writes parameters like PgClient", {
    text: FastCheck.string({ unit: "grapheme" }).map((value) => value.replaceAll("\u0000", "")),
    int8: FastCheck.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    float8: FastCheck.double({ noNaN: true, noDefaultInfinity: true }),
    at: FastCheck.date({ min: new Date(0), max: new Date("2100-01-01"), noInvalidDate: true }),
    names: FastCheck.array(FastCheck.option(FastCheck.string().map((value) => value.replaceAll("\u0000", "")))),
    json: FastCheck.jsonValue().map((value) => ({
      value: JSON.parse(JSON.stringify(value).replaceAll("\\u0000", ""))
    })),
    bytes: FastCheck.uint8Array(),
    flag: FastCheck.option(FastCheck.boolean())
  }, ({ at, bytes, flag, float8, int8, json, names, text }) =>
    Effect.gen(function*() {
      const rows = yield* same((sql) =>
        sql`select ${text}::text as text, ${int8}::int8 as int8, ${float8}::float8 as float8, ${at}::timestamptz as at,
          ${names}::text[] as names, ${sql.json(json)}::jsonb as json, ${
          Buffer.from(bytes)
        }::bytea as bytes, ${flag}::bool as flag`
      )
      assert.deepStrictEqual(rows, [{
        text,
        int8: int8.toString(),
        float8: float8 === 0 ? 0 : float8,
        at,
        names,
        json: json.value === undefined ? {} : json,
        bytes: Buffer.from(bytes),
        flag
      }])
    }), { fastCheck: { numRuns: 100 } })

  it.effect("returns rows of several statements, values and raw results like PgClient", () =>
    Effect.gen(function*() {
      yield* same((sql) => sql.unsafe("create table t (a int, b text)"))
      yield* same((sql) => sql`insert into t ${sql.insert([{ a: 1, b: "x" }, { a: 2, b: "y" }])}`)
      yield* same((sql) => sql.unsafe("select 1 as a; select 2 as b"))
      yield* same((sql) => sql`select a, b from t order by a`.values)
      yield* same((sql) => sql`update t set b = ${"z"} where a > ${0} returning a`)
      yield* same((sql) => Stream.runCollect(sql`select a from t order by a`.stream))
      yield* same((sql) => sql.unsafe(""))
      yield* same((sql) => sql`select a as x, b as x from t where a = ${1}`)
      const { pglite } = yield* Clients
      assert.deepInclude(yield* pglite`update t set b = ${"w"}`.raw, { command: "UPDATE", rowCount: 2 })
    }))

  it.effect("has the SQLSTATE in the cause of its errors, and is usable after", () =>
    Effect.gen(function*() {
      for (
        const [statement, state] of [
          ["select 1 / 0", "22012"],
          ["select * from nowhere", "42P01"],
          ["selec", "42601"],
          ["select 'x'::int", "22P02"],
          ["do $$ begin raise exception using errcode = '40001'; end $$", "40001"]
        ] as const
      ) {
        const found = yield* same((sql) => Effect.map(Effect.exit(sql.unsafe(statement)), sqlState))
        assert.strictEqual(found, state)
      }
      const bound = yield* same((sql) => Effect.map(Effect.exit(sql`select ${"x"}::int`), sqlState))
      assert.strictEqual(bound, "22P02")
      const arity = yield* same((sql) => Effect.map(Effect.exit(sql.unsafe("select $1::int, $2::int", [1])), sqlState))
      assert.strictEqual(arity, "08P01")
      yield* same((sql) => sql`select ${1}::int as fine`)
    }))

  it.effect("rolls back alike, also to a savepoint", () =>
    Effect.gen(function*() {
      yield* same((sql) => sql`create table n (a int)`)
      yield* same((sql) =>
        sql.withTransaction(Effect.gen(function*() {
          yield* sql`insert into n values (1)`
          yield* Effect.ignore(sql.withTransaction(Effect.zipRight(sql`insert into n values (2)`, Effect.fail("no"))))
          yield* sql`insert into n values (3)`
        }))
      )
      yield* same((sql) =>
        Effect.ignore(sql.withTransaction(Effect.zipRight(sql`insert into n values (4)`, Effect.fail("no"))))
      )
      assert.deepStrictEqual(yield* same((sql) => sql`select a from n order by a`), [{ a: 1 }, { a: 3 }])
    }))

  it.effect("hears notifications when their transaction commits, of its own channel only", () =>
    Effect.gen(function*() {
      for (const sql of Object.values(yield* Clients)) {
        const notify = (channel: string, text: string) => sql`select pg_notify(${channel}, ${text})`
        const heard = yield* Queue.unbounded<string>()
        const listener = yield* Effect.fork(Stream.runForEach(sql.listen("Some channel"), (text) => heard.offer(text)))
        // LISTEN takes effect after some time, so the first notifications are repeated until one arrives.
        yield* Effect.repeat(
          Effect.zipRight(notify("Some channel", "ready?"), Effect.flatMap(Effect.yieldNow(), () => heard.size)),
          { until: (size) => size > 0 }
        )
        yield* heard.takeAll
        yield* Effect.ignore(sql.withTransaction(Effect.zipRight(notify("Some channel", "never"), Effect.fail("no"))))
        yield* notify("another", "elsewhere")
        yield* sql.withTransaction(notify("Some channel", "done"))
        const next = yield* Effect.repeat(heard.take, { while: (text) => text === "ready?" })
        assert.strictEqual(next, "done")
        yield* Fiber.interrupt(listener)
      }
      const { pglite } = yield* Clients
      const [one] = yield* Effect.all([
        Stream.runHead(pglite.listen("quick")),
        Effect.zipRight(Effect.yieldNow(), pglite.notify("quick", "o'clock"))
      ], { concurrency: 2 })
      assert.deepStrictEqual(one, Option.some("o'clock"))
    }))
})

const fresh = PgliteClient.make().pipe(Effect.provide(Reactivity.layer))

describe("PgliteClient", () => {
  it.scoped("lets a transaction have the connection for its whole length", () =>
    Effect.gen(function*() {
      const sql = yield* fresh
      yield* sql`create table t (a int)`
      const inside = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const transaction = yield* Effect.fork(sql.withTransaction(Effect.gen(function*() {
        yield* sql`insert into t values (1)`
        yield* Deferred.succeed(inside, undefined)
        yield* Deferred.await(go)
        yield* sql`insert into t values (2)`
      })))
      yield* Deferred.await(inside)
      const reader = yield* Effect.fork(sql`select count(*)::int as n from t`)
      const waiting = yield* Effect.fork(sql.withTransaction(sql`insert into t values (99)`))
      yield* Effect.yieldNow()
      assert.isNull(reader.unsafePoll())
      // A waiting fiber can be interrupted.
      yield* Fiber.interrupt(waiting)
      yield* Deferred.succeed(go, undefined)
      yield* Fiber.join(transaction)
      assert.deepStrictEqual(yield* Fiber.join(reader), [{ n: 2 }])
    }))

  it.scoped("rolls an interrupted transaction back and stays usable", () =>
    Effect.gen(function*() {
      const sql = yield* fresh
      yield* sql`create table t (a int)`
      const inside = yield* Deferred.make<void>()
      const fiber = yield* Effect.fork(sql.withTransaction(Effect.gen(function*() {
        yield* sql`insert into t values (1)`
        yield* Deferred.succeed(inside, undefined)
        yield* Effect.never
      })))
      yield* Deferred.await(inside)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* sql`select a from t`, [])
    }))

  it.scoped("ends the statement of an interrupted fiber before the next one starts", () =>
    Effect.gen(function*() {
      const sql = yield* fresh
      yield* sql`create table t (a int)`
      const fibers = yield* Effect.forEach(
        Array.from({ length: 50 }, (_, index) => index),
        (index) => Effect.fork(sql`insert into t values (${index})`)
      )
      yield* Effect.yieldNow()
      yield* Fiber.interruptAll(fibers.filter((_, index) => index % 2 === 0))
      const exits = yield* Effect.forEach(fibers, Fiber.await)
      const rows = yield* sql<{ a: number }>`select a from t order by a`
      const kept = new Set(rows.map((row) => row.a))
      for (const [index, exit] of exits.entries()) if (Exit.isSuccess(exit)) assert.isTrue(kept.has(index))
      assert.isAtLeast(kept.size, 25)
    }))

  it.scoped("lets the event loop serve timers between queued statements", () =>
    Effect.gen(function*() {
      const sql = yield* fresh
      let isTimerServed = false
      let statements = 0
      void scheduler.wait(1).then(() => {
        isTimerServed = true
      })
      yield* Effect.repeat(Effect.zipRight(sql`select 1`, Effect.sync(() => ++statements)), {
        until: (count) => isTimerServed || count === 1_000
      })
      assert.isBelow(statements, 1_000)
    }))

  it.effect("waits for an open transaction when it closes, and refuses later statements", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const sql = yield* Scope.extend(fresh, scope)
      yield* sql`create table t (a int)`
      const inside = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const transaction = yield* Effect.fork(sql.withTransaction(
        sql`insert into t values (1)`.pipe(
          Effect.zipLeft(Deferred.succeed(inside, undefined)),
          Effect.zipLeft(Deferred.await(go)),
          Effect.zipRight(sql`select a from t`)
        )
      ))
      yield* Deferred.await(inside)
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* Effect.yieldNow()
      assert.isNull(closing.unsafePoll())
      yield* Deferred.succeed(go, undefined)
      assert.deepStrictEqual(yield* Fiber.join(transaction), [{ a: 1 }])
      yield* Fiber.join(closing)
      const late = yield* Effect.flip(sql`select 1`)
      assert.match(late.message, /closed/)
    }))

  it.scoped("transforms names and JSON keys like PgClient", () =>
    Effect.gen(function*() {
      const sql = yield* PgliteClient.make({
        transformResultNames: (name) => name.toUpperCase(),
        transformQueryNames: (name) => name.toLowerCase()
      }).pipe(Effect.provide(Reactivity.layer))
      yield* sql`create table ${sql("T")} (a int)`
      yield* sql`insert into t ${sql.insert({ A: 1 })}`
      assert.deepStrictEqual(yield* sql`select a from t`, [{ A: 1 }])
      assert.deepStrictEqual(yield* sql.withoutTransforms()`select a from t`, [{ a: 1 }])
    }))
})
