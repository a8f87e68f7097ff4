/** The lease: how long it is good, and what a worker does after it has run out. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { JournalError } from "perdure/Errors"
import { Lease } from "perdure/internal/worker/Lease"
import { Journal, type JournalService } from "perdure/Journal"
import { JournalDriver } from "perdure/JournalDriver"
import * as JournalMemory from "perdure/JournalMemory"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { newRun } from "../../fixtures/newRun.js"
import { makeWorld, type Process, soon, type World } from "../../fixtures/world.js"

const down = new JournalError({ code: "Unavailable", operation: "x", detail: "simulated", retryable: true })

/** A journal over a memory driver with the given changes. */
const journalWith = (change: (driver: JournalDriver) => Partial<JournalDriver> = () => ({})) =>
  Effect.gen(function*() {
    const memory = yield* JournalMemory.make
    const driver = Layer.succeed(JournalDriver, { ...memory, ...change(memory) })
    return { memory, journal: Context.get(yield* Layer.build(Layer.provide(Journal.layer(), driver)), Journal) }
  })

/** A lease of nine seconds, with its events. The next `faults.lapse` calls of `onLapse` fail. */
const makeLease = (journal: JournalService, incarnation = "1", id = "w") => {
  const events: Array<string> = []
  const faults = { lapse: 0 }
  const lease = new Lease(journal, {
    worker: { id, incarnation },
    leaseMillis: 9000,
    maxCrashes: 3,
    onLapse: Effect.suspend(() => {
      events.push("lapse")
      return faults.lapse-- > 0 ? down : Effect.void
    }),
    onChange: () => void events.push(lease.isGood ? "good" : "lost")
  })
  return { lease, faults, events: () => events.splice(0) }
}

describe("a lease", () => {
  it.scoped("is good for its duration, from before the heartbeat is sent", () =>
    Effect.gen(function*() {
      const { journal } = yield* journalWith()
      const { events, lease } = makeLease(journal)
      assert.isFalse(lease.isGood)
      assert.isTrue(yield* lease.beat)
      assert.isTrue(lease.isGood)
      yield* TestClock.adjust("8999 millis")
      assert.isTrue(lease.isGood)
      yield* TestClock.adjust("1 millis")
      assert.isFalse(lease.isGood)
      assert.isTrue(yield* lease.beat)
      assert.deepStrictEqual(events(), ["good", "lapse", "good"])
    }))

  it.scoped("is also good while its keeper extends it, until it is lost", () =>
    Effect.gen(function*() {
      const { journal } = yield* journalWith()
      const { lease } = makeLease(journal)
      yield* lease.beat
      const state = { remaining: -1, calls: Array<string>() }
      lease.keepWith({
        beat: () => void state.calls.push("beat"),
        stop: () => void state.calls.push("stop"),
        remainingMillis: () => state.remaining
      })
      yield* TestClock.adjust("10 seconds")
      assert.isFalse(lease.isGood)
      state.remaining = 500
      assert.isTrue(lease.isGood)
      yield* lease.beat
      // Storage reports that the lease had run out: it is recovered, and then kept again.
      assert.deepStrictEqual(state.calls, ["beat", "stop", "beat"])
      state.remaining = -1
      yield* TestClock.adjust("10 seconds")
      yield* makeLease(journal, "2").lease.beat
      assert.isFalse(yield* lease.beat)
      assert.strictEqual(state.calls.at(-1), "stop")
    }))

  it.scoped("that ran out while the process was frozen is renewed before the worker reaps", () =>
    Effect.gen(function*() {
      const reaped: Array<boolean> = []
      const { journal } = yield* journalWith((driver) => ({
        reap: (request) => {
          reaped.push(lease.isGood)
          return driver.reap(request)
        }
      }))
      const { lease } = makeLease(journal)
      yield* Effect.forkScoped(lease.reaper)
      yield* Effect.yieldNow()
      assert.deepStrictEqual(reaped, [])
      yield* lease.beat
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(reaped, [true])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(new Set(reaped), new Set([true]))
    }))

  it.scoped("is refused to a second process with the same id until it has run out", () =>
    Effect.gen(function*() {
      const { journal } = yield* journalWith()
      const first = makeLease(journal, "1")
      const second = makeLease(journal, "2")
      yield* first.lease.beat
      assert.isFalse(yield* second.lease.beat)
      assert.isFalse(second.lease.isGood)
      yield* TestClock.adjust("9 seconds")
      assert.isTrue(yield* second.lease.beat)
      assert.isFalse(yield* first.lease.beat, "the first process learns that it lost the lease")
    }))

  it.scoped("stays good when two heartbeats fail", () =>
    Effect.gen(function*() {
      let failing = 0
      const { journal } = yield* journalWith((driver) => ({
        heartbeat: (request) => failing-- > 0 ? down : driver.heartbeat(request)
      }))
      const { lease } = makeLease(journal)
      yield* lease.beat
      yield* Effect.forkScoped(lease.run)
      failing = 2
      yield* TestClock.adjust("8 seconds")
      assert.isTrue(lease.isGood)
      yield* TestClock.adjust("30 seconds")
      assert.isTrue(lease.isGood)
    }))

  it.scoped("of a dead worker runs out: its runs are released, and exhausted, which is logged, after the last crash", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      const { journal, memory } = yield* journalWith()
      const dead = makeLease(journal, "1", "dead")
      const reaper = makeLease(journal, "1", "reaper")
      const run = newRun("run")
      yield* memory.enqueue({ runs: [run], claim: null })
      const claim = journal.claim({
        worker: { id: "dead", incarnation: "1" },
        workflows: [{ name: run.workflow, version: run.version }],
        queues: [run.queue],
        limit: 1,
        hot: new Map()
      })
      for (const crashes of [1, 2, 3]) {
        // A suspect of a crash is available after a pause.
        yield* TestClock.adjust("1 minute")
        yield* dead.lease.beat
        assert.strictEqual((yield* claim).runs.length, 1)
        assert.strictEqual(yield* reaper.lease.reapOnce, 0)
        yield* TestClock.adjust("9 seconds")
        const reaped = Effect.provide(reaper.lease.reapOnce, Logger.replace(Logger.defaultLogger, logger))
        assert.strictEqual(yield* reaped, 1)
        assert.strictEqual(lines.length, crashes < 3 ? 0 : 1)
        const { value: [record] } = yield* memory.get([run.id])
        assert.deepInclude(record, { crashes, status: crashes < 3 ? "pending" : "exhausted" })
      }
    }))
})

describe("a lease that had run out", () => {
  it.scoped("is not good before the lapse was handled, even if storage fails several times", () =>
    Effect.gen(function*() {
      const { journal } = yield* journalWith()
      const { faults, lease, events } = makeLease(journal)
      yield* lease.beat
      yield* TestClock.adjust("10 seconds")
      events()
      faults.lapse = 2
      for (const _ of [1, 2]) {
        // From the second heartbeat on, storage does not report the lapse.
        assert.strictEqual(yield* Effect.flip(lease.beat), down)
        assert.isFalse(lease.isGood)
        assert.deepStrictEqual(events(), ["lapse"])
        yield* TestClock.adjust("3 seconds")
      }
      assert.isTrue(yield* lease.beat)
      assert.deepStrictEqual(events(), ["lapse", "good"])
      yield* TestClock.adjust("3 seconds")
      assert.isTrue(yield* lease.beat)
      assert.deepStrictEqual(events(), [], "a handled lapse is handled once")
    }))

  it.scoped("is detected even if the result that reported it was lost", () =>
    Effect.gen(function*() {
      let isLost = false
      const { journal } = yield* journalWith((driver) => ({
        heartbeat: (request) =>
          Effect.flatMap(driver.heartbeat(request), (result) => isLost ? down : Effect.succeed(result))
      }))
      const { lease, events } = makeLease(journal)
      yield* lease.beat
      yield* TestClock.adjust("10 seconds")
      events()
      isLost = true
      assert.strictEqual(yield* Effect.flip(lease.beat), down)
      isLost = false
      assert.isTrue(yield* lease.beat)
      assert.deepStrictEqual(events(), ["lapse", "good"])
    }))

  it.scoped("is detected even if another process had the lease and gave it up since", () =>
    Effect.gen(function*() {
      const { journal, memory } = yield* journalWith()
      const first = makeLease(journal)
      const second = makeLease(journal, "2")
      yield* first.lease.beat
      yield* TestClock.adjust("10 seconds")
      yield* second.lease.beat
      first.events()
      assert.isFalse(yield* first.lease.beat)
      assert.deepStrictEqual(first.events(), ["lost"])
      yield* memory.retire({ id: "w", incarnation: "2" })
      assert.isTrue(yield* first.lease.beat)
      assert.deepStrictEqual(first.events(), ["lapse", "good"])
    }))

  it.scoped("by the clock of storage is not good, whatever the clock of the process says", () =>
    Effect.gen(function*() {
      let hasJumped = false
      const { journal } = yield* journalWith((driver) => ({
        heartbeat: (request) =>
          Effect.map(driver.heartbeat(request), ({ now, value }) => ({
            now,
            value: value._tag === "Renewed" ? { ...value, lapsed: hasJumped } : value
          }))
      }))
      const { faults, lease, events } = makeLease(journal)
      yield* lease.beat
      events()
      hasJumped = true
      faults.lapse = 1
      assert.strictEqual(yield* Effect.flip(lease.beat), down)
      hasJumped = false
      assert.isFalse(lease.isGood)
      assert.isTrue(yield* lease.beat)
      assert.deepStrictEqual(events(), ["lapse", "lapse", "good"])
    }))

  it.scoped("is not reported for a new lease, or for one that was extended in time", () =>
    Effect.gen(function*() {
      const { journal } = yield* journalWith()
      const { lease, events } = makeLease(journal)
      yield* lease.beat
      for (const _ of [1, 2, 3]) {
        yield* TestClock.adjust("8999 millis")
        yield* lease.beat
      }
      assert.deepStrictEqual(events(), ["good"])
    }))
})

describe("a worker whose lease had run out", () => {
  const Job = Workflow.make("Job", { payload: {}, success: Schema.String })

  it.scoped("drops the runs that other workers have, even if storage fails when it asks", () =>
    Effect.gen(function*() {
      const events: Array<string> = []
      let isCut = false
      let unread = 0
      const world = yield* makeWorld((driver) => ({
        ...driver,
        heartbeat: (request) =>
          Effect.suspend(() => isCut && request.worker.id === "first" ? down : driver.heartbeat(request)),
        get: (runs) =>
          Effect.suspend(() =>
            unread-- > 0 ? Effect.zipRight(Effect.sync(() => events.push("no result")), down) : driver.get(runs)
          )
      }))
      const live = (name: string, body: Effect.Effect<void>) =>
        Job.toLayer(() =>
          Effect.zipLeft(
            Step.run(
              "work",
              Effect.sync(() => void events.push(`${name} starts`)).pipe(
                Effect.zipRight(body),
                Effect.onInterrupt(() => Effect.sync(() => void events.push(`${name} is interrupted`))),
                Effect.as(name)
              ),
              { success: Schema.String }
            ),
            Effect.sleep("2 minutes")
          )
        )
      const first = yield* world.launch(live("first", Effect.never), { id: "first", leaseDuration: "15 seconds" })
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 second")
      isCut = true
      yield* world.launch(live("second", Effect.void), { id: "second", leaseDuration: "15 seconds" })
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(events.splice(0), ["first starts", "second starts"])
      assert.isFalse(first.worker.core.mayStart())
      unread = 1
      isCut = false
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(events.splice(0), ["no result"])
      assert.isTrue(first.worker.core.holds(run.id))
      assert.isFalse(first.worker.core.mayStart(), "it does not know yet which runs it still holds")
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(events.splice(0), ["first is interrupted"])
      assert.isFalse(first.worker.core.holds(run.id))
      assert.isTrue(first.worker.core.mayStart())
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(yield* soon(run.result), "second")
    }))

  /** A run is claimed for the first worker. The result arrives after its lease had run out and is good again. */
  const claims: Record<string, (first: Process, world: World) => Effect.Effect<unknown, unknown>> = {
    "claimed": (_, world) => world.use(Job.start({})),
    "started in the same process": (first) => first.use(Job.start({}))
  }

  const makeLate = Effect.gen(function*() {
    const result = yield* Deferred.make<void>()
    const started: Array<string> = []
    const cut = { first: false }
    const world = yield* makeWorld((driver) => ({
      ...driver,
      heartbeat: (request) =>
        Effect.suspend(() => cut.first && request.worker.id === "first" ? down : driver.heartbeat(request)),
      claim: (request) =>
        Effect.tap(
          driver.claim(request),
          ({ value: { runs } }) =>
            request.worker.id === "first" && runs.length > 0 ? Deferred.await(result) : Effect.void
        ),
      enqueue: (request) =>
        Effect.zipLeft(driver.enqueue(request), request.claim === null ? Effect.void : Deferred.await(result)),
      // Only the second worker releases the runs of workers whose lease has run out.
      reap: (request) => driver.reap(request.maxCrashes === 1000 ? request : { ...request, limit: 0 })
    }))
    const live = (name: string) =>
      Job.toLayer(() =>
        Step.run("work", Effect.zipRight(Effect.sync(() => void started.push(name)), Effect.never), {
          success: Schema.String
        })
      )
    const first = yield* world.launch(live("first"), { id: "first", leaseDuration: "15 seconds" })
    return { world, first, result, started, cut, live }
  })

  it.scoped.each(Object.entries(claims))(
    "starts no run that was %s before: another worker may have it",
    ([_, start]) =>
      Effect.gen(function*() {
        const { result, started, cut, first, live, world } = yield* makeLate
        yield* Effect.forkScoped(start(first, world))
        yield* TestClock.adjust("1 second")
        cut.first = true
        yield* world.launch(live("second"), { id: "second", leaseDuration: "15 seconds", maxCrashes: 1000 })
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(started, ["second"])
        cut.first = false
        yield* TestClock.adjust("5 seconds")
        assert.isTrue(first.worker.core.mayStart())
        yield* Deferred.succeed(result, undefined)
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(started, ["second"])
      })
  )

  it.scoped.each(Object.entries(claims))(
    "hands back a run that was %s before",
    ([_, start]) =>
      Effect.gen(function*() {
        const { result, started, cut, first, world } = yield* makeLate
        yield* Effect.forkScoped(start(first, world))
        yield* TestClock.adjust("1 second")
        cut.first = true
        yield* TestClock.adjust("1 minute")
        cut.first = false
        yield* TestClock.adjust("5 seconds")
        yield* Deferred.succeed(result, undefined)
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(started, ["first"])
      })
  )
})
