/** Limits of queues under many workers that are killed: exact at every moment, in order, and nothing is left taken. */
import { assert, describe, it } from "@effect/vitest"
import * as PgJournal from "@perdure/postgres/PgJournal"
import * as TestDatabase from "@perdure/testing/TestDatabase"
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
import * as Limits from "./limits.js"

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

/** Processes of two workers each. */
const PROCESSES = 4

const sizes = TestDatabase.servers.map((server, index) =>
  index === 0
    ? { server, name: server.name, RUNS: 10_000, KILLS: 8 }
    : { server, name: server.name, RUNS: 1_000, KILLS: 2 }
)

describe.each(sizes)("$name", ({ KILLS, RUNS, server }) => {
  it.scopedLive(
    `holds every limit for ${RUNS} runs though workers are killed ${KILLS} times`,
    () =>
      Effect.gen(function*() {
        const { url } = yield* TestDatabase.freshOn(server)
        const database = yield* connect(url)
        const test = Effect.gen(function*() {
          for (const statement of Limits.recorder("perdure")) yield* database.rows(statement)
          let launched = 0
          const start = Effect.gen(function*() {
            const scope = yield* Scope.make()
            yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
            return yield* Scope.extend(launch({ url, outside: url, process: `workers ${++launched}` }, script), scope)
          })
          const slots = yield* Effect.replicateEffect(start, PROCESSES)
          yield* Effect.forEach(slots, (process) => process.ready)

          const several = <A>(count: number, make: (n: number) => A) => Array.from({ length: count }, (_, n) => make(n))
          const quarter = RUNS / 4
          yield* Job.startAll(several(quarter, (n) => ({ n, key: `key-${n % 100}` })), { queue: Keyed })
          yield* Job.startAll(several(quarter, (n) => ({ n, key: `key-${n % 20}` })), { queue: Admitted })
          yield* Plain.startAll(several(quarter, (n) => ({ n })), { queue: Capped })
          yield* Plain.startAll(several(quarter, (n) => ({ n })), { queue: Rated })

          for (let kill = 0; kill < KILLS; kill++) {
            yield* database.until(
              "select 1 from moves where status = 'completed' having count(*) > $1",
              [Math.floor(RUNS * (0.05 + 0.8 * kill / KILLS))]
            )
            const victim = slots[kill % PROCESSES] ?? assert.fail("no process")
            yield* victim.ready
            yield* victim.signal("SIGKILL")
            yield* victim.ended
            slots[kill % PROCESSES] = yield* start
          }
          yield* database.until("select 1 from moves where status = 'completed' having count(*) = $1", [RUNS])

          const moves = (yield* database.rows(Limits.moves)).map(Limits.readMove)
          assert.deepStrictEqual(Limits.violations(moves, limits), [])
          // The limits were reached, so that they were what held.
          for (const [name, { concurrency }] of Object.entries(limits)) {
            if (concurrency === undefined) continue
            const less = Limits.violations(moves, { [name]: { concurrency: concurrency - 1 } })
            assert.isNotEmpty(less, `${name} was never full`)
          }
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
    240_000
  )
})

describe("the checker", () => {
  const move = (run: string, status: string, change: Partial<Limits.Move> = {}): Limits.Move => ({
    run,
    status,
    queue: "q",
    key: null,
    started: null,
    place: run,
    ...change
  })
  const found = (limit: Limits.QueueLimits, ...moves: ReadonlyArray<Limits.Move>) =>
    Limits.violations(moves, { q: limit }).length > 0

  it("sees one run too many, one that never ends, one out of turn, and one too early", () => {
    const [a, b, done] = [move("a", "running"), move("b", "running"), move("a", "completed")]
    const end = move("b", "completed")
    assert.isTrue(found({ concurrency: 1 }, a, b, done, end))
    assert.isFalse(found({ concurrency: 1 }, a, done, b, end))
    assert.isTrue(found({ admission: 1 }, a, move("a", "suspended"), b, end, done))
    assert.isFalse(found({ concurrency: 1 }, a, move("a", "suspended"), b, end, done))
    assert.isTrue(found({}, a, b, done))
    const k = { key: "k" }
    const waiting = [move("a", "pending", k), move("b", "pending", k)]
    const ended = (run: string) => [move(run, "running", k), move(run, "completed", k)]
    assert.isTrue(found({ keyConcurrency: 1 }, ...waiting, ...ended("b"), ...ended("a")))
    assert.isFalse(found({ keyConcurrency: 1 }, ...waiting, ...ended("a"), ...ended("b")))
    const rate = { limit: 1, millis: 100, burst: 2 }
    const at = (
      run: string,
      started: number
    ) => [move(run, "running", { started }), move(run, "completed", { started })]
    assert.isTrue(found({ rate }, ...at("a", 0), ...at("b", 0), ...at("c", 99)))
    assert.isFalse(found({ rate }, ...at("a", 0), ...at("b", 0), ...at("c", 100), ...at("d", 200)))
  })
})
