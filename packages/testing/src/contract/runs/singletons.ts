/** Singleton keys, for which one run is live, and debounced starts, which replace each other. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Driver from "perdure/JournalDriver"
import { check, finish, type Fixture, only, pass, start, value } from "../Fixture.js"

const single = (t: Fixture, name: string, key: string, change: Partial<Driver.NewRun> = {}) =>
  t.newRun(name, { queue: t.id("q"), singleton: { key, debounce: null }, ...change })

const debounced = (
  t: Fixture,
  name: string,
  quietMillis: number,
  maxWaitMillis: number | null,
  change: Partial<Driver.NewRun> = {}
) => t.newRun(name, { queue: t.id("q"), singleton: { key: "k", debounce: { quietMillis, maxWaitMillis } }, ...change })

const started = (run: Driver.NewRun): Driver.EnqueueResult => ({ _tag: "Started", id: run.id, epoch: null })

const joined = (run: Driver.NewRun): Driver.EnqueueResult => ({ _tag: "Joined", id: run.id })

export const singletons = [
  check(
    "a start joins the pending, running or suspended run that has its singleton key",
    (t) =>
      Effect.gen(function*() {
        const [a, b, c] = [single(t, "a", "k"), single(t, "b", "k"), single(t, "c", "k")]
        assert.deepStrictEqual(yield* t.enqueue(a), [started(a)])
        assert.deepStrictEqual(yield* t.enqueue(b), [joined(a)])
        const held = yield* t.claimOne(a)
        assert.deepStrictEqual(yield* t.enqueue(b, c), [joined(a), joined(a)])
        yield* t.apply(held, { transition: { _tag: "Suspend", until: Infinity, waiting: ["signal:x"] } })
        assert.deepStrictEqual(yield* t.enqueue(c), [joined(a)])
        assert.deepStrictEqual([yield* t.find(b.id), yield* t.find(c.id)], [[], []])
      })
  ),

  check("a start after the end of the run with its singleton key inserts a new run", (t) =>
    Effect.gen(function*() {
      const [a, b, c] = [single(t, "a", "k"), single(t, "b", "k"), single(t, "c", "k")]
      yield* t.enqueue(a)
      yield* t.apply(yield* t.claimOne(a), { transition: finish() })
      assert.deepStrictEqual(yield* t.enqueue(b, c), [started(b), joined(b)])
      yield* value(t.driver.terminate({ runs: [b.id], by: null, reason: null }))
      assert.deepStrictEqual(yield* t.enqueue(c), [started(c)])
    })),

  check("a singleton key is unique within its workflow only", (t) =>
    Effect.gen(function*() {
      const runs = [
        single(t, "a", "k"),
        single(t, "b", "K"),
        single(t, "c", "k", { workflow: t.id("other") }),
        t.newRun("d"),
        t.newRun("e", { idempotencyKey: "k" })
      ]
      assert.deepStrictEqual(yield* t.enqueue(...runs), runs.map(started))
    })),

  check(
    "a repeated start with a singleton key returns the same run, also after it has ended",
    (t) =>
      Effect.gen(function*() {
        const [a, b] = [single(t, "a", "k", { idempotencyKey: "i" }), single(t, "b", "k")]
        yield* t.enqueue(a)
        const again = (status: Driver.RunStatus): Driver.EnqueueResult => ({
          _tag: "Existing",
          id: a.id,
          payload: a.payload,
          status
        })
        assert.deepStrictEqual(yield* t.enqueue(a), [again("pending")])
        yield* t.apply(yield* t.claimOne(a), { transition: finish() })
        assert.deepStrictEqual(yield* t.enqueue(a), [again("completed")])
        // An existing run is looked up first, by id and by idempotency key.
        assert.deepStrictEqual(yield* t.enqueue(b), [started(b)])
        const other = single(t, "c", "k", { idempotencyKey: "i" })
        assert.deepStrictEqual(yield* t.enqueue(a, other), [again("completed"), again("completed")])
        const elsewhere = single(t, "d", "elsewhere", { idempotencyKey: "i" })
        assert.deepStrictEqual(yield* t.enqueue(elsewhere), [again("completed")])
        const free = single(t, "e", "elsewhere")
        assert.deepStrictEqual(yield* t.enqueue(free), [started(free)])
      })
  ),

  check("of concurrent starts with one singleton key, one inserts a run", (t) =>
    Effect.gen(function*() {
      const runs = Array.from({ length: 50 }, (_, n) => single(t, `run-${n}`, `k-${n % 2}`))
      const answers = yield* Effect.forEach(runs, (run) => Effect.map(t.enqueue(run), only), {
        concurrency: "unbounded"
      })
      for (const parity of [0, 1]) {
        const ofKey = answers.filter((_, n) => n % 2 === parity)
        assert.strictEqual(ofKey.filter(({ _tag }) => _tag === "Started").length, 1)
        assert.strictEqual(new Set(ofKey.map(({ id }) => id)).size, 1)
      }
      assert.strictEqual((yield* t.claim([t.id("q")])).length, 2)
    })),

  check(
    "a request with a singleton key claims no run, and is written whole or not at all",
    (t) =>
      Effect.gen(function*() {
        const [a, b] = [single(t, "a", "k"), single(t, "b", "l")]
        const request = { runs: [a, b], claim: { worker: t.worker, capacity: 2 } }
        const undone = t.driver.transaction(Effect.zipRight(t.driver.enqueue(request), Effect.fail("undone")))
        yield* Effect.either(undone)
        assert.deepStrictEqual(yield* value(t.driver.enqueue(request)), [started(a), started(b)])
      })
  ),

  check(
    "a debounced run is replaced by later starts until no start comes for its interval",
    (t) =>
      Effect.gen(function*() {
        const first = debounced(t, "a", 100, null, { payload: "1" })
        const second = debounced(t, "b", 100, null, {
          payload: "2",
          priority: 3,
          tags: ["t"],
          attributes: { n: 1 }
        })
        assert.deepStrictEqual(yield* t.enqueue(first), [started(first)])
        assert.strictEqual((yield* t.record(first)).availableAt, start + 100)
        yield* pass(80)
        assert.deepStrictEqual(yield* t.enqueue(second), [joined(first)])
        yield* pass(99)
        assert.deepStrictEqual(yield* t.claim([first.queue]), [])
        yield* pass(1)
        const claimed = yield* t.claimOne(first)
        assert.deepStrictEqual([claimed.id, claimed.payload, claimed.priority], [first.id, "2", 3])
        const record = yield* t.record(first)
        assert.deepStrictEqual([record.payload, record.tags, record.attributes], ["2", ["t"], { n: 1 }])
        // The run has started, so the next start inserts a new one.
        const third = debounced(t, "c", 100, null)
        assert.deepStrictEqual(yield* t.enqueue(third), [started(third)])
        assert.deepStrictEqual(yield* t.enqueue(second), [joined(third)])
        assert.strictEqual((yield* t.record(first)).payload, "2")
      })
  ),

  check(
    "a debounced run waits at most its maximum, and at least until the instant that its start names",
    (t) =>
      Effect.gen(function*() {
        const run = (n: number, change: Partial<Driver.NewRun> = {}) => debounced(t, `run-${n}`, 100, 250, change)
        yield* t.enqueue(run(0))
        for (const [n, due] of [[1, 180], [2, 250], [3, 250]] as const) {
          yield* pass(80)
          assert.deepStrictEqual(yield* t.enqueue(run(n)), [joined(run(0))])
          assert.strictEqual((yield* t.record(run(0))).availableAt, start + due)
        }
        yield* t.enqueue(run(4, { availableAt: start + 900 }))
        assert.strictEqual((yield* t.record(run(0))).availableAt, start + 900)
      })
  ),

  check(
    "a debounced run that is paused before its first claim is replaced and stays paused",
    (t) =>
      Effect.gen(function*() {
        const [a, b] = [debounced(t, "a", 100, null, { payload: "1" }), debounced(t, "b", 100, null, { payload: "2" })]
        const request = { runs: [a.id], by: null, reason: null }
        yield* t.enqueue(a)
        assert.strictEqual(yield* value(t.driver.pause(request)), 1)
        yield* pass(80)
        assert.deepStrictEqual(yield* t.enqueue(b), [joined(a)])
        const record = yield* t.record(a)
        assert.deepStrictEqual([record.status, record.payload, record.availableAt], ["paused", "2", start + 180])
        yield* pass(200)
        assert.deepStrictEqual(yield* t.claim([a.queue]), [])
        assert.strictEqual(yield* value(t.driver.resume(request)), 1)
        const claimed = yield* t.claimOne(a)
        assert.deepStrictEqual([claimed.id, claimed.payload], [a.id, "2"])
        // The run has started, so it is not replaced while it is paused.
        yield* t.driver.pause(request)
        const third = debounced(t, "c", 100, null)
        assert.deepStrictEqual(yield* t.enqueue(third), [started(third)])
      })
  ),

  check(
    "a debounced run that is cancelled, or has another queue, version or key, is not replaced",
    (t) =>
      Effect.gen(function*() {
        const [a, b] = [debounced(t, "a", 100, null, { payload: "1" }), debounced(t, "b", 100, null)]
        yield* t.enqueue(a)
        yield* t.deliver({ to: a.id, kind: "cancel", name: "cancel", id: "cancel", by: null, reason: null })
        assert.deepStrictEqual(yield* t.enqueue(b), [started(b)])
        const other = debounced(t, "c", 100, null, { queue: t.id("other") })
        assert.deepStrictEqual(yield* t.enqueue(other), [started(other)])
        const version = debounced(t, "d", 100, null, { queue: other.queue, version: "2" })
        assert.deepStrictEqual(yield* t.enqueue(version), [started(version)])
        assert.strictEqual((yield* t.record(a)).payload, "1")
      })
  ),

  check(
    "concurrent debounced starts insert one run with the payload of one of them",
    (t) =>
      Effect.gen(function*() {
        const runs = Array.from({ length: 20 }, (_, n) => debounced(t, `run-${n}`, 100, null, { payload: `${n}` }))
        const answers = yield* Effect.forEach(runs, (run) => Effect.map(t.enqueue(run), only), {
          concurrency: "unbounded"
        })
        assert.strictEqual(new Set(answers.map(({ id }) => id)).size, 1)
        yield* pass(100)
        const claimed = only(yield* t.claim([t.id("q")]))
        assert.include(runs.map(({ payload }) => payload), claimed.payload)
      })
  )
]
