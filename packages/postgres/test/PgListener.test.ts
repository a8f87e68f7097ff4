/** Hints between processes: from one driver to another, after a lost connection, and without notifications. */
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import { Listener } from "@perdure/sql/Listener"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import type { Hint, JournalDriver } from "perdure/JournalDriver"
import * as PgListener from "../src/PgListener.js"
import {
  ask,
  bareDriverOn,
  claim,
  commitOf,
  driverOn,
  finish,
  held,
  newRun,
  server,
  signal,
  worker
} from "./support/driver.js"

/** Repeats `cause` until `driver` receives a hint that is wanted. */
const hears = (driver: JournalDriver, wanted: (hint: Hint) => boolean, cause: Effect.Effect<unknown, unknown>) =>
  Effect.gen(function*() {
    const heard = yield* Effect.fork(Stream.runHead(Stream.filter(driver.hints, wanted)))
    yield* Effect.raceFirst(Effect.forever(cause), Fiber.await(heard))
    return yield* Fiber.join(heard)
  })

const other = { id: "other", incarnation: "1" }

/** Two drivers on one database, like those of two processes. The first one listens. */
const two = Effect.gen(function*() {
  const { url } = yield* TestDatabase.freshOn(server)
  const listening = yield* driverOn(url, { listen: true })
  const away = yield* bareDriverOn(url)
  yield* away.heartbeat({ worker: other, leaseMillis: 1e9, info: null })
  return { url, listening, away }
})

describe("a listening driver receives a hint", () => {
  it.scopedLive("for a new run of another process if its worker is idle", () =>
    Effect.gen(function*() {
      const { away, listening } = yield* two
      assert.deepStrictEqual(yield* claim(listening), [])
      const start = Effect.suspend(() => away.enqueue({ runs: [newRun(crypto.randomUUID())], claim: null }))
      yield* hears(listening, (hint) => hint._tag === "Ready" && hint.queue === "q", start)
    }))

  it.scopedLive("for a ping that another process sends to its worker", () =>
    Effect.gen(function*() {
      const { away, listening } = yield* two
      const asked = (hint: Hint) => hint._tag === "Ping" && hint.worker === worker.id && hint.nonce === "n"
      yield* hears(listening, asked, away.ping({ worker: worker.id, nonce: "n" }))
    }))

  it.scopedLive("for a message to a run that its worker holds, from a delivery and from a commit", () =>
    Effect.gen(function*() {
      const { away, listening } = yield* two
      yield* held(listening, "mine")
      const mine = (hint: Hint) => hint._tag === "Inbox" && hint.run === "mine" && hint.worker === worker.id
      yield* hears(listening, mine, Effect.suspend(() => away.deliver([signal("mine", crypto.randomUUID())])))
      yield* away.enqueue({ runs: [newRun("theirs")], claim: null })
      yield* claim(away, 1, other)
      let from = 0
      const write = Effect.suspend(() =>
        away.commit({
          worker: other,
          commits: [commitOf("theirs", { from: from++, messages: [signal("mine", crypto.randomUUID())] })]
        })
      )
      yield* hears(listening, mine, write)
    }))

  it.scopedLive("for the end of a run that it awaits", () =>
    Effect.gen(function*() {
      const { away, listening } = yield* two
      const end = Effect.gen(function*() {
        const id = crypto.randomUUID()
        yield* away.enqueue({ runs: [newRun(id)], claim: null })
        yield* listening.await([id])
        const [run] = yield* claim(away, 1, other)
        yield* away.commit({
          worker: other,
          commits: [commitOf(run?.id ?? "", { epoch: run?.epoch ?? 0, transition: finish })]
        })
      })
      yield* hears(listening, (hint) => hint._tag === "Changed", end)
    }))

  it.scopedLive("after its connection was lost", () =>
    Effect.gen(function*() {
      const { away, listening, url } = yield* two
      yield* claim(listening)
      const start = Effect.suspend(() => away.enqueue({ runs: [newRun(crypto.randomUUID())], claim: null }))
      const ready = (hint: Hint) => hint._tag === "Ready"
      yield* hears(listening, ready, start)
      const [cut] = yield* ask(
        url,
        `SELECT count(pg_terminate_backend(pid))::int AS n FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE 'LISTEN%'`
      )
      assert.strictEqual(cut?.["n"], 1)
      // The first driver does nothing, so the hint comes from the other one.
      yield* hears(listening, ready, start)
    }))
})

describe("a busy worker", () => {
  it.scopedLive("receives no notification for a new run", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      const driver = yield* driverOn(url)
      yield* driver.enqueue({ runs: ["a", "b"].map((id) => newRun(id)), claim: null })
      yield* claim(driver, 2)
      const idle = Effect.map(ask(url, "SELECT idle FROM perdure.workers"), ([row]) => row?.["idle"])
      assert.isFalse(yield* idle)
      yield* claim(driver, 2)
      assert.isTrue(yield* idle)
    }))
})

/** A listener whose tests go to another database, so that no notification comes back, as behind some poolers. */
const deaf = Effect.gen(function*() {
  const heardAt = yield* TestDatabase.freshOn(server)
  const sentTo = yield* TestDatabase.freshOn(server)
  const context = yield* Layer.build(
    PgListener.layer({
      client: { connectionString: heardAt.url },
      echoTimeout: "50 millis",
      retestInterval: "20 millis"
    }).pipe(Layer.provide(PgClient.layer({ url: Redacted.make(sentTo.url) })))
  )
  return { listener: Context.get(context, Listener), heardAt }
})

describe("a listener without notifications", () => {
  it.scopedLive("logs one warning and tests again at intervals", () =>
    Effect.gen(function*() {
      const { heardAt, listener } = yield* deaf
      const warnings: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        if (logLevel._tag === "Warning") warnings.push(String(message))
      })
      const heard = yield* Deferred.make<string>()
      yield* listener.listen("perdure").pipe(
        Stream.runForEach((payload) => Deferred.succeed(heard, payload)),
        Effect.fork,
        Effect.provide(Logger.replace(Logger.defaultLogger, logger))
      )
      // Each test has its own connection, so the third pid shows three tests.
      const pids = new Set<unknown>()
      yield* Effect.repeat(
        Effect.map(
          ask(
            heardAt.url,
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
          ),
          (rows) => rows.forEach(({ pid }) => pids.add(pid))
        ),
        { until: () => pids.size >= 3 }
      )
      assert.strictEqual(warnings.length, 1)
      assert.include(warnings[0], "polls")
    }))
})
