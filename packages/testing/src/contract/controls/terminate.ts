/** Terminate: the end of a run and its attached descendants from outside. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { check, endingOf, finish, nothing, only, pass, signal, start, value } from "../Fixture.js"

export const terminate = [
  check(
    "a terminated run is final, with who asked and why and without an exit, from any state",
    (t) =>
      Effect.gen(function*() {
        const pending = t.newRun("pending", { availableAt: start + 1_000 })
        yield* t.enqueue(pending)
        const running = yield* t.running("running")
        const asleep = yield* t.suspended("asleep", Infinity, "signal:x")
        const diverged = yield* t.running("diverged")
        yield* t.apply(diverged, { transition: { _tag: "Diverge", detail: "{\"old\":1}" } })
        yield* pass(10)
        for (const run of [pending, running, asleep, diverged]) {
          assert.strictEqual(yield* value(t.driver.terminate({ runs: [run.id], by: "ann", reason: null })), 1)
          const record = yield* t.record(run)
          assert.deepStrictEqual(record.endCause, { _tag: "Terminated", by: "ann", reason: null })
          assert.deepStrictEqual(
            [record.status, record.detail, record.exit, record.finishedAt, record.worker],
            ["terminated", null, null, start + 10, null]
          )
        }
        yield* pass(10_000)
        const queues = [pending, running, asleep, diverged].map(({ queue }) => queue)
        assert.deepStrictEqual(yield* t.claimAnswer(queues), nothing)
        assert.strictEqual(yield* value(t.driver.resume({ runs: [diverged.id], by: null, reason: null })), 0)
      })
  ),

  check("a terminate of a final or unknown run returns 0 and changes nothing", (t) =>
    Effect.gen(function*() {
      const done = yield* t.running("done")
      yield* t.apply(done, { transition: finish() })
      const before = yield* t.everything(done)
      assert.strictEqual(yield* value(t.driver.terminate({ runs: [done.id], by: null, reason: null })), 0)
      assert.deepStrictEqual(yield* t.everything(done), before)
      assert.strictEqual(yield* value(t.driver.terminate({ runs: [t.id("unknown")], by: null, reason: null })), 0)
    })),

  check("the holder of a terminated run is fenced and has no run to release", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      yield* t.driver.terminate({ runs: [held.id], by: null, reason: null })
      assert.deepStrictEqual(yield* t.commit(held, { transition: finish() }), { _tag: "Lost" })
      assert.deepStrictEqual(yield* value(t.driver.retire(t.worker)), { released: 0 })
      assert.strictEqual(yield* t.status(held), "terminated")
    })),

  check(
    "a terminate applies to attached descendants at any depth, and not to detached or final ones",
    (t) =>
      Effect.gen(function*() {
        const link = (parent: string, attached: boolean) => ({
          parent: { id: t.id(parent), token: `of-${parent}`, attached }
        })
        yield* t.enqueue(
          t.newRun("top"),
          t.newRun("child", link("top", true)),
          t.newRun("grandchild", link("child", true)),
          t.newRun("great", link("grandchild", true)),
          t.newRun("detached", link("top", false)),
          t.newRun("detached-child", link("detached", true)),
          t.newRun("done", link("top", true)),
          t.newRun("stranger")
        )
        yield* t.apply(yield* t.claimOne(t.newRun("done")), { transition: finish() })
        yield* t.claimOne(t.newRun("grandchild"))
        assert.strictEqual(yield* value(t.driver.terminate({ runs: [t.id("top")], by: null, reason: null })), 1)
        const names = ["top", "child", "grandchild", "great", "detached", "detached-child", "done", "stranger"]
        assert.deepStrictEqual(yield* Effect.forEach(names, (name) => t.status({ id: t.id(name) })), [
          "terminated",
          "terminated",
          "terminated",
          "terminated",
          "pending",
          "pending",
          "completed",
          "pending"
        ])
      })
  ),

  check(
    "a terminated child sends its parent one message, which wakes it",
    (t) =>
      Effect.gen(function*() {
        const parent = yield* t.suspended("parent", Infinity, "child:token-child")
        const child = t.newChild(parent, "child")
        const grandchild = t.newRun("grandchild", { parent: { id: child.id, token: "x", attached: true } })
        yield* t.enqueue(child, grandchild)
        yield* t.driver.terminate({ runs: [child.id], by: "ann", reason: "a \"test\"" })
        yield* t.driver.terminate({ runs: [child.id], by: null, reason: null })
        const message = only((yield* t.claimOne(parent)).inbox)
        assert.deepStrictEqual([message.kind, message.name], ["child", "token-child"])
        assert.deepStrictEqual(endingOf(message), {
          child: child.id,
          status: "terminated",
          exit: null,
          endCause: { _tag: "Terminated", by: "ann", reason: "a \"test\"" }
        })
        assert.strictEqual(yield* t.status(grandchild), "terminated")
        assert.deepStrictEqual(yield* t.deliver(signal(child.id, "x")), ["Expired"])
      })
  ),

  check("a terminate ends 200 children of one run", (t) =>
    Effect.gen(function*() {
      const parent = { id: t.id("top"), token: "x", attached: true }
      const children = Array.from({ length: 200 }, (_, n) => t.newRun(`child-${n}`, { parent }))
      yield* t.enqueue(t.newRun("top"), ...children)
      yield* t.driver.terminate({ runs: [parent.id], by: null, reason: null })
      const records = yield* value(t.driver.get(children.map(({ id }) => id)))
      assert.deepStrictEqual([records.length, new Set(records.map(({ status }) => status))], [
        200,
        new Set(["terminated"])
      ])
    }))
]
