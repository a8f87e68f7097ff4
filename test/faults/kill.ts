/** Worker processes are killed under load: no run is lost, and no step runs again once its entry is durable. */
import { assert, describe, it } from "@effect/vitest"
import * as PgJournal from "@perdure/postgres/PgJournal"
import { freshOn, type Server } from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { audit } from "./audit.js"
import { ending, expected, Go, Mixed, stepsOf } from "./fixtures/mixed.js"
import { connect, launch, prepare } from "./harness.js"

/** How many bodies a run and its children begin, at least. */
const BODIES = 13

export interface Size {
  /** A multiple of 6. */
  readonly runs: number
  readonly kills: number
}

export const suite = (server: Server, { kills, runs: count }: Size): void => {
  describe(`worker processes on ${server.name}`, () => {
    it.scopedLive(`complete ${count} runs although ${kills} of them are killed`, () =>
      Effect.gen(function*() {
        const { url } = yield* freshOn(server)
        const database = yield* connect(url)
        const test = Effect.gen(function*() {
          yield* prepare(database, "perdure")
          let launched = 0
          const start = Effect.gen(function*() {
            const scope = yield* Scope.make()
            yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
            return yield* Scope.extend(launch({ url, outside: url, process: `worker ${++launched}` }), scope)
          })
          const slots = [yield* start, yield* start]
          yield* Effect.forEach(slots, (worker) => worker.ready)

          const runs = yield* Mixed.startAll(Array.from({ length: count }, (_, n) => ({ n })))
          // Every signal is sent twice with one id, half of them before the run can receive it.
          const signalled = runs.flatMap((run, n) => n % 3 === 0 ? [{ run, n }] : [])
          const send = (each: ReadonlyArray<(typeof signalled)[number]>) =>
            Effect.forEach(each, ({ n, run }) => Go.send(run.id, { value: n }, { id: "go" }), { concurrency: 4 })
          yield* send(signalled.slice(0, count / 6))

          const all = count * BODIES
          for (let kill = 0; kill < kills; kill++) {
            const moment = Math.floor(all * (0.05 + 0.75 * kill / kills))
            yield* database.until("select 1 from effects having count(*) > $1", [moment])
            const victim = slots[kill % slots.length] ?? assert.fail("no worker")
            yield* victim.ready
            // Kill a worker only while it executes runs.
            yield* database.until("select 1 from effects where process = $1 limit 1", [victim.name])
            yield* victim.signal("SIGKILL")
            assert.deepStrictEqual(yield* victim.ended, { code: null, signal: "SIGKILL" })
            slots[kill % slots.length] = yield* start
            if (kill === Math.min(1, kills - 1)) yield* send(signalled)
          }
          yield* database.until(
            "select 1 where not exists (select from perdure.runs where status in ('pending', 'running', 'suspended'))"
          )
          // Signals to runs that have ended have no effect.
          yield* send(signalled.slice(0, 10))

          const result = yield* audit(database, database)
          assert.deepStrictEqual(result.violations, [])
          assert.strictEqual(result.runs, count * 3)
          const records = yield* Effect.forEach(runs, (run) => run.record, { concurrency: 8 })
          records.forEach((record, n) => assert.deepStrictEqual(ending(record), expected(n)))
          const steps = yield* database.rows(
            `select json_object_agg(name, count) as counts from (
            select run, name, count(*)::int as count from perdure.journal
            where kind = 'step' and run = any ($1) group by run, name
          ) x group by run order by array_position($1, run)`,
            [runs.map(({ id }) => id)]
          )
          assert.deepStrictEqual(steps.map(({ counts }) => counts), runs.map((_, n) => stepsOf(n)))
          // Each child is started once, and each signal is delivered once.
          assert.deepStrictEqual(
            yield* database.rows(
              "select count(*)::int as children, count(distinct parent_id)::int as parents from perdure.inputs where parent_id is not null"
            ),
            [{ children: count * 2, parents: count }]
          )
          assert.deepStrictEqual(
            yield* database.rows(
              `select name, count(*)::int as count, bool_and(consumed) as consumed from perdure.inbox
            where kind = 'signal' group by name order by name`
            ),
            [{ name: "Go", count: count / 3, consumed: true }, { name: "Report", count: count * 2, consumed: true }]
          )
          assert.deepStrictEqual(yield* database.rows("select count(*)::int as count from ledger"), [{ count }])
          assert.isAtLeast(result.executions, count * BODIES)
          for (const worker of slots) assert.isTrue(worker.isAlive(), worker.log())
        })
        yield* Effect.provide(test, PgJournal.layer({ url: Redacted.make(url) }))
      }), 300_000)
  })
}
