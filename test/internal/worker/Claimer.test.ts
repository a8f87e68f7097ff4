/** The claimer, by its `runOnce` over a driver that the test changes. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { JournalError } from "perdure/Errors"
import { Claimer, type ClaimerOptions } from "perdure/internal/worker/Claimer"
import { Journal, type JournalService } from "perdure/Journal"
import { JournalDriver } from "perdure/JournalDriver"
import * as JournalMemory from "perdure/JournalMemory"
import * as Workflow from "perdure/Workflow"
import { makeWorld } from "../../fixtures/world.js"

const Job = Workflow.make("Job", { payload: {} })

const down = new JournalError({ code: "Unavailable", operation: "x", detail: "simulated", retryable: true })

/** A journal with one registered workflow, over a memory driver with the given changes. */
const setUp = (change: (driver: JournalDriver) => Partial<JournalDriver> = () => ({})) =>
  Effect.gen(function*() {
    const memory = yield* JournalMemory.make
    yield* memory.heartbeat({ worker: { id: "w", incarnation: "1" }, leaseMillis: 1e9, info: null })
    const driver = { ...memory, ...change(memory) }
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
    capacity: () => 5 - adopted.length,
    hot: () => new Map(),
    claimed: () => undefined,
    adopt: (runs) => void adopted.push(...runs.map(({ id }) => id)),
    park: () => Effect.void,
    lapses: () => 0,
    suspect: () => void suspicions++,
    mayClaim: () => true,
    ...options
  })
  return { made, adopted, suspicions: () => suspicions }
}

describe("the claimer", () => {
  it.scoped("claims as many runs as it has capacity for, and notes the backlog", () =>
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

  it.scoped("calls no storage without capacity or lease", () =>
    Effect.gen(function*() {
      const { journal, start } = yield* setUp(() => ({ claim: () => Effect.die("asked") }))
      yield* start(1)
      assert.strictEqual(yield* claimer(journal, { capacity: () => 0 }).made.runOnce, 0)
      assert.strictEqual(yield* claimer(journal, { mayClaim: () => false }).made.runOnce, 0)
    }))

  it.scoped("suspects that runs were claimed when the result is lost", () =>
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
    succeeds: Effect.void,
    fails: down,
    dies: Effect.dieMessage("simulated"),
    "is interrupted": Effect.interrupt,
    "never returns": Effect.never
  }
  it.scoped.each(Object.entries(ends))(
    "releases the offered machines when the claim %s, after its runs are adopted",
    ([_, end]) =>
      Effect.gen(function*() {
        const events: Array<string> = []
        const { journal, start } = yield* setUp((driver) => ({
          claim: (request) => Effect.zipRight(end, driver.claim(request))
        }))
        yield* start(1)
        const { made } = claimer(journal, {
          hot: () => {
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

  it.scoped("adopts no run that was claimed before the lease ran out", () =>
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

  it.scoped("does not spin on a due run while it has no capacity", () =>
    Effect.gen(function*() {
      let looks = 0
      const { journal, start } = yield* setUp()
      yield* start(1)
      const { made } = claimer(journal, {
        capacity: () => {
          looks++
          return 0
        }
      })
      yield* Effect.forkScoped(made.run)
      yield* TestClock.adjust("10 seconds")
      assert.isAtMost(looks, 20)
    }))
})

describe("a claimed run that cannot be read", () => {
  it.scoped("is parked with the reason, once; the other runs of the claim execute", () =>
    Effect.gen(function*() {
      let culprit = ""
      let claims = 0
      const world = yield* makeWorld((driver) => ({
        ...driver,
        claim: (request) =>
          Effect.map(driver.claim(request), ({ now, value }) => {
            const { runs, ...rest } = value
            const bad = runs.filter(({ id }) => id === culprit)
            claims += bad.length
            const unreadable = bad.map(({ epoch, id, nextSeq }) => ({ id, epoch, nextSeq, detail: "field kind" }))
            return { now, value: { ...rest, runs: runs.filter(({ id }) => id !== culprit), unreadable } }
          })
      }))
      const runs = yield* world.use(Job.startAll([{}, {}, {}]))
      culprit = runs[1]?.id ?? ""
      yield* world.launch(Job.toLayer(() => Effect.void))
      yield* TestClock.adjust("10 minutes")
      const records = yield* Effect.forEach(runs, ({ id }) => world.record(id))
      assert.deepStrictEqual(records.map(({ status }) => status), ["completed", "diverged", "completed"])
      assert.strictEqual(records[1]?.detail, JSON.stringify({ reason: "unreadable", detail: "field kind" }))
      assert.strictEqual(claims, 1)
    }))
})
