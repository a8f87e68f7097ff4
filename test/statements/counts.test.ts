/** How many statements things take, exactly. */
import { assert, describe, it } from "@effect/vitest"
import * as PgJournal from "@perdure/postgres/PgJournal"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { Journal } from "perdure/Journal"
import * as Worker from "perdure/Worker"
import * as Pg from "pg"
import { Go, Naps, NapsLive, Ten, TenLive, Waits, WaitsLive } from "./programs.js"
import { tap } from "./wire.js"

/** Nothing happens by itself: no beat, no sweep, no poll, no LISTEN. */
const quiet: Worker.WorkerOptions = { lease: "10 days", pollInterval: "1 day" }

const over = (url: string, applicationName: string) =>
  Layer.provideMerge(
    Journal.layer({ pollInterval: "1 day" }),
    PgJournal.layerDriver({ url: Redacted.make(url), applicationName, listen: false })
  )

/** A process that only starts and sends, and a way to count what it, or a worker, says to the database. */
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
      workerContext: Layer.build(Layer.provideMerge(Layer.mergeAll(TenLive, WaitsLive, NapsLive), over(url, "worker")))
    }
  })

/** A worker whose loops are run by hand. */
const byHand = (context: Context.Context<Journal>, options: Worker.WorkerOptions = {}) =>
  Effect.gen(function*() {
    const core = yield* Effect.provide(Worker.makeCore({ ...quiet, linger: 0, ...options }), context)
    assert.isTrue(yield* core.lease.beat)
    return core
  })

describe("the counter", () => {
  it.scopedLive("hears every statement, prepared or not, however it is cut into packets", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.fresh
      const wire = yield* tap(Number(new URL(url).port))
      const client = new Pg.Client({ connectionString: url, application_name: "heard" })
      yield* Effect.promise(() => client.connect())
      yield* Effect.promise(() => client.query("select 1"))
      yield* Effect.promise(() => client.query("select $1::text", ["x".repeat(1_000_000)]))
      const named = { name: "named", text: "/* perdure:some:1 */ select $1::int", values: [1] }
      yield* Effect.promise(() => client.query(named))
      yield* Effect.promise(() => client.query(named))
      yield* Effect.promise(() => client.end())
      assert.deepStrictEqual(wire.since("heard", 0), ["select 1", "select $1::text", "some", "some"])
    }))
})

describe.each(TestDatabase.servers)("statements on $name", (server) => {
  it.scopedLive("of a start, a bulk start, a signal", () =>
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

  it.scopedLive("of suspending, and of claiming a batch with its journals and inboxes", () =>
    Effect.gen(function*() {
      const { asClient, counted, workerContext } = yield* setUp(server)
      const { value: runs } = yield* asClient(Waits.startAll(Array.from({ length: 50 }, (_, n) => ({ n }))))
      const context = yield* workerContext
      const first = yield* byHand(context)
      // New runs have nothing to bring.
      const fresh = yield* counted("worker", first.claimer.runOnce)
      assert.deepStrictEqual(fresh, { value: 50, statements: ["claim"] })
      // Their steps' entries and their suspension are one commit, for all fifty.
      const suspended = yield* counted("worker", first.committer.runOnce)
      assert.strictEqual(suspended.value, 50)
      assert.deepStrictEqual(suspended.statements, ["commit"])
      const records = yield* Effect.forEach(runs, (run) => run.record)
      assert.isTrue(records.every(({ nextSeq, status }) => status === "suspended" && nextSeq === 1))

      yield* Effect.forEach(runs, (run) => asClient(Go.send(run.id, { value: 1 })))
      const second = yield* byHand(context)
      const claimed = yield* counted("worker", second.claimer.runOnce)
      assert.deepStrictEqual(claimed, { value: 50, statements: ["claim", "brought"] })
      assert.deepStrictEqual((yield* counted("worker", second.committer.runOnce)).statements, ["commit"])
      assert.isTrue((yield* Effect.forEach(runs, (run) => run.record)).every(({ status }) => status === "completed"))

      const { value: nap } = yield* asClient(Naps.start({ n: 0 }))
      assert.deepStrictEqual((yield* counted("worker", second.claimer.runOnce)).statements, ["claim"])
      const alone = yield* counted("worker", second.committer.runOnce)
      assert.deepStrictEqual(alone.statements, ["commit"])
      assert.strictEqual((yield* nap.record).status, "suspended")
    }))

  it.scopedLive("of a lone run of ten steps, from its claim to its end", () =>
    Effect.gen(function*() {
      const { asClient, counted, workerContext } = yield* setUp(server)
      const context = yield* workerContext
      const core = yield* byHand(context)
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
        // Each step's body may start when the entry before it is durable; the last entry and the end go together.
        ...Array.from({ length: 10 }, () => "commit")
      ])
      assert.isAtMost(lone.statements.length, 12)
    }))

  it.scopedLive("of a thousand runs of ten steps at a time", () =>
    Effect.gen(function*() {
      const { asClient, counted, workerContext } = yield* setUp(server)
      const context = yield* workerContext
      const { value: runs } = yield* asClient(Ten.startAll(Array.from({ length: 1000 }, (_, n) => ({ n }))))
      const { process: { watch } } = Context.get(context, Journal)
      const busy = yield* counted(
        "worker",
        Effect.scoped(Effect.gen(function*() {
          // The worker tells of the ends; nobody asks storage.
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
})
