/** Delays, deadlines and sleeps: whose clock they go by, fractions of milliseconds, and how long they can be. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import type { Answer, JournalDriver } from "perdure/JournalDriver"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { misuseOf } from "./fixtures/misuse.js"
import { makeWorld, soon } from "./fixtures/world.js"

const Job = Workflow.make("Job", { payload: {}, success: Schema.Unknown })

const HOUR = 3_600_000

/** The clock of storage is this far ahead of the process's. */
const AHEAD_MILLIS = 600_000

const ahead = (driver: JournalDriver): JournalDriver => {
  const later = <A>({ now, value }: Answer<A>): Answer<A> => ({ now: now + AHEAD_MILLIS, value })
  return {
    ...driver,
    get: (runs) => Effect.map(driver.get(runs), later),
    enqueue: (request) => Effect.map(driver.enqueue(request), later)
  }
}

describe("the first start of a process", () => {
  it.scoped("with a delay and a deadline goes by the clock of storage", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld(ahead)
      const run = yield* world.use(Job.start({}, { delay: "1 hour", expiresIn: "2 hours" }))
      const { availableAt, expiresAt } = yield* world.record(run.id)
      assert.deepStrictEqual([availableAt, expiresAt], [AHEAD_MILLIS + HOUR, AHEAD_MILLIS + 2 * HOUR])
    }))

  it.scoped("goes by the clock of storage after a read of an id that no storage can hold", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld(ahead)
      yield* Effect.exit(world.use(Effect.flatMap(Job.attach("a\u0000b"), (run) => run.record)))
      const run = yield* world.use(Job.start({}, { delay: "1 hour" }))
      assert.strictEqual((yield* world.record(run.id)).availableAt, AHEAD_MILLIS + HOUR)
    }))

  it.scoped("without a delay or a deadline asks storage nothing first", () =>
    Effect.gen(function*() {
      let reads = 0
      const world = yield* makeWorld((driver) => ({
        ...driver,
        get: (runs) => {
          reads++
          return driver.get(runs)
        }
      }))
      yield* world.use(Job.start({}))
      yield* world.use(Job.start({}, { startsAt: new Date(HOUR), expiresAt: new Date(2 * HOUR) }))
      assert.strictEqual(reads, 0)
    }))
})

describe("a start whose deadline comes before its delay", () => {
  it.scoped("dies with Misuse, however the two instants are given", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const soon = new Date(HOUR / 6)
      const late = new Date(HOUR)
      const refused: ReadonlyArray<Workflow.StartOptions> = [
        { delay: "1 hour", expiresIn: "10 minutes" },
        { delay: "1 hour", expiresIn: "1 hour" },
        { startsAt: late, expiresAt: soon },
        { startsAt: late, expiresIn: "10 minutes" },
        { delay: "1 hour", expiresAt: soon },
        { delay: Infinity, expiresAt: soon }
      ]
      for (const options of refused) {
        const problem = yield* misuseOf(world.use(Job.start({}, options)))
        assert.match(problem, /expires at 1970-01-01T0[01]:.*so it never starts: use a longer "expiresIn"/)
      }
      assert.deepStrictEqual(world.writes, [])
      yield* world.use(Job.start({}, { delay: "1 hour", expiresIn: "61 minutes" }))
      yield* world.use(Job.start({}, { delay: "1 hour", expiresIn: Infinity }))
    }))

  it.scoped("dies with Misuse also as a child, and if a debounce is the delay", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const Parent = Workflow.make("Parent", { payload: {}, success: Schema.Unknown })
      yield* world.launch(Parent.toLayer(() => Effect.orDie(Job.start({}, { delay: "1 hour", expiresIn: "1 minute" }))))
      const parent = yield* world.use(Parent.start({}))
      yield* TestClock.adjust("1 second")
      const { exit, status } = yield* world.record(parent.id)
      assert.strictEqual(status, "failed")
      assert.match(exit?.value ?? "", /so it never starts/)

      const Calm = Workflow.make("Calm", { payload: {}, debounce: { key: () => "k", quiet: "1 hour" } })
      assert.match(yield* misuseOf(world.use(Calm.start({}, { expiresIn: "1 minute" }))), /so it never starts/)
      yield* world.use(Calm.start({}, { expiresIn: "2 hours" }))
    }))
})

describe("a sleep of a fraction of a millisecond", () => {
  it.scoped("ends in the next whole millisecond, with and without a machine in memory", () =>
    Effect.gen(function*() {
      for (const lingerDuration of ["0 seconds", "1 hour"] as const) {
        const world = yield* makeWorld()
        yield* world.launch(Job.toLayer(() => Effect.sleep("60000.5 millis")), { lingerDuration, hot: { capacity: 0 } })
        const run = yield* world.use(Job.start({}))
        yield* TestClock.adjust("60000.5 millis")
        assert.notStrictEqual((yield* world.record(run.id)).status, "completed")
        yield* TestClock.adjust("0.5 millis")
        const { finishedAt, startedAt, status } = yield* world.record(run.id)
        assert.deepStrictEqual([status, (finishedAt ?? 0) - (startedAt ?? 0)], ["completed", 60_001])
      }
    }))
})

describe("a time limit beyond the longest timer of the platform", () => {
  it.scoped("lets a step end", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Job.toLayer(() =>
        Effect.forEach([Infinity, "40 days"] as const, (timeout) =>
          Effect.orDie(Step.run("a", Effect.succeed(7), { success: Schema.Number, timeout })))
      ))
      const run = yield* world.use(Job.start({}))
      assert.deepStrictEqual(yield* soon(run.result), [7, 7])
    }))
})
