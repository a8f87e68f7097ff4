/** The loops of a worker, each by its `runOnce` over a driver that answers as it is told. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { JournalError } from "perdure/Errors"
import { Claimer, type ClaimerOptions } from "perdure/internal/worker/Claimer"
import { Lease } from "perdure/internal/worker/Lease"
import { Journal, type JournalService } from "perdure/Journal"
import { JournalDriver } from "perdure/JournalDriver"
import * as JournalMemory from "perdure/JournalMemory"
import * as Workflow from "perdure/Workflow"

const Job = Workflow.make("Job", { payload: {} })

const down = new JournalError({ code: "Unavailable", operation: "x", detail: "simulated", retryable: true })

/** A journal with one workflow registered, over a driver that is changed by the test. */
const setUp = (bend: (driver: JournalDriver) => Partial<JournalDriver> = () => ({})) =>
  Effect.gen(function*() {
    const memory = yield* JournalMemory.make
    yield* memory.heartbeat({ worker: { id: "w", incarnation: "1" }, leaseMillis: 1e9, info: null })
    const driver = { ...memory, ...bend(memory) }
    const layer = Journal.layer().pipe(Layer.provide(Layer.succeed(JournalDriver, driver)))
    const context = yield* Layer.build(Layer.provideMerge(Job.toLayer(() => Effect.void), layer))
    const journal = yield* Effect.provide(Journal, context)
    return {
      journal,
      memory,
      start: (count: number) => Effect.provide(Job.startAll(Array.from({ length: count }, () => ({}))), context)
    }
  })

const claimer = (journal: JournalService, options: Partial<ClaimerOptions> = {}) => {
  const adopted: Array<string> = []
  let suspicions = 0
  const made = new Claimer(journal, {
    worker: { id: "w", incarnation: "1" },
    queues: ["default"],
    batch: 10,
    pollMillis: 1000,
    concurrency: 5,
    freeSlots: () => 5 - adopted.length,
    held: () => new Map(),
    claimed: () => undefined,
    adopt: (runs) => void adopted.push(...runs.map(({ id }) => id)),
    lapses: () => 0,
    suspect: () => void suspicions++,
    mayClaim: () => true,
    ...options
  })
  return { made, adopted, suspicions: () => suspicions }
}

describe("the claimer", () => {
  it.scoped("takes as many runs as there are slots, and knows that there are more", () =>
    Effect.gen(function*() {
      const { journal, start } = yield* setUp()
      const { adopted, made } = claimer(journal)
      assert.strictEqual(yield* made.runOnce, 0)
      assert.isFalse(made.backlog)
      yield* start(7)
      assert.strictEqual(yield* made.runOnce, 5)
      assert.isTrue(made.backlog)
      assert.strictEqual(yield* made.runOnce, 0)
      adopted.length = 0
      assert.strictEqual(yield* made.runOnce, 2)
      assert.isFalse(made.backlog)
    }))

  it.scoped("asks nothing of storage without slots, lease or workflows", () =>
    Effect.gen(function*() {
      const { journal, start } = yield* setUp(() => ({ claim: () => Effect.die("asked") }))
      yield* start(1)
      assert.strictEqual(yield* claimer(journal, { freeSlots: () => 0 }).made.runOnce, 0)
      assert.strictEqual(yield* claimer(journal, { mayClaim: () => false }).made.runOnce, 0)
    }))

  it.scoped("suspects that runs were claimed when the answer does not come", () =>
    Effect.gen(function*() {
      const { journal, start } = yield* setUp((driver) => ({
        claim: (request) => Effect.zipRight(driver.claim(request), down)
      }))
      yield* start(1)
      const { adopted, made, suspicions } = claimer(journal)
      assert.deepStrictEqual(yield* Effect.flip(made.runOnce), down)
      assert.strictEqual(suspicions(), 1)
      assert.deepStrictEqual(adopted, [])
    }))

  const ends: Record<string, Effect.Effect<void, JournalError>> = {
    "is answered": Effect.void,
    fails: down,
    dies: Effect.dieMessage("simulated"),
    "is interrupted": Effect.interrupt,
    "is given up": Effect.never
  }
  it.scoped.each(Object.entries(ends))(
    "lets go of what it keeps for a claim when that %s, after its runs are taken",
    ([_, end]) =>
      Effect.gen(function*() {
        const events: Array<string> = []
        const { journal, start } = yield* setUp((driver) => ({
          claim: (request) => Effect.zipRight(end, driver.claim(request))
        }))
        yield* start(1)
        const { made } = claimer(journal, {
          held: () => {
            events.push("offered")
            return new Map()
          },
          adopt: () => void events.push("adopted"),
          claimed: () => void events.push("released")
        })
        const claiming = yield* Effect.fork(made.runOnce)
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(claiming)
        assert.deepStrictEqual(events.filter((event) => event !== "adopted"), ["offered", "released"])
        assert.isBelow(events.indexOf("adopted"), events.indexOf("released"))
      })
  )

  it.scoped("takes nothing that was claimed before the lease ran out", () =>
    Effect.gen(function*() {
      let lapses = 0
      const { journal, start } = yield* setUp((driver) => ({
        claim: (request) => Effect.tap(driver.claim(request), () => Effect.sync(() => lapses++))
      }))
      yield* start(1)
      const { adopted, made, suspicions } = claimer(journal, { lapses: () => lapses })
      yield* made.runOnce
      assert.deepStrictEqual([adopted.length, suspicions()], [0, 1])
    }))

  it.scoped("does not spin on a run that is due while it has no slot", () =>
    Effect.gen(function*() {
      let looks = 0
      const { journal, start } = yield* setUp()
      yield* start(1)
      const { made } = claimer(journal, {
        freeSlots: () => {
          looks++
          return 0
        }
      })
      yield* Effect.forkScoped(made.run)
      yield* TestClock.adjust("10 seconds")
      assert.isAtMost(looks, 20)
    }))
})

describe("the lease", () => {
  const lease = (journal: JournalService, id: string, incarnation: string) => {
    const changes: Array<string> = []
    const made = new Lease(journal, {
      worker: { id, incarnation },
      leaseMillis: 9000,
      maxCrashes: 3,
      onLapse: Effect.sync(() => void changes.push("lapse")),
      onChange: () => void changes.push("change")
    })
    return { made, changes }
  }

  it.scoped("is good from the moment before the beat, for as long as it lasts", () =>
    Effect.gen(function*() {
      const { journal } = yield* setUp()
      const { changes, made } = lease(journal, "w", "1")
      assert.isFalse(made.isGood)
      assert.isTrue(yield* made.beat)
      assert.isTrue(made.isGood)
      yield* TestClock.adjust("8999 millis")
      assert.isTrue(made.isGood)
      yield* TestClock.adjust("1 millis")
      assert.isFalse(made.isGood)
      assert.isTrue(yield* made.beat)
      assert.deepStrictEqual(changes, ["change", "lapse", "change"])
    }))

  it.scoped("is another's while that one lives", () =>
    Effect.gen(function*() {
      const { journal } = yield* setUp()
      const first = lease(journal, "w", "1")
      const second = lease(journal, "w", "2")
      yield* first.made.beat
      assert.isFalse(yield* second.made.beat)
      assert.isFalse(second.made.isGood)
      yield* TestClock.adjust("9 seconds")
      assert.isTrue(yield* second.made.beat)
      assert.isFalse(yield* first.made.beat, "and the first one learns it")
    }))

  it.scoped("outlives two beats that fail", () =>
    Effect.gen(function*() {
      let failing = 0
      const { journal } = yield* setUp((driver) => ({
        heartbeat: (request) => failing-- > 0 ? down : driver.heartbeat(request)
      }))
      const { made } = lease(journal, "w", "1")
      yield* made.beat
      yield* Effect.forkScoped(made.run)
      failing = 2
      yield* TestClock.adjust("8 seconds")
      assert.isTrue(made.isGood)
      yield* TestClock.adjust("30 seconds")
      assert.isTrue(made.isGood)
    }))

  it.scoped("of the dead is over: their runs are freed, at the ceiling exhausted", () =>
    Effect.gen(function*() {
      const { journal, memory, start } = yield* setUp()
      const dead = lease(journal, "dead", "1")
      const reaper = lease(journal, "reaper", "1")
      const [run] = yield* start(1)
      const id = run?.id ?? ""
      for (const crashes of [1, 2, 3]) {
        yield* dead.made.beat
        const { made } = claimer(journal, { worker: { id: "dead", incarnation: "1" } })
        assert.strictEqual(yield* made.runOnce, 1)
        assert.strictEqual(yield* reaper.made.reapOnce, 0)
        yield* TestClock.adjust("9 seconds")
        assert.strictEqual(yield* reaper.made.reapOnce, 1)
        const { value: [record] } = yield* memory.get([id])
        assert.deepInclude(record, { crashes, status: crashes < 3 ? "pending" : "exhausted" })
      }
    }))
})
