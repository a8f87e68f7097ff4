/** Faults of the database and its connections: no run is lost, every run ends correctly, and the worker continues. */
import { assert, describe, it } from "@effect/vitest"
import * as PgJournal from "@perdure/postgres/PgJournal"
import * as Cluster from "@perdure/testing/Cluster"
import * as FaultProxy from "@perdure/testing/FaultProxy"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { audit } from "./audit.js"
import { ending, expected, Gated, Go, Mixed, Simple, Waits } from "./fixtures/mixed.js"
import { connect, prepare } from "./harness.js"
import { local } from "./local.js"

/** A database, a proxy to it that can be cut, and a client with a direct connection. */
const setUp = Effect.gen(function*() {
  const { url } = yield* TestDatabase.fresh
  const database = yield* connect(url)
  const proxy = yield* FaultProxy.make(url)
  const client = yield* Layer.build(PgJournal.layer({ url: Redacted.make(url) }))
  yield* prepare(database, "perdure")
  return { url, database, proxy, client }
})

describe("a database that is unavailable at the start", () => {
  it.scopedLive("is waited for until startTimeout, and then a typed error", () =>
    Effect.gen(function*() {
      const { proxy, url } = yield* setUp
      const start = (startTimeout: "300 millis" | "1 minute") =>
        local({ url: proxy.url, outside: url, process: "here", journal: { startTimeout } })
      const away = yield* Scope.make()
      yield* Scope.extend(proxy.away, away)
      const error = yield* Effect.flip(start("300 millis"))
      assert.deepInclude(error, { _tag: "JournalError", code: "Unavailable", retryable: true })
      const patient = yield* Effect.forkScoped(start("1 minute"))
      yield* Effect.yieldNow()
      assert.isNull(patient.unsafePoll())
      yield* Scope.close(away, Exit.void)
      const worker = yield* Fiber.join(patient)
      assert.strictEqual(yield* worker.use(Simple.execute({ n: 3 })), 3)
    }))
})

describe("a database that is restarted", () => {
  it.scopedLive("loses no run, neither by a fast restart nor by a crash", () =>
    Effect.gen(function*() {
      const RUNS = 40
      const outside = yield* connect((yield* TestDatabase.fresh).url)
      yield* prepare(outside)
      const cluster = yield* Cluster.start({ fsync: false })
      const worker = yield* local({ url: cluster.url, outside: outside.url, process: "here" })
      const before = yield* connect(cluster.url)
      yield* prepare(before, "perdure")
      const runs = yield* worker.use(Mixed.startAll(Array.from({ length: RUNS }, (_, n) => ({ n }))))
      yield* Effect.forEach(runs, (run, n) => n % 3 === 0 ? worker.use(Go.send(run.id, { value: n })) : Effect.void)
      yield* outside.until("select 1 from effects having count(*) > $1", [RUNS * 2])
      yield* cluster.restart("fast")
      yield* outside.until("select 1 from effects having count(*) > $1", [RUNS * 6])
      yield* cluster.restart("immediate")
      const exits = yield* Effect.forEach(runs, (run) => Effect.exit(run.result), { concurrency: "unbounded" })
      assert.deepStrictEqual(exits.map((exit) => exit._tag), runs.map((_, n) => n % 5 === 0 ? "Failure" : "Success"))
      const database = yield* connect(cluster.url)
      // Children may end a moment after a parent that failed.
      yield* database.until(
        "select 1 where not exists (select from perdure.runs where status in ('pending', 'running', 'suspended'))"
      )
      assert.deepStrictEqual((yield* audit(database, outside)).violations, [])
      const records = yield* Effect.forEach(runs, (run) => run.record)
      assert.deepStrictEqual(
        records.map(ending),
        runs.map((_, n) => expected(n))
      )
      assert.deepStrictEqual(yield* database.rows("select count(*)::int as count from ledger"), [{ count: RUNS }])
    }), 120_000)
})

/** The statements of a worker. Each is cut before the server receives it, and after the server has executed it. */
const verbs = ["claim", "claim_contents", "commit", "inbox", "heartbeat", "reap"]

describe("a connection that is cut", () => {
  it.scopedLive("in any statement of a worker loses and repeats nothing", () =>
    Effect.gen(function*() {
      const { client, database, proxy, url } = yield* setUp
      const worker = yield* local({
        url: proxy.url,
        outside: url,
        process: "here",
        worker: { leaseDuration: "900 millis", lingerDuration: "50 millis" }
      })
      let n = 0
      for (const verb of verbs) {
        for (const point of ["before", "after"] as const) {
          // A run that is replayed with a message, and a run with every kind of operation.
          const waiting = yield* Effect.provide(Waits.start({ n }), client)
          yield* database.until("select 1 from perdure.runs where id = $1 and status = 'suspended'", [waiting.id])
          const sprung = yield* proxy.arm(`perdure:${verb}`, point)
          const mixed = yield* Effect.provide(Mixed.start({ n: ++n }), client)
          const send = (id: string, value: number) => Effect.provide(Go.send(id, { value }), client)
          yield* send(mixed.id, n)
          yield* send(waiting.id, 1)
          yield* send(waiting.id, 2)
          yield* sprung
          assert.strictEqual(yield* waiting.result, 3, `${verb} ${point}`)
          yield* Effect.exit(mixed.result)
          assert.deepStrictEqual(ending(yield* mixed.record), expected(n), `${verb} ${point}`)
        }
      }
      assert.deepStrictEqual((yield* audit(database, database)).violations, [])
      assert.strictEqual(yield* worker.use(Simple.execute({ n: 1 })), 1)
    }), 120_000)

  it.scopedLive("in a start is OutcomeUnknown, and a second start with the same key returns the one run", () =>
    Effect.gen(function*() {
      const { database, proxy, url } = yield* setUp
      const worker = yield* local({
        url: proxy.url,
        outside: url,
        process: "here",
        worker: { leaseDuration: "900 millis" },
        journal: { listen: false }
      })
      for (const [n, point] of [[1, "before"], [2, "after"]] as const) {
        const sprung = yield* proxy.arm("perdure:enqueue", point)
        const unknown = yield* Effect.flip(worker.use(Mixed.start({ n })))
        yield* sprung
        assert.deepInclude(unknown, { _tag: "JournalError", code: "OutcomeUnknown", operation: "enqueue" })
        // The insert has claimed the run for a worker that does not know it.
        const stored = yield* database.rows("select status, epoch from perdure.runs where workflow = 'Mixed'")
        assert.deepStrictEqual(
          stored.filter(({ status }) => status === "running"),
          point === "before" ? [] : [
            { status: "running", epoch: 1 }
          ]
        )
        const run = yield* worker.use(Mixed.start({ n }))
        assert.deepStrictEqual(yield* run.result, expected(n).exit)
        assert.strictEqual((yield* run.record).crashes, 0)
      }
      assert.deepStrictEqual(
        yield* database.rows("select count(*)::int as count from perdure.runs where workflow = 'Mixed'"),
        [{ count: 2 }]
      )
      assert.deepStrictEqual((yield* audit(database, database)).violations, [])
    }))

  it.scopedLive("of the listener is opened again, and the worker polls meanwhile", () =>
    Effect.gen(function*() {
      const { client, database, url } = yield* setUp
      const listening = (name: string) =>
        `select pid from pg_stat_activity where application_name = '${name}' and query like 'LISTEN%'
        and datname = current_database()`
      // Polling alone finds runs.
      const polls = yield* local({ url, outside: url, process: "polls", journal: { listen: false } })
      const first = yield* Effect.provide(Simple.start({ n: 1 }), client)
      assert.strictEqual(yield* first.result, 1)
      yield* polls.stop
      // Hints alone find runs.
      yield* local({
        url,
        outside: url,
        process: "hears",
        worker: { pollInterval: "1 hour" },
        journal: { applicationName: "hears" }
      })
      const { pid } = yield* database.until(listening("hears"))
      const second = yield* Effect.provide(Simple.start({ n: 2 }), client)
      assert.strictEqual(yield* second.result, 2)
      yield* database.rows("select pg_terminate_backend($1, 5000)", [pid])
      const again = yield* database.until(`${listening("hears")} and pid <> ${Number(pid)}`)
      assert.notStrictEqual(again["pid"], pid)
      const third = yield* Effect.provide(Simple.start({ n: 3 }), client)
      assert.strictEqual(yield* third.result, 3)
    }))
})

describe("a database that is frozen", () => {
  it.scopedLive("for longer than the lease makes commits of its worker fail, and the worker continues", () =>
    Effect.gen(function*() {
      const { client, database, proxy, url } = yield* setUp
      const frozen = yield* local({
        url: proxy.url,
        outside: url,
        process: "frozen",
        worker: { id: "frozen", leaseDuration: "900 millis" },
        journal: { listen: false }
      })
      const run = yield* Effect.provide(Gated.start({ n: 1 }), client)
      yield* database.until("select 1 from effects where process = 'frozen'")
      const ice = yield* Scope.make()
      yield* Scope.extend(proxy.stalled, ice)
      // The body ends, and its commit waits in the frozen connection.
      yield* database.open("frozen")
      yield* Effect.repeat(Effect.sync(() => frozen.core.committer.inFlight), {
        schedule: Schedule.spaced("5 millis"),
        until: (inFlight) => inFlight > 0
      })
      yield* database.until("select 1 from perdure.workers where id = 'frozen' and lease_until < clock_timestamp()")
      assert.isFalse(frozen.core.lease.isGood)
      yield* database.open("heir")
      const heir = yield* local({ url, outside: url, process: "heir", worker: { id: "heir" } })
      assert.strictEqual(yield* run.result, "heir")
      yield* Scope.close(ice, Exit.void)
      yield* Effect.repeat(Effect.sync(() => frozen.core.holds(run.id)), {
        schedule: Schedule.spaced("5 millis"),
        while: (holds) => holds
      })
      assert.deepStrictEqual(
        yield* database.rows("select name, worker, epoch from perdure.journal order by seq"),
        [{ name: "first", worker: "heir", epoch: 2 }, { name: "second", worker: "heir", epoch: 2 }]
      )
      assert.deepStrictEqual(
        yield* database.rows("select process from effects where name = 'second'"),
        [{ process: "heir" }]
      )
      yield* heir.stop
      const later = yield* Effect.provide(Simple.start({ n: 9 }), client)
      assert.strictEqual(yield* later.result, 9)
      assert.isTrue(frozen.core.lease.isGood)
      assert.deepStrictEqual((yield* audit(database, database)).violations, [])
    }))
})
