/** Queues: settings, limits, counts and pauses. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Driver from "perdure/JournalDriver"
import { check, finish, now, only, pass, start, suspend, value } from "../Fixture.js"
import { claimed, fill, numbered, queueWith, unlimited } from "./support.js"
import { keys } from "./keys.js"

export const queues = [
  check(
    "a queue has the settings of its definition, and changes by hand last until the definition changes",
    (t) =>
      Effect.gen(function*() {
        const name = t.id("queue")
        assert.deepStrictEqual(yield* value(t.driver.queues([name])), [])
        const rate = { limit: 10, millis: 1_000, burst: 3 }
        const settings = { priority: 2, concurrency: 5, admission: 50, keyConcurrency: 1, rate }
        const define = (definition: string, settings: Omit<Driver.QueueSettings, "paused">) =>
          value(t.driver.defineQueue({ name, definition, settings }))
        const first = { name, ...settings, paused: false, definition: "{\"v\":1}", pause: null }
        assert.deepStrictEqual(yield* define("{\"v\":1}", settings), first)
        const change = { concurrency: 7, rate: null, paused: true }
        const pause = { at: start, by: "ann", reason: "stock-taking" }
        const second = { ...first, ...change, pause }
        assert.deepStrictEqual(yield* value(t.driver.changeQueue({ name, change, ...pause })), second)
        assert.deepStrictEqual(yield* define("{\"v\":1}", settings), second)
        const third = { name, ...unlimited, paused: true, definition: "{\"v\":2}", pause }
        assert.deepStrictEqual(yield* define("{\"v\":2}", unlimited), third)
        assert.deepStrictEqual(yield* value(t.driver.queues([name, name, t.id("no-queue")])), [third])
      })
  ),

  check("queues are read page by page, each once, in order of the bytes of their names", (t) =>
    Effect.gen(function*() {
      const names = ["B", "Z", "a", "a-b", "ab", "b"].map((name) => t.id(`page-${name}`)).toSorted()
      yield* value(t.driver.ensureQueues(names.toReversed()))
      const [first = ""] = names
      const before = first.slice(0, -1)
      const pageAfter = (after: string | null, limit: number) =>
        Effect.map(value(t.driver.queuePage({ after, limit })), (page) => page.map(({ name }) => name))
      assert.deepStrictEqual(yield* pageAfter(before, 4), names.slice(0, 4))
      assert.deepStrictEqual(yield* pageAfter(names[3] ?? "", 2), names.slice(4))
      assert.deepStrictEqual(yield* pageAfter(before, 0), [])
      assert.strictEqual((yield* pageAfter(null, 3)).length, 3)
      assert.deepStrictEqual(yield* value(t.driver.queuePage({ after: before, limit: 1 })), [
        { name: first, ...unlimited, paused: false, definition: null, pause: null }
      ])
    })),

  check("a queue's record has the last pause or resume: when, by whom and why", (t) =>
    Effect.gen(function*() {
      const name = yield* queueWith(t, {})
      const change = (change: Partial<Driver.QueueSettings>, by: string | null, reason: string | null) =>
        Effect.map(value(t.driver.changeQueue({ name, change, by, reason })), (record) => record?.pause)
      assert.isNull(yield* change({ concurrency: 1 }, "ann", "calm"))
      assert.isNull(yield* change({ paused: false }, "ann", "it is not paused"))
      yield* pass(10)
      const paused = { at: start + 10, by: "ann", reason: null }
      assert.deepStrictEqual(yield* change({ paused: true }, "ann", null), paused)
      yield* pass(10)
      assert.deepStrictEqual(yield* change({ paused: true }, "bob", "again"), paused)
      assert.deepStrictEqual(yield* change({ concurrency: null }, "bob", "more"), paused)
      const resumed = { at: start + 20, by: null, reason: "done" }
      assert.deepStrictEqual(yield* change({ paused: false }, null, "done"), resumed)
      assert.deepStrictEqual(only(yield* value(t.driver.queues([name]))).pause, resumed)
    })),

  check("a queue without a row is not changed, and its row is inserted once", (t) =>
    Effect.gen(function*() {
      const [a, b] = [t.id("a"), t.id("b")]
      assert.isNull(yield* value(t.driver.changeQueue({ name: a, change: { paused: true } })))
      assert.deepStrictEqual(yield* value(t.driver.ensureQueues([b, a, b])), [a, b])
      assert.deepStrictEqual(yield* value(t.driver.ensureQueues([b, a])), [])
      const made = { ...unlimited, paused: false, definition: null, pause: null }
      assert.deepStrictEqual(yield* value(t.driver.queues([b, a])), [{ name: a, ...made }, { name: b, ...made }])
    })),

  check("queues are claimed in order of their priority before that of their runs", (t) =>
    Effect.gen(function*() {
      const urgent = yield* queueWith(t, { priority: -1 }, "urgent")
      yield* fill(t, t.id("usual"), ["a"], { priority: -5 })
      yield* fill(t, urgent, ["b", "c"], { priority: 5 })
      assert.deepStrictEqual(yield* claimed(t, [t.id("usual"), urgent]), ["b", "c", "a"])
    })),

  check(
    "a queue has at most `concurrency` running runs, also after runs end or suspend, and the others wait in order",
    (t) =>
      Effect.gen(function*() {
        const queue = yield* queueWith(t, { concurrency: 2 })
        yield* fill(t, queue, numbered("run-", 5))
        const first = yield* t.claimAnswer([queue])
        assert.deepStrictEqual(first.runs.map(({ id }) => id), [t.id("run-00"), t.id("run-01")])
        assert.isTrue(first.limited)
        assert.deepStrictEqual(yield* claimed(t, [queue]), [])
        const [a, b] = first.runs
        assert(a !== undefined && b !== undefined)
        yield* t.apply(a, { transition: finish() })
        assert.deepStrictEqual(yield* claimed(t, [queue]), ["run-02"])
        // A suspended run uses no capacity until it is claimed again.
        yield* t.apply(b, { transition: suspend(start + 10) })
        assert.deepStrictEqual(yield* claimed(t, [queue]), ["run-03"])
        yield* pass(10)
        assert.deepStrictEqual(yield* claimed(t, [queue]), [])
        yield* value(t.driver.terminate({ runs: [t.id("run-03")], by: null, reason: null }))
        assert.deepStrictEqual(yield* claimed(t, [queue]), ["run-04"])
        yield* value(t.driver.retire(t.worker))
        yield* t.heartbeat(t.worker, 1_000_000)
        assert.strictEqual((yield* t.claim([queue])).length, 2)
      })
  ),

  check(
    "a queue with concurrency 0 or a pause has no run claimed, and its running runs continue",
    (t) =>
      Effect.gen(function*() {
        const queue = yield* queueWith(t, {})
        yield* fill(t, queue, ["a", "b"])
        const held = only(yield* t.claim([queue], { limit: 1 }))
        for (const closed of [{ concurrency: 0 }, { concurrency: null, paused: true }]) {
          yield* t.driver.changeQueue({ name: queue, change: closed })
          assert.deepStrictEqual(yield* t.claimAnswer([queue]), {
            runs: [],
            nextDue: null,
            more: false,
            limited: false
          })
        }
        yield* t.apply(held, { transition: { _tag: "Release", at: start } })
        assert.deepStrictEqual(yield* claimed(t, [queue]), [])
        yield* t.driver.changeQueue({ name: queue, change: { paused: false } })
        assert.deepStrictEqual(yield* claimed(t, [queue]), ["a", "b"])
      })
  ),

  check(
    "admission counts the runs that have started and not ended, and does not delay their next claims",
    (t) =>
      Effect.gen(function*() {
        const queue = yield* queueWith(t, { admission: 2 })
        yield* fill(t, queue, numbered("run-", 4))
        const [a, b] = yield* t.claim([queue])
        assert(a !== undefined && b !== undefined)
        yield* t.apply(a, { transition: suspend(start + 5) })
        yield* t.apply(b, { transition: { _tag: "Diverge", detail: "{}" } })
        assert.deepStrictEqual(yield* claimed(t, [queue]), [])
        yield* pass(5)
        const again = only(yield* t.claim([queue]))
        assert.strictEqual(again.id, a.id)
        yield* t.apply(again, { transition: finish() })
        assert.deepStrictEqual(yield* claimed(t, [queue]), ["run-02"])
        yield* value(t.driver.terminate({ runs: [b.id], by: null, reason: null }))
        assert.deepStrictEqual(yield* claimed(t, [queue]), ["run-03"])
      })
  ),

  check(
    "a rate lets a burst start, then one run per interval, and does not delay started runs",
    (t) =>
      Effect.gen(function*() {
        const queue = yield* queueWith(t, { rate: { limit: 2, millis: 1_000, burst: 3 } })
        yield* fill(t, queue, numbered("run-", 9))
        const first = yield* t.claimAnswer([queue])
        assert.deepStrictEqual(first.runs.map(({ id }) => id), ["run-00", "run-01", "run-02"].map((name) => t.id(name)))
        assert.strictEqual(first.nextDue, start + 500)
        const [begun] = first.runs
        assert(begun !== undefined)
        yield* t.apply(begun, { transition: { _tag: "Release", at: start } })
        yield* pass(499)
        assert.deepStrictEqual(yield* claimed(t, [queue]), ["run-00"])
        yield* pass(1)
        assert.deepStrictEqual(yield* claimed(t, [queue]), ["run-03"])
        yield* pass(1_250)
        const third = yield* t.claimAnswer([queue])
        assert.deepStrictEqual(third.runs.map(({ id }) => id), ["run-04", "run-05"].map((name) => t.id(name)))
        assert.strictEqual(third.nextDue, start + 2_000)
        yield* pass(1_000_000)
        assert.deepStrictEqual(yield* claimed(t, [queue]), ["run-06", "run-07", "run-08"])
      })
  ),

  check(
    "an insert claims no run of a limited queue, a paused queue or workflow, or with a key",
    (t) =>
      Effect.gen(function*() {
        const capped = yield* queueWith(t, { concurrency: 5 }, "capped")
        const paused = yield* queueWith(t, { paused: true }, "paused")
        yield* t.driver.pauseWorkflows({ workflows: [t.id("held")], by: null, reason: null })
        const runs = [
          t.newRun("a", { queue: capped }),
          t.newRun("b", { queue: paused }),
          t.newRun("c", { key: "k" }),
          t.newRun("d", { workflow: t.id("held") }),
          t.newRun("e", { expiresAt: start }),
          t.newRun("f")
        ]
        const answers = yield* value(t.driver.enqueue({ runs, claim: { worker: t.worker, capacity: 6 } }))
        assert.deepStrictEqual(
          answers.map((each) => each._tag === "Started" ? each.epoch : each._tag),
          [null, null, null, null, null, 1]
        )
      })
  ),

  check("runs start at any rate, and a new rate applies immediately", (t) =>
    Effect.gen(function*() {
      for (const [limit, millis] of [[3, 1_000], [7, 60_000], [1, 86_400_000], [999, 7]] as const) {
        const queue = yield* queueWith(t, { rate: { limit, millis, burst: 1 } }, `rate-${limit}`)
        yield* fill(t, queue, numbered(`of-${limit}-`, 3))
        assert.strictEqual((yield* t.claim([queue])).length, 1, `${limit} in ${millis}`)
        yield* pass(Math.ceil(millis / limit))
        assert.strictEqual((yield* t.claim([queue])).length, 1, `${limit} in ${millis}, the second`)
      }
      const queue = yield* queueWith(t, { rate: { limit: 1, millis: 3_600_000, burst: 1 } })
      yield* fill(t, queue, numbered("run-", 9))
      assert.strictEqual((yield* t.claim([queue])).length, 1)
      const change = (rate: Driver.Rate | null) => t.driver.changeQueue({ name: queue, change: { rate } })
      yield* change({ limit: 100, millis: 1_000, burst: 2 })
      assert.deepStrictEqual(yield* claimed(t, [queue]), [])
      yield* pass(10)
      assert.deepStrictEqual(yield* claimed(t, [queue]), ["run-01"])
      yield* pass(60_000)
      assert.strictEqual((yield* t.claim([queue])).length, 2)
      yield* change(null)
      assert.strictEqual((yield* t.claim([queue])).length, 5)
    })),

  check(
    "a delayed run of a key is in nextDue and does not delay the key's due runs",
    (t) =>
      Effect.gen(function*() {
        const queue = yield* queueWith(t, { keyConcurrency: 1 })
        yield* fill(t, queue, ["later"], { key: "k", availableAt: start + 100 })
        assert.deepStrictEqual(yield* t.claimAnswer([queue]), {
          runs: [],
          nextDue: start + 100,
          more: false,
          limited: false
        })
        assert.strictEqual((yield* t.claimAnswer([queue])).nextDue, start + 100)
        yield* fill(t, queue, ["now"], { key: "k" })
        const run = only(yield* t.claim([queue]))
        assert.strictEqual(run.id, t.id("now"))
        yield* t.apply(run, { transition: finish() })
        assert.strictEqual((yield* t.claimAnswer([queue])).nextDue, start + 100)
        yield* pass(100)
        assert.deepStrictEqual(yield* claimed(t, [queue]), ["later"])
      })
  ),

  check("a higher keyConcurrency, or none, lets more runs of a key start", (t) =>
    Effect.gen(function*() {
      const queue = yield* queueWith(t, { keyConcurrency: 1 })
      yield* fill(t, queue, numbered("run-", 6), { key: "k" })
      assert.deepStrictEqual(yield* claimed(t, [queue]), ["run-00"])
      yield* t.driver.changeQueue({ name: queue, change: { keyConcurrency: 3 } })
      assert.deepStrictEqual(yield* claimed(t, [queue]), ["run-01", "run-02"])
      yield* t.driver.changeQueue({ name: queue, change: { keyConcurrency: 2 } })
      yield* value(t.driver.terminate({ runs: [t.id("run-00")], by: null, reason: null }))
      assert.deepStrictEqual(yield* claimed(t, [queue]), [])
      yield* t.driver.changeQueue({ name: queue, change: { keyConcurrency: null } })
      assert.deepStrictEqual(yield* claimed(t, [queue]), ["run-03", "run-04", "run-05"])
    })),

  check(
    "of several limits of a queue the lowest applies, and capacity that one key leaves goes to other runs",
    (t) =>
      Effect.gen(function*() {
        const queue = yield* queueWith(t, {
          concurrency: 4,
          admission: 5,
          keyConcurrency: 2,
          rate: { limit: 1, millis: 1_000, burst: 3 }
        })
        yield* fill(t, queue, numbered("a-", 5), { key: "a" })
        yield* fill(t, queue, numbered("free-", 5))
        const first = yield* t.claim([queue])
        assert.deepStrictEqual(first.map(({ id }) => id), ["a-00", "free-00", "free-01"].map((name) => t.id(name)))
        yield* pass(5_000)
        assert.deepStrictEqual(yield* claimed(t, [queue]), ["a-01"])
        const [a] = first
        assert(a !== undefined)
        yield* t.apply(a, { transition: suspend(start + 5_001) })
        assert.strictEqual((yield* t.claim([queue])).length, 1)
        yield* pass(1)
        assert.deepStrictEqual(yield* claimed(t, [queue]), [])
      })
  ),

  check("a run is not claimed for the first time after its deadline", (t) =>
    Effect.gen(function*() {
      const queue = t.id("queue")
      yield* fill(t, queue, ["a"], { expiresAt: start + 10 })
      yield* fill(t, queue, ["b"], { expiresAt: start + 11 })
      yield* fill(t, queue, ["c"], { expiresAt: start + 10, key: "k" })
      const begun = t.newRun("begun", { expiresAt: start + 10 })
      yield* t.enqueue(begun)
      yield* t.apply(yield* t.claimOne(begun), { transition: suspend(start) })
      yield* pass(10)
      assert.deepStrictEqual(yield* claimed(t, [queue]), ["b"])
      assert.strictEqual((yield* t.claimOne(begun)).id, begun.id)
    })),

  check("runs of a paused workflow are not claimed, and other runs of the queue are", (t) =>
    Effect.gen(function*() {
      const queue = t.id("queue")
      const other = { name: t.id("other"), version: "1" }
      const workflows = [t.workflow, other]
      yield* fill(t, queue, ["a"])
      yield* fill(t, queue, ["b"], { workflow: other.name })
      yield* fill(t, queue, ["c"], { key: "k" })
      const names = [t.workflow.name, t.workflow.name]
      const pause = (by: string, reason: string | null) =>
        value(t.driver.pauseWorkflows({ workflows: names, by, reason }))
      const shown = Effect.map(
        value(t.driver.pausedWorkflows()),
        (all) => all.filter(({ name }) => name === t.workflow.name)
      )
      yield* pass(1)
      assert.deepStrictEqual(yield* pause("ann", "it is wrong"), [t.workflow.name])
      yield* pass(1)
      assert.deepStrictEqual(yield* pause("bob", null), [])
      assert.deepStrictEqual(yield* shown, [
        { name: t.workflow.name, at: start + 1, by: "ann", reason: "it is wrong" }
      ])
      assert.deepStrictEqual((yield* t.claim([queue], { workflows })).map(({ id }) => id), [t.id("b")])
      assert.deepStrictEqual(yield* value(t.driver.resumeWorkflows(names)), [t.workflow.name])
      assert.deepStrictEqual(yield* shown, [])
      assert.deepStrictEqual((yield* t.claim([queue], { workflows })).map(({ id }) => id), [t.id("a"), t.id("c")])
    })),

  check(
    "children with a key start one after the other, also after one is exhausted",
    (t) =>
      Effect.gen(function*() {
        const queue = yield* queueWith(t, { keyConcurrency: 1 })
        const parent = yield* t.running("parent")
        const children = ["a", "b", "c"].map((name) => t.newChild(parent, name, { queue, key: "k" }))
        yield* t.apply(parent, { children })
        const worker = yield* t.workerWith("mortal", 100)
        const a = only(yield* t.claim([queue], { worker }))
        assert.deepStrictEqual(yield* claimed(t, [queue]), [])
        yield* t.commit(a, { transition: finish() })
        const b = only(yield* t.claim([queue], { worker }))
        assert.strictEqual(b.id, t.id("b"))
        yield* pass(100)
        yield* t.reapAll(1)
        assert.strictEqual(yield* t.status(b), "exhausted")
        assert.deepStrictEqual(yield* claimed(t, [queue]), ["c"])
      })
  ),

  check("counts of a queue are by state, up to a limit", (t) =>
    Effect.gen(function*() {
      const queue = t.id("queue")
      yield* fill(t, queue, numbered("run-", 4))
      yield* fill(t, queue, ["keyed"], { key: "k" })
      yield* fill(t, queue, ["later"], { availableAt: (yield* now) + 1 })
      const [a, b] = yield* t.claim([queue], { limit: 3 })
      assert(a !== undefined && b !== undefined)
      yield* t.apply(a, { transition: suspend(Infinity) })
      yield* t.apply(b, { transition: { _tag: "Diverge", detail: "{}" } })
      const counts = (limit: number) => value(t.driver.queueCounts({ names: [queue, t.id("none")], limit }))
      const none = { name: t.id("none"), ready: 0, delayed: 0, running: 0, suspended: 0, halted: 0 }
      assert.deepStrictEqual(yield* counts(100), [
        { name: queue, ready: 2, delayed: 1, running: 1, suspended: 1, halted: 1 },
        none
      ])
      assert.deepStrictEqual(yield* counts(1), [
        { name: queue, ready: 1, delayed: 1, running: 1, suspended: 1, halted: 1 },
        none
      ])
    })),
  ...keys
]
