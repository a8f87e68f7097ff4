/** A lease that had run out: what that means for the held runs is found out before anything else, whatever fails. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { JournalError } from "perdure/Errors"
import { Lease } from "perdure/internal/worker/Lease"
import { Journal, type JournalService } from "perdure/Journal"
import { JournalDriver } from "perdure/JournalDriver"
import * as JournalMemory from "perdure/JournalMemory"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { makeWorld, type Process, soon, type World } from "../../fixtures/world.js"

const down = new JournalError({ code: "Unavailable", operation: "x", detail: "simulated", retryable: true })

/** A journal over a driver in memory that is changed by the test. */
const bentJournal = (bend: (driver: JournalDriver) => Partial<JournalDriver> = () => ({})) =>
  Effect.gen(function*() {
    const memory = yield* JournalMemory.make
    const driver = Layer.succeed(JournalDriver, { ...memory, ...bend(memory) })
    return { memory, journal: Context.get(yield* Layer.build(Layer.provide(Journal.layer(), driver)), Journal) }
  })

/** A lease of nine seconds that notes what it does; finding out about a lapse fails as often as it is told. */
const makeLease = (journal: JournalService, incarnation = "1") => {
  const said: Array<string> = []
  const faults = { lapse: 0 }
  const lease = new Lease(journal, {
    worker: { id: "w", incarnation },
    leaseMillis: 9000,
    maxCrashes: 3,
    onLapse: Effect.suspend(() => {
      said.push("lapse")
      return faults.lapse-- > 0 ? down : Effect.void
    }),
    onChange: () => void said.push(lease.isGood ? "good" : "lost")
  })
  return { lease, faults, said: () => said.splice(0) }
}

describe("a lease that had run out", () => {
  it.scoped("is not good before that has been dealt with, however often storage fails meanwhile", () =>
    Effect.gen(function*() {
      const { journal } = yield* bentJournal()
      const { faults, lease, said } = makeLease(journal)
      yield* lease.beat
      yield* TestClock.adjust("10 seconds")
      said()
      faults.lapse = 2
      for (const _ of [1, 2]) {
        // From the second beat on, storage has no memory of it.
        assert.strictEqual(yield* Effect.flip(lease.beat), down)
        assert.isFalse(lease.isGood)
        assert.deepStrictEqual(said(), ["lapse"])
        yield* TestClock.adjust("3 seconds")
      }
      assert.isTrue(yield* lease.beat)
      assert.deepStrictEqual(said(), ["lapse", "good"])
      yield* TestClock.adjust("3 seconds")
      assert.isTrue(yield* lease.beat)
      assert.deepStrictEqual(said(), [], "once it has been dealt with, it is over")
    }))

  it.scoped("is known to have, though the answer that said so was lost", () =>
    Effect.gen(function*() {
      let isLost = false
      const { journal } = yield* bentJournal((driver) => ({
        heartbeat: (request) =>
          Effect.flatMap(driver.heartbeat(request), (answer) => isLost ? down : Effect.succeed(answer))
      }))
      const { lease, said } = makeLease(journal)
      yield* lease.beat
      yield* TestClock.adjust("10 seconds")
      said()
      isLost = true
      assert.strictEqual(yield* Effect.flip(lease.beat), down)
      isLost = false
      assert.isTrue(yield* lease.beat)
      assert.deepStrictEqual(said(), ["lapse", "good"])
    }))

  it.scoped("is known to have, though another had it since and gave it up", () =>
    Effect.gen(function*() {
      const { journal, memory } = yield* bentJournal()
      const first = makeLease(journal)
      const second = makeLease(journal, "2")
      yield* first.lease.beat
      yield* TestClock.adjust("10 seconds")
      yield* second.lease.beat
      first.said()
      assert.isFalse(yield* first.lease.beat)
      assert.deepStrictEqual(first.said(), ["lost"])
      yield* memory.retire({ id: "w", incarnation: "2" })
      assert.isTrue(yield* first.lease.beat)
      assert.deepStrictEqual(first.said(), ["lapse", "good"])
    }))

  it.scoped("by storage's clock is not good, whatever this process's clock says", () =>
    Effect.gen(function*() {
      let hasJumped = false
      const { journal } = yield* bentJournal((driver) => ({
        heartbeat: (request) =>
          Effect.map(driver.heartbeat(request), ({ now, value }) => ({
            now,
            value: value._tag === "Renewed" ? { ...value, lapsed: hasJumped } : value
          }))
      }))
      const { faults, lease, said } = makeLease(journal)
      yield* lease.beat
      said()
      hasJumped = true
      faults.lapse = 1
      assert.strictEqual(yield* Effect.flip(lease.beat), down)
      hasJumped = false
      assert.isFalse(lease.isGood)
      assert.isTrue(yield* lease.beat)
      assert.deepStrictEqual(said(), ["lapse", "lapse", "good"])
    }))

  it.scoped("is not a new one, nor one that is renewed in time", () =>
    Effect.gen(function*() {
      const { journal } = yield* bentJournal()
      const { lease, said } = makeLease(journal)
      yield* lease.beat
      for (const _ of [1, 2, 3]) {
        yield* TestClock.adjust("8999 millis")
        yield* lease.beat
      }
      assert.deepStrictEqual(said(), ["good"])
    }))
})

describe("a worker whose lease had run out", () => {
  const Job = Workflow.make("Job", { payload: {}, success: Schema.String })

  it.scoped("lets go of the runs that others have, though storage fails when it asks", () =>
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
            unread-- > 0 ? Effect.zipRight(Effect.sync(() => events.push("no answer")), down) : driver.get(runs)
          )
      }))
      const live = (name: string, body: Effect.Effect<void>) =>
        Job.toLayer(() =>
          Effect.zipLeft(
            Step.run(
              "work",
              Effect.sync(() => void events.push(`${name} begins`)).pipe(
                Effect.zipRight(body),
                Effect.onInterrupt(() => Effect.sync(() => void events.push(`${name} is interrupted`))),
                Effect.as(name)
              ),
              { success: Schema.String }
            ),
            Effect.sleep("2 minutes")
          )
        )
      const first = yield* world.launch(live("first", Effect.never), { id: "first", lease: "15 seconds" })
      const run = yield* world.use(Job.start({}))
      yield* TestClock.adjust("1 second")
      isCut = true
      yield* world.launch(live("second", Effect.void), { id: "second", lease: "15 seconds" })
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(events.splice(0), ["first begins", "second begins"])
      assert.isFalse(first.worker.core.mayStart())
      unread = 1
      isCut = false
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(events.splice(0), ["no answer"])
      assert.isTrue(first.worker.core.holds(run.id))
      assert.isFalse(first.worker.core.mayStart(), "it does not know yet what is still its own")
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(events.splice(0), ["first is interrupted"])
      assert.isFalse(first.worker.core.holds(run.id))
      assert.isTrue(first.worker.core.mayStart())
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(yield* soon(run.result), "second")
    }))

  /** A run is claimed for the first worker, which hears of it only when its lease has run out and is good again. */
  const claims: Record<string, (first: Process, world: World) => Effect.Effect<unknown, unknown>> = {
    "claimed": (_, world) => world.use(Job.start({})),
    "started beside it": (first) => first.use(Job.start({}))
  }

  const makeLate = Effect.gen(function*() {
    const answer = yield* Deferred.make<void>()
    const begun: Array<string> = []
    const cut = { first: false }
    const world = yield* makeWorld((driver) => ({
      ...driver,
      heartbeat: (request) =>
        Effect.suspend(() => cut.first && request.worker.id === "first" ? down : driver.heartbeat(request)),
      claim: (request) =>
        Effect.tap(
          driver.claim(request),
          ({ value: { runs } }) =>
            request.worker.id === "first" && runs.length > 0 ? Deferred.await(answer) : Effect.void
        ),
      enqueue: (request) =>
        Effect.zipLeft(driver.enqueue(request), request.claim === null ? Effect.void : Deferred.await(answer)),
      // Only the second worker frees the runs of those whose lease has run out.
      reap: (request) => driver.reap(request.maxCrashes === 1000 ? request : { ...request, limit: 0 })
    }))
    const live = (name: string) =>
      Job.toLayer(() =>
        Step.run("work", Effect.zipRight(Effect.sync(() => void begun.push(name)), Effect.never), {
          success: Schema.String
        })
      )
    const first = yield* world.launch(live("first"), { id: "first", lease: "15 seconds" })
    return { world, first, answer, begun, cut, live }
  })

  it.scoped.each(Object.entries(claims))(
    "begins no run that was %s before: others may have it",
    ([_, start]) =>
      Effect.gen(function*() {
        const { answer, begun, cut, first, live, world } = yield* makeLate
        yield* Effect.forkScoped(start(first, world))
        yield* TestClock.adjust("1 second")
        cut.first = true
        yield* world.launch(live("second"), { id: "second", lease: "15 seconds", maxCrashes: 1000 })
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(begun, ["second"])
        cut.first = false
        yield* TestClock.adjust("5 seconds")
        assert.isTrue(first.worker.core.mayStart())
        yield* Deferred.succeed(answer, undefined)
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(begun, ["second"])
      })
  )

  it.scoped.each(Object.entries(claims))(
    "loses no run that was %s before: it hands it back",
    ([_, start]) =>
      Effect.gen(function*() {
        const { answer, begun, cut, first, world } = yield* makeLate
        yield* Effect.forkScoped(start(first, world))
        yield* TestClock.adjust("1 second")
        cut.first = true
        yield* TestClock.adjust("1 minute")
        cut.first = false
        yield* TestClock.adjust("5 seconds")
        yield* Deferred.succeed(answer, undefined)
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(begun, ["first"])
      })
  )
})
