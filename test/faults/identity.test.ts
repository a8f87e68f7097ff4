/** A worker's identity, its time and its shutdown. */
import { assert, describe, it } from "@effect/vitest"
import * as PgJournal from "@perdure/postgres/PgJournal"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { WorkerIdTaken } from "perdure/Errors"
import { audit } from "./audit.js"
import { Gated, Go, Simple, Waits } from "./fixtures/mixed.js"
import { connect, launch, prepare } from "./harness.js"
import { local } from "./local.js"

const DAY = 86_400_000

const setUp = Effect.gen(function*() {
  const { url } = yield* TestDatabase.fresh
  const database = yield* connect(url)
  const client = yield* Layer.build(PgJournal.layer({ url: Redacted.make(url) }))
  yield* prepare(database, "perdure")
  return { url, database, client }
})

describe("two workers with one id", () => {
  it.scopedLive("cannot live at the same time: the second fails with WorkerIdTaken", () =>
    Effect.gen(function*() {
      const { database, url } = yield* setUp
      const first = yield* local({
        url,
        outside: url,
        process: "first",
        worker: { id: "one", leaseDuration: "1500 millis" }
      })
      const incarnation = yield* database.rows("select incarnation from perdure.workers")
      const refused = yield* Effect.flip(
        local({ url, outside: url, process: "second", worker: { id: "one", leaseDuration: "600 millis" } })
      )
      assert.deepStrictEqual(refused, new WorkerIdTaken({ workerId: "one" }))
      assert.deepStrictEqual(yield* database.rows("select incarnation from perdure.workers"), incarnation)
      assert.strictEqual(yield* first.use(Simple.execute({ n: 5 })), 5)
    }))

  it.scopedLive("can follow each other: the second starts when the lease of the killed first one ends", () =>
    Effect.gen(function*() {
      const { client, database, url } = yield* setUp
      const settings = { url, outside: url, id: "one", leaseMillis: 1500 }
      const first = yield* launch({ ...settings, process: "first" })
      yield* first.ready
      const run = yield* Effect.provide(Gated.start({ n: 1 }), client)
      yield* database.until("select 1 from effects where process = 'first'")
      yield* first.signal("SIGKILL")
      yield* first.ended
      yield* database.open("second")
      const second = yield* launch({ ...settings, process: "second" })
      yield* second.ready
      assert.strictEqual(yield* run.result, "second")
      assert.deepStrictEqual(
        yield* database.rows("select distinct worker, epoch from perdure.journal"),
        [{ worker: "one", epoch: 2 }]
      )
      assert.deepStrictEqual((yield* audit(database, database)).violations, [])
    }))
})

/** A clock whose wall time jumps. Its monotonic time is real, as in every operating system. */
const jumping = () => {
  const real = Clock.make()
  let by = 0
  const clock: Clock.Clock = {
    ...real,
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => real.unsafeCurrentTimeMillis() + by,
    currentTimeMillis: Effect.map(real.currentTimeMillis, (now) => now + by),
    unsafeCurrentTimeNanos: () => real.unsafeCurrentTimeNanos(),
    currentTimeNanos: real.currentTimeNanos,
    sleep: (duration) => real.sleep(duration)
  }
  return {
    clock,
    jump: (millis: number) =>
      Effect.sync(() => {
        by += millis
      })
  }
}

describe("a wall clock that jumps", () => {
  it.scopedLive("changes nothing, since the time of the database counts", () => {
    const { clock, jump } = jumping()
    return Effect.gen(function*() {
      const { database, url } = yield* setUp
      yield* jump(-3 * DAY)
      const worker = yield* local({ url, outside: url, process: "here" })
      const [before] = yield* database.rows("select clock_timestamp() as at")
      const waiting = yield* worker.use(Waits.start({ n: 0 }))
      const late = yield* worker.use(Simple.start({ n: 1 }, { delay: "10 days" }))
      for (const by of [5 * DAY, -9 * DAY, 20 * DAY]) {
        yield* jump(by)
        assert.strictEqual(yield* worker.use(Simple.execute({ n: by })), by)
        assert.isTrue(worker.core.lease.isGood)
      }
      yield* worker.use(Go.send(waiting.id, { value: 1 }))
      yield* jump(-40 * DAY)
      yield* worker.use(Go.send(waiting.id, { value: 2 }))
      assert.strictEqual(yield* waiting.result, 3)
      assert.deepStrictEqual(
        yield* database.rows(
          `select 1 from perdure.journal
          where at < $1::timestamptz - interval '1 second' or at > clock_timestamp() + interval '1 second'`,
          [before?.["at"]]
        ),
        []
      )
      assert.deepStrictEqual(
        yield* database.rows(
          `select status, available_at - $2::timestamptz between interval '10 days' and interval '10 days 1 minute' as due
          from perdure.runs where id = $1`,
          [late.id, before?.["at"]]
        ),
        [{ status: "pending", due: true }]
      )
    }).pipe(Effect.withClock(clock))
  })
})

describe("SIGTERM", () => {
  it.scopedLive(
    "ends or releases running runs within the drain timeout, and other workers claim them at once",
    () =>
      Effect.gen(function*() {
        const { client, database, url } = yield* setUp
        // No lease ends in this test, so every run that continues was released.
        const start = (process: string, drainMillis: number) =>
          launch({ url, outside: url, process, id: process, leaseMillis: 600_000, drainMillis, lingerMillis: 60_000 })
        const first = yield* start("first", 300)
        yield* first.ready
        const run = yield* Effect.provide(Gated.start({ n: 1 }), client)
        const waiting = yield* Effect.provide(Waits.start({ n: 1 }), client)
        yield* database.until("select 1 from effects where process = 'first'")
        yield* first.askUntil(`holds ${waiting.id}`, "true")

        // A body that does not end in time is interrupted, and its run is released.
        yield* first.signal("SIGTERM")
        assert.deepStrictEqual(yield* first.ended, { code: 0, signal: null })
        const left = "select id, status, worker, crashes, next_seq from perdure.runs order by available_at"
        assert.deepStrictEqual(yield* database.rows(left), [
          { id: run.id, status: "pending", worker: null, crashes: 0, next_seq: 0 },
          { id: waiting.id, status: "suspended", worker: null, crashes: 0, next_seq: 0 }
        ])
        assert.deepStrictEqual(yield* database.rows("select 1 from perdure.workers"), [])

        // A body that ends in time has an entry. The next worker runs the step after it.
        const second = yield* start("second", 30_000)
        yield* second.ready
        yield* database.until("select 1 from effects where process = 'second'")
        yield* second.signal("SIGTERM")
        yield* second.askUntil("draining", "true")
        yield* database.open("second")
        assert.deepStrictEqual(yield* second.ended, { code: 0, signal: null })
        assert.deepStrictEqual(yield* database.rows(left), [
          { id: run.id, status: "pending", worker: null, crashes: 0, next_seq: 1 },
          { id: waiting.id, status: "suspended", worker: null, crashes: 0, next_seq: 0 }
        ])

        const third = yield* local({ url, outside: url, process: "third", worker: { leaseDuration: "10 minutes" } })
        assert.strictEqual(yield* run.result, "second")
        yield* third.use(Effect.zipRight(Go.send(waiting.id, { value: 1 }), Go.send(waiting.id, { value: 2 })))
        assert.strictEqual(yield* waiting.result, 3)
        assert.deepStrictEqual(
          yield* database.rows("select process, name from effects where run = $1 order by at", [run.id]),
          [
            { process: "first", name: "first" },
            { process: "second", name: "first" },
            { process: "third", name: "second" }
          ]
        )
        assert.deepStrictEqual((yield* audit(database, database)).violations, [])
      }),
    120_000
  )
})
