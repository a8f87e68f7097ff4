import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { JournalError } from "perdure/Errors"
import { DriverTime } from "perdure/internal/process/DriverTime"
import { type News, RunWatch } from "perdure/internal/process/RunWatch"
import type { Call, RunCommit, RunStanding } from "perdure/JournalDriver"
import * as JournalMemory from "perdure/JournalMemory"
import { newRun } from "../../fixtures/newRun.js"

/** A watch over a journal in memory that notes what is asked, hears no hints and polls each second. */
const make = Effect.gen(function*() {
  const driver = yield* JournalMemory.make
  const asked: Array<string> = []
  const faults: Array<JournalError> = []
  const unreadable = new Set<string>()
  const noting = (name: "get" | "await") => (runs: ReadonlyArray<string>) => {
    asked.push(`${name} ${runs.join()}`)
    const corrupt = { code: "Corrupt", operation: name, detail: "simulated", retryable: false } as const
    const fault = faults.shift() ?? (runs.some((run) => unreadable.has(run)) ? new JournalError(corrupt) : undefined)
    const standings: Call<ReadonlyArray<RunStanding>> = driver[name](runs)
    return fault ?? Effect.map(standings, ({ value }) => value)
  }
  const clock = yield* Effect.clock
  const watch = new RunWatch(
    { get: noting("get"), await: noting("await") },
    new DriverTime(clock),
    Duration.seconds(1)
  )
  yield* Effect.forkScoped(watch.run)
  return { driver, asked, faults, unreadable, watch }
})

const finishOf = (run: string, value: string): RunCommit => ({
  run,
  epoch: 1,
  from: 0,
  entries: [],
  consumed: [],
  children: [],
  messages: [],
  published: [],
  closes: [],
  seen: 0,
  transition: { _tag: "Finish", status: "completed", exit: { kind: "success", value }, errorCode: null }
})

describe("waiting for runs", () => {
  it.scoped("reads at once, asks for hints a moment later, then polls; waiters of one run share the statements", () =>
    Effect.gen(function*() {
      const { asked, driver, watch } = yield* make
      yield* driver.enqueue({ runs: [newRun("r")], claim: null })
      const waiters = yield* Effect.forEach([1, 2, 3], () => Effect.fork(watch.ending("r")))
      yield* TestClock.adjust("10 millis")
      assert.deepStrictEqual(asked, ["get r"])
      yield* TestClock.adjust("25 millis")
      assert.deepStrictEqual(asked, ["get r", "await r"])
      yield* driver.terminate({ runs: ["r"], by: null, reason: null })
      yield* TestClock.adjust("1 second")
      for (const waiter of waiters) assert.strictEqual((yield* Fiber.join(waiter))?.status, "terminated")
      assert.deepStrictEqual(asked, ["get r", "await r", "await r"])
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(asked.length, 3, "no wait is open, so nothing is asked")
    }))

  it.scoped("is over at a hint, or when a worker of this process has ended the run", () =>
    Effect.gen(function*() {
      const { driver, watch } = yield* make
      yield* driver.enqueue({ runs: [newRun("a"), newRun("b")], claim: null })
      const a = yield* Effect.fork(watch.ending("a"))
      const b = yield* Effect.fork(watch.ending("b", { known: true }))
      yield* TestClock.adjust("30 millis")
      yield* driver.terminate({ runs: ["a"], by: null, reason: null })
      watch.changed("a")
      watch.ended("b", { status: "completed", exit: null, detail: null })
      yield* TestClock.adjust(0)
      assert.strictEqual((yield* Fiber.join(a))?.status, "terminated")
      assert.strictEqual((yield* Fiber.join(b))?.status, "completed")
    }))

  it.scoped("of a run that leaves this process asks storage like all others", () =>
    Effect.gen(function*() {
      const { asked, driver, watch } = yield* make
      yield* driver.enqueue({ runs: [newRun("r")], claim: null })
      const waiter = yield* Effect.fork(watch.ending("r", { known: true }))
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(asked, [], "its worker will tell")
      watch.left("r")
      watch.left("unknown")
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(asked, ["get r", "await r"])
      yield* driver.terminate({ runs: ["r"], by: null, reason: null })
      watch.changed("r")
      yield* TestClock.adjust(0)
      assert.strictEqual((yield* Fiber.join(waiter))?.status, "terminated")
    }))

  it.scoped("is not put off by others that begin to wait all the time", () =>
    Effect.gen(function*() {
      const { asked, driver, watch } = yield* make
      yield* driver.enqueue({ runs: [newRun("r")], claim: null })
      yield* Effect.fork(watch.ending("r"))
      for (let i = 0; i < 50; i++) {
        yield* driver.enqueue({ runs: [newRun(`other ${i}`)], claim: null })
        yield* Effect.fork(watch.ending(`other ${i}`))
        yield* TestClock.adjust("10 millis")
      }
      assert.include(asked.join(), "await r")
    }))

  it.scoped("for a run that does not exist ends at once", () =>
    Effect.gen(function*() {
      const { watch } = yield* make
      const waiter = yield* Effect.fork(watch.ending("no-such-run"))
      yield* TestClock.adjust(0)
      assert.isUndefined(yield* Fiber.join(waiter))
    }))

  it.scoped("outlives faults that may pass, and tells of those that will not", () =>
    Effect.gen(function*() {
      const { driver, faults, watch } = yield* make
      yield* driver.enqueue({ runs: [newRun("r")], claim: null })
      const passing = { operation: "get", detail: "", retryable: true }
      faults.push(new JournalError({ ...passing, code: "Unavailable" }))
      const news: Array<News["_tag"]> = []
      const stop = watch.listen("r", ({ _tag }) => void news.push(_tag))
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual(news, [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(news, ["Seen"])
      faults.push(new JournalError({ ...passing, code: "Corrupt", retryable: false }))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(news, ["Seen", "Broken"])
      stop()
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(news.length, 2)
    }))

  it.scoped("for a run that cannot be read fails alone: other waits of the same statement continue", () =>
    Effect.gen(function*() {
      const { driver, unreadable, watch } = yield* make
      const ids = ["a", "b", "c", "d", "e"]
      yield* driver.enqueue({ runs: ids.map(newRun), claim: null })
      unreadable.add("d")
      const waiters = yield* Effect.forEach(ids, (id) => Effect.fork(Effect.exit(watch.ending(id))))
      yield* TestClock.adjust("30 millis")
      yield* driver.terminate({ runs: ids, by: null, reason: null })
      yield* TestClock.adjust("1 second")
      const exits = yield* Effect.forEach(waiters, Fiber.join)
      assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, true, true, false, true])
    }))

  it.scoped("reads the ends that an answer had no room for with the next one", () =>
    Effect.gen(function*() {
      const { asked, driver, watch } = yield* make
      const worker = { id: "w", incarnation: "1" }
      yield* driver.heartbeat({ worker, leaseMillis: 1e9, info: null })
      const ids = ["a", "b", "c", "d", "e"]
      yield* driver.enqueue({ runs: ids.map(newRun), claim: { worker, capacity: 5 } })
      const waiters = yield* Effect.forEach(ids, (id) => Effect.fork(watch.ending(id)))
      yield* TestClock.adjust("30 millis")
      const value = JSON.stringify("x".repeat(3 * 1024 * 1024))
      yield* driver.commit({ worker, commits: ids.map((run) => finishOf(run, value)) })
      asked.length = 0
      yield* TestClock.adjust("1 second")
      const endings = yield* Effect.forEach(waiters, Fiber.join)
      assert.deepStrictEqual(endings.map((ending) => ending?.exit?.value === value), ids.map(() => true))
      assert.deepStrictEqual(asked, ["await a,b,c,d,e", "await d,e"])
    }))
})
