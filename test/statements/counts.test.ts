/** The exact number of statements of each operation. */
import { assert, describe, it } from "@effect/vitest"
import * as PgJournal from "@perdure/postgres/PgJournal"
import { nameOf } from "@perdure/sql/Verb"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { Journal } from "perdure/Journal"
import * as Worker from "perdure/Worker"
import * as Pg from "pg"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import {
  Everything,
  EverythingLive,
  Go,
  Naps,
  NapsLive,
  PartsLive,
  Ten,
  TenLive,
  Waits,
  WaitsLive
} from "./programs.js"
import { tap } from "./wire.js"

/** No heartbeat, sweep, poll or LISTEN during a test. */
const quiet: Worker.WorkerOptions = { leaseDuration: "10 days", pollInterval: "1 day" }

const over = (url: string, applicationName: string) =>
  Layer.provideMerge(
    Journal.layer({ pollInterval: "1 day" }),
    PgJournal.layerDriver({ url: Redacted.make(url), applicationName, listen: false })
  )

/** A client process, and functions that count the statements of the client or of a worker. */
const setUp = (server: TestDatabase.Server) =>
  Effect.gen(function*() {
    const { url } = yield* TestDatabase.freshOn(server)
    const wire = yield* tap(Number(new URL(url).port))
    const client = yield* Layer.build(over(url, "client"))
    const counted = <A, E>(application: string, effect: Effect.Effect<A, E>) =>
      Effect.suspend(() => {
        const from = wire.mark(application)
        return Effect.map(effect, (value) => ({ value, statements: wire.since(application, from) }))
      })
    return {
      wire,
      counted,
      asClient: <A, E>(effect: Effect.Effect<A, E, Journal>) => counted("client", Effect.provide(effect, client)),
      workerContext: Layer.build(
        Layer.provideMerge(Layer.mergeAll(TenLive, WaitsLive, NapsLive, EverythingLive, PartsLive), over(url, "worker"))
      )
    }
  })

/** A worker whose loops the test runs. */
const manualWorker = (context: Context.Context<Journal>, options: Worker.WorkerOptions = {}) =>
  Effect.gen(function*() {
    const core = yield* Effect.provide(Worker.makeCore({ ...quiet, lingerDuration: 0, ...options }), context)
    assert.isTrue(yield* core.lease.beat)
    return core
  })

const directory = fileURLToPath(new URL("../../packages/sql/statements/", import.meta.url))

/** The names in the committed statements. */
const committed: ReadonlySet<string | null> = new Set(
  readdirSync(directory).map((file) => nameOf(readFileSync(`${directory}${file}`, "utf8")))
)

describe("the counter of statements", () => {
  it.scopedLive("sees every statement, prepared or not, also if it spans several packets", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.fresh
      const wire = yield* tap(Number(new URL(url).port))
      const client = new Pg.Client({ connectionString: url, application_name: "counted" })
      yield* Effect.promise(() => client.connect())
      yield* Effect.promise(() => client.query("select 1"))
      yield* Effect.promise(() => client.query("select $1::text", ["x".repeat(1_000_000)]))
      const named = { name: "named", text: "/* perdure:some:1 */ select $1::int", values: [1] }
      yield* Effect.promise(() => client.query(named))
      yield* Effect.promise(() => client.query(named))
      yield* Effect.promise(() => client.end())
      assert.deepStrictEqual(wire.since("counted", 0), ["select 1", "select $1::text", "some", "some"])
    }))
})

describe.each(TestDatabase.servers)("statements on $name", (server) => {
  it.scopedLive("of a start, a bulk start and a signal are one each", () =>
    Effect.gen(function*() {
      const { asClient } = yield* setUp(server)
      const one = yield* asClient(Ten.start({ n: 0 }))
      assert.deepStrictEqual(one.statements, ["enqueue"])
      const many = yield* asClient(Ten.startAll(Array.from({ length: 1000 }, (_, n) => ({ n }))))
      assert.strictEqual(new Set(many.value.map(({ id }) => id)).size, 1000)
      assert.deepStrictEqual(many.statements, ["enqueue"])
      const signal = yield* asClient(Go.send(one.value.id, { value: 1 }))
      assert.strictEqual(signal.value, "Buffered")
      assert.deepStrictEqual(signal.statements, ["deliver"])
    }))

  it.scopedLive("of a batch are one claim, one read of journals and inboxes, and one commit", () =>
    Effect.gen(function*() {
      const { asClient, counted, workerContext } = yield* setUp(server)
      const { value: runs } = yield* asClient(Waits.startAll(Array.from({ length: 50 }, (_, n) => ({ n }))))
      const context = yield* workerContext
      const first = yield* manualWorker(context)
      // New runs have no journal or inbox to read.
      const fresh = yield* counted("worker", first.claimer.runOnce)
      assert.deepStrictEqual(fresh, { value: 50, statements: ["claim"] })
      // One commit writes the entries and the suspension of all fifty runs.
      const suspended = yield* counted("worker", first.committer.runOnce)
      assert.strictEqual(suspended.value, 50)
      assert.deepStrictEqual(suspended.statements, ["commit"])
      const records = yield* Effect.forEach(runs, (run) => run.record)
      assert.isTrue(records.every(({ nextSeq, status }) => status === "suspended" && nextSeq === 1))

      yield* Effect.forEach(runs, (run) => asClient(Go.send(run.id, { value: 1 })))
      const second = yield* manualWorker(context)
      const claimed = yield* counted("worker", second.claimer.runOnce)
      assert.deepStrictEqual(claimed, { value: 50, statements: ["claim", "claim_contents"] })
      assert.deepStrictEqual((yield* counted("worker", second.committer.runOnce)).statements, ["commit"])
      assert.isTrue((yield* Effect.forEach(runs, (run) => run.record)).every(({ status }) => status === "completed"))

      const { value: nap } = yield* asClient(Naps.start({ n: 0 }))
      assert.deepStrictEqual((yield* counted("worker", second.claimer.runOnce)).statements, ["claim"])
      const alone = yield* counted("worker", second.committer.runOnce)
      assert.deepStrictEqual(alone.statements, ["commit"])
      assert.strictEqual((yield* nap.record).status, "suspended")
    }))

  it.scopedLive("of a single run are a claim and one commit for each of its ten steps", () =>
    Effect.gen(function*() {
      const { asClient, counted, workerContext } = yield* setUp(server)
      const context = yield* workerContext
      const core = yield* manualWorker(context)
      const { value: run } = yield* asClient(Ten.start({ n: 0 }))
      const lone = yield* counted(
        "worker",
        Effect.gen(function*() {
          yield* core.claimer.runOnce
          while (core.holds(run.id)) {
            yield* core.committer.runOnce
            yield* Effect.yieldNow()
          }
        })
      )
      assert.strictEqual((yield* run.record).status, "completed")
      assert.deepStrictEqual(lone.statements, [
        "claim",
        // A step's body starts once the entry before it is durable. The last entry and the end share a commit.
        ...Array.from({ length: 10 }, () => "commit")
      ])
      assert.isAtMost(lone.statements.length, 12)
    }))

  it.scopedLive("of a thousand concurrent runs are at most 0.02 for each step", () =>
    Effect.gen(function*() {
      const { asClient, counted, workerContext } = yield* setUp(server)
      const context = yield* workerContext
      const { value: runs } = yield* asClient(Ten.startAll(Array.from({ length: 1000 }, (_, n) => ({ n }))))
      const { process: { watch } } = Context.get(context, Journal)
      const busy = yield* counted(
        "worker",
        Effect.scoped(Effect.gen(function*() {
          // The worker reports the ends, so no client reads them from storage.
          const ends = yield* Effect.forkScoped(
            Effect.forEach(runs, (run) => watch.ending(run.id, { known: true }), { concurrency: "unbounded" })
          )
          yield* Effect.yieldNow()
          yield* Effect.provide(Layer.build(Worker.layer({ ...quiet, concurrency: 1000 })), context)
          const endings = yield* ends
          assert.isTrue(endings.every((ending) => ending?.status === "completed"))
        }))
      )
      assert.isAtMost(busy.statements.length / 10_000, 0.02, busy.statements.join(" "))
      const { value: all } = yield* asClient(Effect.forEach(runs, (run) => run.record, { concurrency: 8 }))
      assert.isTrue(all.every(({ nextSeq, status }) => status === "completed" && nextSeq === 10))
    }))

  it.scopedLive(
    "of runs that use every durable operation have a committed text in each shape",
    () =>
      Effect.gen(function*() {
        const { asClient, wire, workerContext } = yield* setUp(server)
        const core = yield* manualWorker(yield* workerContext)
        const step = Effect.gen(function*() {
          yield* core.claimer.runOnce
          yield* core.inboxReader.runOnce
          // The bodies of the steps end before their entries are committed.
          for (let yields = 0; yields < 20; yields++) yield* Effect.yieldNow()
          yield* core.committer.runOnce
        })
        const { value: runs } = yield* asClient(Everything.startAll([{ generation: 0 }, { generation: 1 }]))
        const { value: alone } = yield* asClient(Waits.start({ n: 0 }))
        yield* asClient(Go.send(alone.id, { value: 1 }))
        const areFinal = Effect.map(
          asClient(Effect.forEach([...runs, alone], (run) => run.record)),
          ({ value }) => value.every(({ status }) => status === "completed")
        )
        yield* Effect.repeat(Effect.zipRight(step, areFinal), { until: (done) => done })
        const commits = [...wire.names].filter((name) => name.startsWith("perdure:commit"))
        assert.isAbove(commits.length, 8, "the programs take many shapes of commits")
        assert.deepStrictEqual([...wire.names].filter((name) => !committed.has(name)), [])
      }),
    60_000
  )
})
