/** Keys of queues: key order, the order within a key, and the limit of a key. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { check, finish, now, only, pass, start, suspend, value } from "../Fixture.js"
import { claimed, fill, numbered, queueWith } from "./support.js"

export const keys = [
  check(
    "a key with concurrency 1 has one run at a time, in order, from its first claim to its end",
    (t) =>
      Effect.gen(function*() {
        const queue = yield* queueWith(t, { keyConcurrency: 1 })
        yield* fill(t, queue, ["c"], { key: "k", priority: 1 })
        yield* fill(t, queue, ["b"], { key: "k", availableAt: start - 1 })
        yield* fill(t, queue, ["a"], { key: "k", availableAt: start - 2 })
        yield* fill(t, queue, ["x"], { key: "other" })
        const first = yield* t.claim([queue])
        assert.deepStrictEqual(first.map(({ id }) => id), [t.id("a"), t.id("x")])
        assert.deepStrictEqual(first.map(({ key }) => key), ["k", "other"])
        const [a] = first
        assert(a !== undefined)
        assert.deepStrictEqual(yield* claimed(t, [queue]), [])
        yield* t.apply(a, { transition: suspend(start + 10) })
        assert.deepStrictEqual(yield* claimed(t, [queue]), [])
        yield* pass(10)
        const again = only(yield* t.claim([queue]))
        yield* t.apply(again, { transition: finish() })
        const b = only(yield* t.claim([queue]))
        assert.strictEqual(b.id, t.id("b"))
        yield* value(t.driver.terminate({ runs: [b.id], by: null, reason: null }))
        assert.deepStrictEqual(yield* claimed(t, [queue]), ["c"])
      })
  ),

  check("a key without a limit starts all of its runs together", (t) =>
    Effect.gen(function*() {
      yield* fill(t, t.id("queue"), numbered("run-", 4), { key: "k" })
      assert.deepStrictEqual(yield* claimed(t, [t.id("queue")]), numbered("run-", 4))
    })),

  check("200 keys that are inserted in two requests all start in small claims", (t) =>
    Effect.gen(function*() {
      const queue = yield* queueWith(t, { keyConcurrency: 1 })
      const keys = Array.from({ length: 200 }, (_, n) => `k${(n * 89) % 200}`)
      const bulk = (some: ReadonlyArray<string>) => t.enqueue(...some.map((key) => t.newRun(key, { queue, key })))
      yield* bulk(keys.slice(0, 100))
      yield* pass(1)
      yield* bulk(keys.slice(100))
      const begun = new Set<string>()
      for (let claims = 0; begun.size < keys.length && claims < 60; claims++) {
        for (const name of yield* claimed(t, [queue], 10)) begun.add(name)
      }
      assert.deepStrictEqual(keys.filter((name) => !begun.has(name)), [])
    })),

  check("a key with many runs does not delay the runs of other keys", (t) =>
    Effect.gen(function*() {
      const queue = t.id("queue")
      yield* fill(t, queue, numbered("many-", 50), { key: "many" })
      assert.deepStrictEqual(yield* claimed(t, [queue], 2), ["many-00", "many-01"])
      yield* pass(1)
      yield* fill(t, queue, numbered("few-", 2), { key: "few" })
      assert.deepStrictEqual(yield* claimed(t, [queue], 3), ["many-02", "few-00", "many-03"])
      yield* pass(1)
      assert.deepStrictEqual(yield* claimed(t, [queue], 4), ["few-01", "many-04", "many-05", "many-06"])
      assert.deepStrictEqual(yield* claimed(t, [queue], 2), ["many-07", "many-08"])
    })),

  check(
    "a run starts before all runs with a higher priority number, of any key",
    (t) =>
      Effect.gen(function*() {
        const queue = t.id("queue")
        yield* fill(t, queue, numbered("first-", 5), { key: "first", priority: 1 })
        for (const key of ["a", "b", "c"]) yield* fill(t, queue, numbered(`${key}-`, 3), { key, priority: 2 })
        yield* fill(t, queue, ["alone"], { key: "alone", priority: 1 })
        assert.deepStrictEqual(
          yield* claimed(t, [queue], 7),
          ["alone", "first-00", "first-01", "first-02", "first-03", "first-04", "a-00"]
        )
      })
  ),

  check(
    "a key that waits for another worker does not reorder the priorities of other keys",
    (t) =>
      Effect.gen(function*() {
        const queue = yield* queueWith(t, { concurrency: 100 })
        yield* fill(t, queue, ["stranger"], { key: "a", priority: 0, version: "99" })
        yield* fill(t, queue, numbered("a-", 3), { key: "a", priority: 1 })
        yield* fill(t, queue, numbered("c-", 4), { key: "c", priority: 2 })
        yield* fill(t, queue, numbered("b-", 4), { key: "b", priority: 1 })
        assert.deepStrictEqual(yield* claimed(t, [queue], 4), ["b-00", "b-01", "b-02", "b-03"])
      })
  ),

  check(
    "a key whose next run this worker cannot execute waits for a worker that can",
    (t) =>
      Effect.gen(function*() {
        const queue = yield* queueWith(t, { keyConcurrency: 1 })
        const other = { name: t.id("other"), version: "1" }
        yield* fill(t, queue, ["a"], { key: "k", workflow: other.name })
        yield* fill(t, queue, ["b"], { key: "k", availableAt: start + 1 })
        yield* pass(1)
        assert.deepStrictEqual(yield* claimed(t, [queue]), [])
        const a = only(yield* t.claim([queue], { workflows: [other] }))
        assert.strictEqual(a.id, t.id("a"))
        yield* t.apply(a, { transition: finish() })
        assert.deepStrictEqual(yield* claimed(t, [queue]), ["b"])
      })
  ),

  check(
    "a key starts its following run when its next run is terminated, paused or expired",
    (t) =>
      Effect.gen(function*() {
        const other = { name: t.id("other"), version: "1" }
        const named = (run: string) => ({ runs: [run], by: null, reason: null })
        const leave: Readonly<Record<string, (run: string) => Effect.Effect<unknown, unknown>>> = {
          terminated: (run) => t.driver.terminate(named(run)),
          paused: (run) => t.driver.pause(named(run)),
          expired: () => Effect.zipRight(pass(10), t.driver.expire({ limit: 1_000 }))
        }
        for (const [name, go] of Object.entries(leave)) {
          const queue = yield* queueWith(t, { keyConcurrency: 1 }, name)
          const at = yield* now
          const expiresAt = name === "expired" ? at + 10 : null
          yield* fill(t, queue, [`${name}-a`], { key: "k", workflow: other.name, expiresAt })
          yield* fill(t, queue, [`${name}-b`], { key: "k", priority: 1 })
          assert.deepStrictEqual(yield* claimed(t, [queue]), [])
          assert.deepStrictEqual(yield* claimed(t, [queue]), [])
          yield* go(t.id(`${name}-a`))
          assert.deepStrictEqual(yield* claimed(t, [queue]), [`${name}-b`], name)
        }
      })
  ),

  check(
    "a key starts its runs in order of priority after other keys had heads without runs",
    (t) =>
      Effect.gen(function*() {
        const queue = yield* queueWith(t, { keyConcurrency: 1 })
        yield* fill(t, queue, ["k-5"], { key: "k", priority: 5 })
        yield* fill(t, queue, ["k-0"], { key: "k" })
        for (const n of [1, 2, 3]) yield* fill(t, queue, [`stale-${n}`], { key: `a-${n}`, availableAt: start - 100 })
        assert.deepStrictEqual(yield* claimed(t, [queue], 1), ["stale-1"])
        // The heads of their keys stay, but have no run to start.
        const runs = ["stale-2", "stale-3"].map((name) => t.id(name))
        yield* t.driver.terminate({ runs, by: null, reason: null })
        yield* pass(1)
        assert.deepStrictEqual(yield* claimed(t, [queue], 2), ["k-0"])
        yield* t.driver.terminate({ runs: [t.id("k-0")], by: null, reason: null })
        assert.deepStrictEqual(yield* claimed(t, [queue], 2), ["k-5"])
      })
  )
]
