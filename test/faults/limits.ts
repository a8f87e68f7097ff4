/** Queue limits while workers are killed: exact at every moment, in order, and no slot or key stays taken. */
import { assert, describe, it } from "@effect/vitest"
import * as PgJournal from "@perdure/postgres/PgJournal"
import { freshOn, type Server } from "@perdure/testing/TestDatabase"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { fileURLToPath } from "node:url"
import * as RunQueue from "perdure/RunQueue"
import { Admitted, Capped, Job, Keyed, Plain, queues, Rated } from "./fixtures/jobs.js"
import { connect, launch } from "./harness.js"
import * as Limits from "./limitChecker.js"

const limitsOf = ({ options }: RunQueue.RunQueue): Limits.QueueLimits => {
  const { admission, concurrency, keyConcurrency, rate } = options
  return {
    ...(typeof concurrency === "number" ? { concurrency } : {}),
    ...(typeof admission === "number" ? { admission } : {}),
    ...(typeof keyConcurrency === "number" ? { keyConcurrency } : {}),
    ...(typeof rate === "object"
      ? { rate: { limit: rate.limit, millis: Duration.toMillis(rate.per), burst: rate.burst ?? rate.limit } }
      : {})
  }
}

const limits = Object.fromEntries(queues.map((queue) => [queue.name, limitsOf(queue)]))

const script = fileURLToPath(new URL("./fixtures/jobWorkers.ts", import.meta.url))

export interface Size {
  /** A multiple of 4: each queue gets a quarter. */
  readonly runs: number
  readonly kills: number
  /** Each has two workers. */
  readonly processes: number
}

export const suite = (server: Server, { kills, processes, runs }: Size): void => {
  describe(`queues on ${server.name}`, () => {
    it.scopedLive(
      `keep every limit for ${runs} runs although workers are killed ${kills} times`,
      () =>
        Effect.gen(function*() {
          const { url } = yield* freshOn(server)
          const database = yield* connect(url)
          const test = Effect.gen(function*() {
            for (const statement of Limits.recorder("perdure")) yield* database.rows(statement)
            let launched = 0
            const start = Effect.gen(function*() {
              const scope = yield* Scope.make()
              yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
              return yield* Scope.extend(launch({ url, outside: url, process: `workers ${++launched}` }, script), scope)
            })
            const slots = yield* Effect.replicateEffect(start, processes)
            yield* Effect.forEach(slots, (process) => process.ready)

            const several = <A>(count: number, make: (n: number) => A) =>
              Array.from({ length: count }, (_, n) => make(n))
            const quarter = runs / 4
            yield* Job.startAll(several(quarter, (n) => ({ n, key: `key-${n % (quarter / 25)}` })), { queue: Keyed })
            yield* Job.startAll(several(quarter, (n) => ({ n, key: `key-${n % 5}` })), { queue: Admitted })
            yield* Plain.startAll(several(quarter, (n) => ({ n })), { queue: Capped })
            yield* Plain.startAll(several(quarter, (n) => ({ n })), { queue: Rated })

            for (let kill = 0; kill < kills; kill++) {
              yield* database.until(
                "select 1 from moves where status = 'completed' having count(*) > $1",
                [Math.floor(runs * (0.05 + 0.8 * kill / kills))]
              )
              const victim = slots[kill % processes] ?? assert.fail("no process")
              yield* victim.ready
              yield* victim.signal("SIGKILL")
              yield* victim.ended
              slots[kill % processes] = yield* start
            }
            yield* database.until("select 1 from moves where status = 'completed' having count(*) = $1", [runs])

            const moves = (yield* database.rows(Limits.moves)).map(Limits.readMove)
            assert.deepStrictEqual(Limits.violations(moves, limits), [])
            // The limits were reached, so the test proves that they apply.
            assert.deepStrictEqual(Limits.unreached(moves, limits), [])
            for (const { name } of queues) {
              const { ready, running, suspended } = yield* RunQueue.counts(name)
              assert.deepStrictEqual({ ready, running, suspended }, { ready: 0, running: 0, suspended: 0 })
            }
            assert.deepStrictEqual(yield* database.rows("select queue, key from perdure.turns where queue <> ''"), [])
          })
          const journal = PgJournal.layer({ url: Redacted.make(url) })
          yield* Effect.provide(
            test,
            Layer.provideMerge(Layer.mergeAll(Capped.layer, Rated.layer, Keyed.layer, Admitted.layer), journal)
          )
        }),
      300_000
    )
  })
}
