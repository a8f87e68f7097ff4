/** Machines that are kept hot, while claims that count on them are under way. */
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

/** Whether the hold has let go of its machine. */
const isForgotten = (hold: Hold): boolean => Either.isLeft(Either.try(() => hold.outsideRefs(FiberRefs.empty())))

/** A run that has been written down as asleep. */
const asleep = (id: string) =>
  Effect.gen(function*() {
    const { held } = yield* handHeld(() => Effect.sleep("1 day"), { id })
    held.takeCommit()
    held.committed({ _tag: "Applied", dispositions: [] })
    assert.strictEqual(held.state, "gone")
    return held
  })

const MAX_AGE = 60_000

/** A cache of so many machines, with a clock that is set by hand. */
const makeCache = (capacity: number) => {
  const clock = { now: 0 }
  const timers = new TimerQueue(() => clock.now)
  const cache = new HotCache(capacity, MAX_AGE, timers, () => clock.now)
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
  "younger ones take its place": ({ cache }) =>
    Effect.tap(
      Effect.forEach(["b", "c"], asleep),
      (holds) => Effect.sync(() => holds.forEach((hold) => cache.add(hold)))
    ),
  "it has grown too old": ({ passTo }) => Effect.as(Effect.sync(() => passTo(MAX_AGE)), []),
  "the worker stops": ({ cache }) => Effect.as(Effect.sync(() => cache.clear()), [])
}

describe("a machine that a claim was told of", () => {
  it.effect.each(Object.entries(pressures))(
    "is there when the claim is answered, though %s",
    ([_, press]) =>
      Effect.gen(function*() {
        const its = makeCache(1)
        const hold = yield* asleep("a")
        its.cache.add(hold)
        assert.deepStrictEqual([...its.cache.offer()], [["a", 0]])
        const others = yield* press(its)
        assert.strictEqual(its.cache.take(claimed("a")), hold)
        its.cache.release()
        assert.isFalse(isForgotten(hold), "whoever took it has it")
        assert.deepStrictEqual(others.map(isForgotten), others.map((_, index) => index < others.length - 1))
      })
  )

  it.effect.each(Object.entries(pressures))(
    "is let go of if it was not claimed, when all claims are over: %s",
    ([_, press]) =>
      Effect.gen(function*() {
        const its = makeCache(1)
        const hold = yield* asleep("a")
        its.cache.add(hold)
        its.cache.offer()
        its.cache.offer()
        yield* press(its)
        its.cache.release()
        assert.isFalse(isForgotten(hold), "the other claim may bring it yet")
        its.cache.release()
        its.passTo(3 * MAX_AGE)
        assert.isTrue(isForgotten(hold))
        assert.notInclude(its.kept(), "a")
        assert.isUndefined(its.cache.take(claimed("a")))
      })
  )
})

describe("a machine that is kept", () => {
  const moved: Record<string, Partial<ClaimedRun>> = {
    "has gone on elsewhere": { nextSeq: 1 },
    "has continued as new": { generation: 1 }
  }

  it.effect.each(Object.entries(moved))(
    "is of no use when its run %s, and is forgotten",
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

  it.effect("is as old as it is since its run was suspended last", () =>
    Effect.gen(function*() {
      const { cache, kept, passTo } = makeCache(10)
      const hold = yield* asleep("a")
      cache.add(hold)
      passTo(MAX_AGE - 1)
      assert.strictEqual(cache.take(claimed("a")), hold)
      cache.add(hold)
      cache.add(yield* asleep("b"))
      passTo(2 * MAX_AGE - 2)
      assert.deepStrictEqual(kept(), ["a", "b"])
      passTo(2 * MAX_AGE - 1)
      assert.deepStrictEqual(kept(), [])
      assert.isTrue(isForgotten(hold))
    }))

  it.effect("is not kept at all if none may be", () =>
    Effect.gen(function*() {
      const { cache, kept } = makeCache(0)
      const hold = yield* asleep("a")
      cache.add(hold)
      assert.deepStrictEqual(kept(), [])
      assert.isTrue(isForgotten(hold))
    }))
})

describe("a claim whose answer is late", () => {
  const Job = Workflow.make("Job", { payload: { name: Schema.String }, success: Schema.String })

  it.scoped("wakes a machine that younger ones would have taken the place of, and no step runs again", () =>
    Effect.gen(function*() {
      const ran: Array<string> = []
      const gate = yield* Deferred.make<void>()
      const answer = yield* Deferred.make<void>()
      const brought: Array<string> = []
      let isLate = false
      const world = yield* makeWorld((driver: JournalDriver) => ({
        ...driver,
        claim: (request) =>
          Effect.tap(driver.claim(request), ({ value: { runs } }) => {
            if (!isLate || runs.length === 0) return Effect.void
            isLate = false
            for (const run of runs) brought.push(`${run.id} with ${run.journal.length} entries of ${run.nextSeq}`)
            return Deferred.await(answer)
          })
      }))
      const process = yield* world.launch(
        Job.toLayer(({ name }) =>
          Effect.gen(function*() {
            yield* Step.run(
              "begin",
              Effect.zipRight(
                Effect.sync(() => void ran.push(`begin ${name}`)),
                name === "young" ? Deferred.await(gate) : Effect.void
              )
            )
            yield* Effect.sleep("1 hour")
            return yield* Step.run("end", Effect.sync(() => (ran.push(`end ${name}`), name)), {
              success: Schema.String
            })
          })
        ),
        { hot: { runs: 1, keep: "1 day" } }
      )
      const old = yield* world.use(Job.start({ name: "old" }))
      const young = yield* world.use(Job.start({ name: "young" }))
      yield* TestClock.adjust("30 minutes")
      const { hot } = process.worker.core
      assert.deepStrictEqual([...hot.sequences.keys()], [old.id])
      isLate = true
      yield* TestClock.adjust("31 minutes")
      assert.deepStrictEqual(brought, [`${old.id} with 0 entries of 1`], "storage counts on the machine")
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* young.record, { status: "suspended" })
      yield* Deferred.succeed(answer, undefined)
      assert.strictEqual(yield* soon(old.result), "old")
      yield* TestClock.adjust("2 hours")
      assert.strictEqual(yield* soon(young.result), "young")
      assert.sameMembers(ran, ["begin old", "begin young", "end old", "end young"])
      assert.deepStrictEqual(shown(yield* world.history(old.id)), ["step begin", "timer sleep", "step end"])
      assert.strictEqual(hot.sequences.size, 0, "those that have ended are not kept")
    }))
})
