/** A worker process is frozen for longer than its lease and continues after another worker has claimed its runs. */
import { assert, describe, it } from "@effect/vitest"
import * as PgJournal from "@perdure/postgres/PgJournal"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { audit } from "./audit.js"
import { Gated, Go, Simple, Waits } from "./fixtures/mixed.js"
import { connect, launch, prepare } from "./harness.js"

const RUNS = 8

describe.each(TestDatabase.servers)("a frozen worker on $name", (server) => {
  it.scopedLive(
    "writes nothing to the runs that it lost, starts none of their steps, and then works again",
    () =>
      Effect.gen(function*() {
        const { url } = yield* TestDatabase.freshOn(server)
        const database = yield* connect(url)
        const start = (process: string, leaseMillis: number) =>
          launch({ url, outside: url, process, id: process, leaseMillis, lingerMillis: 60_000 })
        const test = Effect.gen(function*() {
          yield* prepare(database, "perdure")
          const zombie = yield* start("zombie", 1500)
          yield* zombie.ready
          const gated = yield* Gated.startAll(Array.from({ length: RUNS }, (_, n) => ({ n })))
          const waiting = yield* Waits.start({ n: 0 })
          const ids = gated.map(({ id }) => id)
          yield* database.until("select 1 from effects where name = 'first' having count(*) = $1", [RUNS])
          yield* zombie.askUntil(`holds ${waiting.id}`, "true")
          const healthy = yield* start("healthy", 4000)
          yield* healthy.ready
          assert.deepStrictEqual(
            yield* database.rows("select distinct worker from perdure.runs where status = 'running'"),
            [{ worker: "zombie" }]
          )

          yield* zombie.signal("SIGSTOP")
          yield* database.until("select 1 from perdure.workers where id = 'zombie' and lease_until < clock_timestamp()")
          yield* database.open("healthy")
          yield* Go.send(waiting.id, { value: 1 }, { id: "1" })
          yield* database.until("select 1 from perdure.runs where status = 'completed' having count(*) = $1", [RUNS])
          yield* database.until("select 1 from effects where run = $1 and name = 'between'", [waiting.id])
          yield* healthy.askUntil(`holds ${waiting.id}`, "true")

          // Its bodies end, and it continues with their next steps and with new runs, too late.
          yield* database.open("zombie")
          const before = yield* database.rows("select * from perdure.journal order by run, seq")
          yield* zombie.signal("SIGCONT")
          yield* database.until("select 1 from perdure.workers where id = 'zombie' and lease_until > clock_timestamp()")
          for (const id of [...ids, waiting.id]) yield* zombie.askUntil(`holds ${id}`, "false")
          assert.strictEqual(yield* zombie.ask("hot"), "0")
          assert.deepStrictEqual(yield* database.rows("select * from perdure.journal order by run, seq"), before)
          assert.deepStrictEqual(
            yield* database.rows("select distinct worker, epoch from perdure.journal where run = any ($1)", [ids]),
            [{ worker: "healthy", epoch: 2 }]
          )
          assert.deepStrictEqual(
            yield* database.rows(
              "select process, name, count(*)::int as count from effects group by process, name order by process, name"
            ),
            [
              { process: "healthy", name: "between", count: 1 },
              { process: "healthy", name: "first", count: RUNS },
              { process: "healthy", name: "second", count: RUNS },
              { process: "zombie", name: "first", count: RUNS }
            ]
          )

          // The healthy worker stops. The frozen one claims new runs and those that it had lost.
          yield* healthy.signal("SIGTERM")
          assert.deepStrictEqual(yield* healthy.ended, { code: 0, signal: null })
          const simple = yield* Simple.startAll(Array.from({ length: RUNS }, (_, n) => ({ n })))
          yield* Go.send(waiting.id, { value: 10 }, { id: "2" })
          assert.strictEqual(yield* waiting.result, 11)
          assert.deepStrictEqual(yield* Effect.forEach(simple, (run) => run.result), simple.map((_, n) => n))
          assert.deepStrictEqual(
            yield* database.rows("select distinct process from effects where name = 'only'"),
            [{ process: "zombie" }]
          )
          assert.deepStrictEqual(yield* Effect.forEach(gated, (run) => run.result), gated.map(() => "healthy"))
          assert.deepStrictEqual((yield* audit(database, database)).violations, [])
          assert.isTrue(zombie.isAlive(), zombie.log())
        })
        yield* Effect.provide(test, PgJournal.layer({ url: Redacted.make(url) }))
      }),
    120_000
  )
})
