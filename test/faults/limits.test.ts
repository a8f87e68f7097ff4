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
          yield* Job.startAll(several(quarter, (n) => ({ n, key: `key-${n % 5}` })), { queue: Admitted })
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
  const [a, b, done, end] = [
    move("a", "running"),
    move("b", "running"),
    move("a", "completed"),
    move("b", "completed")
  ]
  const violations = (limit: Limits.QueueLimits, ...moves: ReadonlyArray<Limits.Move>) =>
    Limits.violations(moves, { q: limit })
  const reaches = (limit: Limits.QueueLimits, ...moves: ReadonlyArray<Limits.Move>) =>
    Limits.unreached(moves, { q: limit }).length === 0

  it("sees one running too many", () => {
    assert.deepStrictEqual(violations({ concurrency: 1 }, a, b, done, end), [
      "q: 2 running at move 1, the limit is 1"
    ])
    assert.deepStrictEqual(violations({ concurrency: 1 }, a, done, b, end), [])
    assert.deepStrictEqual(violations({ concurrency: 1 }, a, move("a", "suspended"), b, end, done), [])
    // One that comes back counts again.
    const back = [a, move("a", "suspended"), b, a, done, end]
    assert.lengthOf(violations({ concurrency: 1 }, ...back), 1)
    assert.deepStrictEqual(violations({ concurrency: 2 }, ...back), [])
  })

  it("sees one live too many", () => {
    const asleep = [a, move("a", "suspended"), b, end, done]
    assert.deepStrictEqual(violations({ admission: 1 }, ...asleep), ["q: 2 live at move 2, the limit is 1"])
    assert.deepStrictEqual(violations({ admission: 2 }, ...asleep), [])
    assert.deepStrictEqual(violations({ admission: 1 }, a, move("a", "suspended"), done, b, end), [])
  })

  it("sees one of a key too many, and who did not wait for its turn", () => {
    const k = { key: "k" }
    const waiting = [move("a", "pending", k), move("b", "pending", k)]
    const ended = (run: string, change = k) => [move(run, "running", change), move(run, "completed", change)]
    assert.deepStrictEqual(violations({ keyConcurrency: 1 }, ...waiting, ...ended("b"), ...ended("a")), [
      "q: key k did not go in order"
    ])
    assert.deepStrictEqual(violations({ keyConcurrency: 1 }, ...waiting, ...ended("a"), ...ended("b")), [])
    assert.deepStrictEqual(violations({ keyConcurrency: 2 }, ...waiting, ...ended("b"), ...ended("a")), [])
    const both = ["running", "completed"].flatMap((status) => [move("a", status, k), move("b", status, k)])
    assert.deepStrictEqual(violations({ keyConcurrency: 1 }, ...waiting, ...both), [
      "q: 2 live of key k at move 3, the limit is 1"
    ])
    assert.deepStrictEqual(violations({ keyConcurrency: 2 }, ...waiting, ...both), [])
    const apart = both.map((each) => each.run === "b" ? { ...each, key: "l" } : each)
    assert.deepStrictEqual(violations({ keyConcurrency: 1 }, ...apart), [])
    assert.deepStrictEqual(violations({ keyConcurrency: 1 }, a, b, done, end), [])
  })

  const at = (run: string, started: number) => [
    move(run, "running", { started }),
    move(run, "completed", { started })
  ]
  const rate = { limit: 1, millis: 100, burst: 2 }

  it("sees a start too early", () => {
    assert.lengthOf(violations({ rate }, ...at("a", 0), ...at("b", 0), ...at("c", 99)), 1)
    assert.deepStrictEqual(violations({ rate }, ...at("a", 0), ...at("b", 0), ...at("c", 100), ...at("d", 200)), [])
    // A bucket is not filled above its brim.
    assert.lengthOf(violations({ rate }, ...at("a", 0), ...at("b", 1_000), ...at("c", 1_000), ...at("d", 1_000)), 1)
  })

  it("sees one that never ends", () => {
    assert.deepStrictEqual(violations({}, a, b, done), ["q: 1 are running at the end", "q: 1 have not ended"])
    assert.deepStrictEqual(violations({}, a, move("a", "suspended")), ["q: 1 have not ended"])
  })

  it("sees a limit that was never reached", () => {
    const waits = move("b", "pending")
    assert.isTrue(reaches({ concurrency: 1 }, waits, a, done, b, end))
    assert.isFalse(reaches({ concurrency: 2 }, waits, a, done, b, end))
    assert.isFalse(reaches({ concurrency: 1 }, a, done, waits, b, end), "nobody waited")
    assert.isTrue(reaches({ admission: 1 }, waits, a, move("a", "suspended"), done, b, end))
    assert.isFalse(reaches({ admission: 2 }, waits, a, move("a", "suspended"), done, b, end))
    const [k, l] = [{ key: "k" }, { key: "l" }]
    const first = [move("a", "running", k), move("a", "completed", k)]
    assert.isTrue(reaches({ keyConcurrency: 1 }, move("b", "pending", k), ...first))
    assert.isFalse(reaches({ keyConcurrency: 1 }, move("b", "pending", l), ...first))
    assert.isFalse(reaches({ keyConcurrency: 2 }, move("b", "pending", k), ...first))
    assert.isTrue(reaches({ rate }, ...at("a", 0), ...at("b", 50)))
    assert.isFalse(reaches({ rate }, ...at("a", 0), ...at("b", 100)))
  })
})
