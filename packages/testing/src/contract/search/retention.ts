/** Retention. Rules name workflows, or times of end, that no other case has. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import type * as Driver from "perdure/JournalDriver"
import type { Fixture } from "../Fixture.js"
import { check, entries, finish, pass, signal, start, value } from "../Fixture.js"

const retain = (t: Fixture, rules: ReadonlyArray<Partial<Driver.RetentionRule>>, limit = 100) =>
  value(t.driver.retain({
    rules: rules.map((rule) => ({
      workflow: t.workflow.name,
      statuses: ["completed"],
      olderThanMillis: 100,
      ...rule
    })),
    limit
  }))

/** The names of those of these runs that exist. */
const left = (t: Fixture, ...names: ReadonlyArray<string>) =>
  Effect.map(
    value(t.driver.get(names.map((name) => t.id(name)))),
    (runs) => runs.map(({ id }) => id.slice(t.prefix.length + 1)).toSorted()
  )

const done = (
  t: Fixture,
  name: string,
  change: Partial<Driver.NewRun> = {},
  status: "completed" | "failed" = "completed"
) => Effect.flatMap(t.running(name, change), (held) => t.apply(held, { transition: finish(undefined, status) }))

export const retention = [
  check(
    "a run is deleted with all of its data, and its id and idempotency key are free again",
    (t) =>
      Effect.gen(function*() {
        const run = t.newRun("a", { idempotencyKey: "key", tags: [t.id("x")] })
        yield* t.enqueue(run)
        yield* t.deliver(signal(run.id, "x"))
        yield* t.apply(yield* t.claimOne(run), {
          entries: entries(0, 3),
          published: [{ key: "p", value: "1" }],
          transition: finish()
        })
        yield* pass(101)
        assert.strictEqual(yield* retain(t, [{}]), 1)
        assert.deepStrictEqual(yield* t.everything(run), { record: [], history: [], messages: [], published: [] })
        assert.deepStrictEqual(yield* t.findByIdempotencyKey(run.workflow, "key"), [])
        assert.deepStrictEqual(yield* value(t.driver.find({ filter: { tags: [t.id("x")] }, after: null, limit: 1 })), {
          runs: [],
          next: null
        })
        assert.deepStrictEqual(yield* value(t.driver.count({ workflows: [run.workflow] })), {})
        assert.deepStrictEqual(yield* t.deliver(signal(run.id, "x")), ["NoSuchRun"])
        assert.strictEqual(yield* retain(t, [{}]), 0)
        const [again] = yield* t.enqueue(run)
        assert.deepStrictEqual(again, { _tag: "Started", id: run.id, epoch: null })
        assert.deepStrictEqual((yield* t.claimOne(run)).journal, [])
      })
  ),

  check("a rule deletes only runs in its states that ended longer ago than it allows", (t) =>
    Effect.gen(function*() {
      yield* done(t, "old")
      yield* done(t, "failed", {}, "failed")
      yield* t.enqueue(t.newRun("pending"))
      yield* t.suspended("suspended", Infinity, "signal:x")
      yield* pass(1)
      yield* done(t, "young")
      yield* pass(100)
      const names = ["old", "failed", "pending", "suspended", "young"]
      assert.strictEqual(yield* retain(t, []), 0)
      assert.strictEqual(yield* retain(t, [{ statuses: [] }]), 0)
      assert.strictEqual(yield* retain(t, [{ workflow: t.id("other") }]), 0)
      assert.strictEqual(yield* retain(t, [{ olderThanMillis: Infinity }]), 0)
      assert.strictEqual(yield* retain(t, [{ olderThanMillis: 101 }]), 0)
      assert.deepStrictEqual(yield* left(t, ...names), [...names].sort())
      assert.strictEqual(yield* retain(t, [{}]), 1)
      assert.deepStrictEqual(yield* left(t, ...names), ["failed", "pending", "suspended", "young"])
      yield* pass(1)
      const rules = [{ olderThanMillis: 1_000 }, { statuses: ["failed" as const, "completed" as const] }]
      assert.strictEqual(yield* retain(t, rules), 2)
      yield* pass(1_000_000)
      assert.strictEqual(yield* retain(t, rules), 0)
      assert.deepStrictEqual(yield* left(t, ...names), ["pending", "suspended"])
    })),

  check("a deletion is bounded by its limit and starts with the runs that ended first", (t) =>
    Effect.gen(function*() {
      for (const name of ["b", "a", "d", "c"]) {
        yield* done(t, name)
        yield* pass(1)
      }
      yield* pass(200)
      assert.strictEqual(yield* retain(t, [{}], 0), 0)
      assert.strictEqual(yield* retain(t, [{}], 3), 3)
      assert.deepStrictEqual(yield* left(t, "a", "b", "c", "d"), ["c"])
      assert.strictEqual(yield* retain(t, [{}], 3), 1)
    })),

  check("a child is kept while its parent is live", (t) =>
    Effect.gen(function*() {
      const workflow = t.id("child-workflow")
      const child = (parent: string) => ({ workflow, parent: { id: t.id(parent), token: "t", attached: false } })
      const live = yield* t.running("live")
      yield* t.suspended("asleep", Infinity, "signal:x")
      yield* done(t, "failed", {}, "failed")
      yield* done(t, "done")
      for (const parent of ["live", "asleep", "failed", "done", "unknown"])
        yield* done(t, `of-${parent}`, child(parent))
      const names = ["of-live", "of-asleep", "of-failed", "of-done", "of-unknown"]
      yield* pass(200)
      assert.strictEqual(yield* retain(t, [{ workflow }]), 3)
      assert.deepStrictEqual(yield* left(t, ...names), ["of-asleep", "of-live"])
      yield* t.apply(live, { transition: finish() })
      assert.strictEqual(yield* retain(t, [{ workflow }]), 1)
      assert.deepStrictEqual(yield* left(t, "live", "failed", "done", ...names), [
        "done",
        "failed",
        "live",
        "of-asleep"
      ])
    })),

  check("a rule without a workflow applies to the workflows that no other rule names", (t) =>
    Effect.gen(function*() {
      // Long before a run of any other case has ended.
      yield* TestClock.setTime(start - 10_000_000_000)
      yield* done(t, "a")
      yield* done(t, "b", { workflow: t.id("other") })
      yield* done(t, "c", { workflow: t.id("kept") })
      yield* TestClock.setTime(start)
      const rules = [
        { workflow: null, olderThanMillis: 9_000_000_000 },
        { workflow: t.id("other"), olderThanMillis: 20_000_000_000 },
        { workflow: t.id("kept"), statuses: ["failed" as const] }
      ]
      assert.strictEqual(yield* retain(t, rules), 1)
      assert.deepStrictEqual(yield* left(t, "a", "b", "c"), ["b", "c"])
      assert.strictEqual(yield* retain(t, [{ workflow: null, olderThanMillis: 9_000_000_000 }]), 2)
    })),

  check("a deletion in a transaction that fails deletes nothing", (t) =>
    Effect.gen(function*() {
      yield* done(t, "a", { idempotencyKey: "key" })
      const before = yield* t.everything({ id: t.id("a") })
      yield* pass(200)
      yield* Effect.ignore(t.driver.transaction(Effect.zipRight(retain(t, [{}]), Effect.fail("undone"))))
      assert.deepStrictEqual(yield* t.everything({ id: t.id("a") }), before)
      assert.deepStrictEqual(yield* t.findByIdempotencyKey(t.workflow.name, "key"), before.record)
    }))
]
