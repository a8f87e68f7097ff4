/** Hot machines, while claims that rely on them are on their way. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberRefs from "effect/FiberRefs"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import type { ConfigurationInvalid, JournalError } from "perdure/Errors"
import type { Hold } from "perdure/internal/worker/Hold"
import { HotCache } from "perdure/internal/worker/HotCache"
import { TimerQueue } from "perdure/internal/worker/TimerQueue"
import type { ClaimedRun, JournalDriver } from "perdure/JournalDriver"
import * as Step from "perdure/Step"
import * as Workflow from "perdure/Workflow"
import { claimedRun, handHeld } from "../../fixtures/handHeld.js"
import { makeWorld, shown, soon } from "../../fixtures/world.js"

/** Whether the hold has dropped its machine. */
const isForgotten = (hold: Hold): boolean => Either.isLeft(Either.try(() => hold.outsideRefs(FiberRefs.empty())))

/** The hold of a suspended run that sleeps. */
const asleep = (id: string) =>
  Effect.gen(function*() {
    const { held } = yield* handHeld(() => Effect.sleep("1 day"), { id })
    held.takeCommit()
    held.committed({ _tag: "Applied", dispositions: [], news: null })
    assert.strictEqual(held.state, "gone")
    return held
  })

const MAX_AGE_MILLIS = 60_000

/** A cache with a clock that the test sets. */
const makeCache = (capacity: number) => {
  const clock = { now: 0 }
  const timers = new TimerQueue(() => clock.now)
  const cache = new HotCache(capacity, MAX_AGE_MILLIS, timers, () => clock.now)
  return {
    cache,
    kept: () => [...cache.sequences.keys()],
    passTo: (now: number) => {
      clock.now = now
      timers.runOnce()
    }
  }
}

const claimed = (id: string, change: Partial<ClaimedRun> = {}): ClaimedRun => ({
  ...claimedRun,
  id,
  epoch: 2,
  ...change
})

const pressures: Record<
  string,
  (its: ReturnType<typeof makeCache>) => Effect.Effect<ReadonlyArray<Hold>, ConfigurationInvalid | JournalError>
> = {
  "younger machines fill the cache": ({ cache }) =>
    Effect.tap(
      Effect.forEach(["b", "c"], asleep),
      (holds) => Effect.sync(() => holds.forEach((hold) => cache.add(hold)))
    ),
  "it is too old": ({ passTo }) => Effect.as(Effect.sync(() => passTo(MAX_AGE_MILLIS)), []),
  "the worker stops": ({ cache }) => Effect.as(Effect.sync(() => cache.clear()), [])
}

describe("a machine that was offered to a claim", () => {
  it.effect.each(Object.entries(pressures))(
    "is kept until the result of the claim, even if %s",
    ([_, press]) =>
      Effect.gen(function*() {
        const its = makeCache(1)
        const hold = yield* asleep("a")
        its.cache.add(hold)
        assert.deepStrictEqual([...its.cache.offer()], [["a", 0]])
        const others = yield* press(its)
        assert.strictEqual(its.cache.take(claimed("a")), hold)
        its.cache.release()
        assert.isFalse(isForgotten(hold), "the hold that was taken keeps its machine")
        assert.deepStrictEqual(others.map(isForgotten), others.map((_, index) => index < others.length - 1))
      })
  )

  it.effect.each(Object.entries(pressures))(
    "is dropped if no claim returned its run, when all claims are over: %s",
    ([_, press]) =>
      Effect.gen(function*() {
        const its = makeCache(1)
        const hold = yield* asleep("a")
        its.cache.add(hold)
        its.cache.offer()
        its.cache.offer()
        yield* press(its)
        its.cache.release()
        assert.isFalse(isForgotten(hold), "the other claim may return it")
        its.cache.release()
        its.passTo(3 * MAX_AGE_MILLIS)
        assert.isTrue(isForgotten(hold))
        assert.notInclude(its.kept(), "a")
        assert.isUndefined(its.cache.take(claimed("a")))
      })
  )
})

describe("a hot machine", () => {
  const moved: Record<string, Partial<ClaimedRun>> = {
    "was executed elsewhere": { nextSeq: 1 },
    "has continued as new": { generation: 1 }
  }

  it.effect.each(Object.entries(moved))(
    "is forgotten when its run %s",
    ([_, change]) =>
      Effect.gen(function*() {
        const { cache, kept } = makeCache(10)
        const hold = yield* asleep("a")
        cache.add(hold)
        assert.isFalse(isForgotten(hold))
        assert.isUndefined(cache.take(claimed("a", change)))
        assert.deepStrictEqual(kept(), [])
        assert.isTrue(isForgotten(hold))
      })
  )

  it.effect("ages from the last suspension of its run", () =>
    Effect.gen(function*() {
      const { cache, kept, passTo } = makeCache(10)
      const hold = yield* asleep("a")
      cache.add(hold)
      passTo(MAX_AGE_MILLIS - 1)
      assert.strictEqual(cache.take(claimed("a")), hold)
      cache.add(hold)
      cache.add(yield* asleep("b"))
      passTo(2 * MAX_AGE_MILLIS - 2)
      assert.deepStrictEqual(kept(), ["a", "b"])
      passTo(2 * MAX_AGE_MILLIS - 1)
      assert.deepStrictEqual(kept(), [])
      assert.isTrue(isForgotten(hold))
    }))

  it.effect("is not kept in a cache without capacity", () =>
    Effect.gen(function*() {
      const { cache, kept } = makeCache(0)
      const hold = yield* asleep("a")
      cache.add(hold)
      assert.deepStrictEqual(kept(), [])
      assert.isTrue(isForgotten(hold))
    }))
})

describe("a claim whose result is late", () => {
  const Job = Workflow.make("Job", { payload: { name: Schema.String }, success: Schema.String })

  it.scoped("resumes a machine that younger machines would have replaced, and repeats no step", () =>
    Effect.gen(function*() {
      const ran: Array<string> = []
      const gate = yield* Deferred.make<void>()
      const result = yield* Deferred.make<void>()
      const brought: Array<string> = []
      let isLate = false
      const world = yield* makeWorld((driver: JournalDriver) => ({
        ...driver,
        claim: (request) =>
          Effect.tap(driver.claim(request), ({ value: { runs } }) => {
            if (!isLate || runs.length === 0) return Effect.void
            isLate = false
            for (const run of runs) brought.push(`${run.id} with ${run.journal.length} entries of ${run.nextSeq}`)
            return Deferred.await(result)
          })
      }))
      const process = yield* world.launch(
        Job.toLayer(({ name }) =>
          Effect.gen(function*() {
            yield* Step.run(
              "start",
              Effect.zipRight(
                Effect.sync(() => void ran.push(`start ${name}`)),
                name === "young" ? Deferred.await(gate) : Effect.void
              )
            )
            yield* Effect.sleep("1 hour")
            return yield* Step.run("end", Effect.sync(() => (ran.push(`end ${name}`), name)), {
              success: Schema.String
            })
          })
        ),
        { hot: { capacity: 1, timeToLive: "1 day" } }
      )
      const old = yield* world.use(Job.start({ name: "old" }))
      const young = yield* world.use(Job.start({ name: "young" }))
      yield* TestClock.adjust("30 minutes")
      const { hot } = process.worker.core
      assert.deepStrictEqual([...hot.sequences.keys()], [old.id])
      isLate = true
      yield* TestClock.adjust("31 minutes")
      assert.deepStrictEqual(brought, [`${old.id} with 0 entries of 1`], "storage relies on the machine")
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* young.record, { status: "suspended" })
      yield* Deferred.succeed(result, undefined)
      assert.strictEqual(yield* soon(old.result), "old")
      yield* TestClock.adjust("2 hours")
      assert.strictEqual(yield* soon(young.result), "young")
      assert.sameMembers(ran, ["start old", "start young", "end old", "end young"])
      assert.deepStrictEqual(shown(yield* world.history(old.id)), ["step start", "timer sleep", "step end"])
      assert.strictEqual(hot.sequences.size, 0, "the machines of ended runs are not kept")
    }))
})
