/** How a commit changes its run's state: Suspend, Finish, Continue, Diverge (and resume), Release. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { EncodedExit, Transition } from "perdure/JournalDriver"
import {
  check,
  entries,
  finish,
  message,
  nothing,
  now,
  pass,
  signal,
  start,
  success,
  suspend,
  value
} from "../Fixture.js"

const continueWith = (payload: string, at: number): Transition => ({ _tag: "Continue", payload, at })
const diverge = (detail: string): Transition => ({ _tag: "Diverge", detail })

export const transitions = [
  check("a suspended run has no holder and is claimed when it is due", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      yield* t.apply(held, { entries: entries(0, 2), transition: suspend(start + 1_000) })
      const record = yield* t.record(held)
      assert.deepStrictEqual(
        [record.status, record.worker, record.availableAt, record.nextSeq, record.epoch],
        ["suspended", null, start + 1_000, 2, 1]
      )
      yield* pass(999)
      assert.deepStrictEqual(yield* t.claim([held.queue]), [])
      yield* pass(1)
      const again = yield* t.claimOne(held)
      assert.deepStrictEqual(again.journal, entries(0, 2))
    })),

  check("a run that suspends until a past instant is due immediately", (t) =>
    Effect.gen(function*() {
      const held = yield* t.suspended("a", start - 1)
      yield* t.claimOne(held)
    })),

  check("a run that suspends until Infinity wakes only for a message", (t) =>
    Effect.gen(function*() {
      const held = yield* t.suspended("a", Infinity)
      assert.strictEqual((yield* t.record(held)).availableAt, Infinity)
      yield* pass(100 * 365 * 86_400_000)
      assert.deepStrictEqual(yield* t.claimAnswer([held.queue]), nothing)
    })),

  check("a finished run is final, with its exit and the instant of its end", (t) =>
    Effect.gen(function*() {
      const ends: ReadonlyArray<readonly ["completed" | "failed" | "cancelled", EncodedExit]> = [
        ["completed", success({ n: 1 })],
        ["completed", { kind: "success", value: null }],
        ["failed", { kind: "failure", value: "{}" }],
        ["failed", { kind: "defect", value: "\"boom\"" }],
        ["cancelled", { kind: "interrupt", value: null }]
      ]
      for (const [index, [status, exit]] of ends.entries()) {
        const held = yield* t.running(`run-${index}`)
        yield* pass(10)
        yield* t.apply(held, { entries: entries(0, 1), transition: finish(exit, status) })
        const record = yield* t.record(held)
        assert.deepStrictEqual(
          [record.status, record.exit, record.finishedAt, record.worker, record.detail, record.nextSeq],
          [status, exit, yield* now, null, null, 1]
        )
        assert.strictEqual((yield* t.history(held)).length, 1)
        assert.deepStrictEqual(yield* t.claim([held.queue]), [])
      }
    })),

  check(
    "a run that continues as new has the next generation and the same holder and epoch",
    (t) =>
      Effect.gen(function*() {
        const held = yield* t.running("a", { idempotencyKey: "key" })
        yield* t.apply(held, { entries: entries(0, 3), transition: continueWith("{\"next\": 2}", start + 50) })
        const record = yield* t.record(held)
        assert.deepStrictEqual(
          [record.status, record.worker, record.epoch, record.generation, record.nextSeq, record.payload],
          ["running", t.worker.id, 1, 1, 3, "{\"next\": 2}"]
        )
        assert.deepStrictEqual([record.startedAt, record.createdAt, record.exit], [start + 50, start, null])
        assert.deepStrictEqual(yield* t.history(held), [])
        const next = yield* t.apply({ ...held, nextSeq: 3 }, { entries: entries(3, 2) })
        yield* t.apply(next, { transition: suspend(start) })
        const again = yield* t.claimOne(held)
        assert.deepStrictEqual(again.journal, entries(3, 2))
        assert.deepStrictEqual(
          [again.generation, again.nextSeq, again.epoch, again.startedAt, again.payload, again.idempotencyKey],
          [1, 5, 2, start + 50, "{\"next\": 2}", "key"]
        )
      })
  ),

  check("a generation can continue as new without entries", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      yield* t.apply(held, { transition: continueWith("1", start + 1) })
      yield* t.apply(held, { transition: continueWith("2", start + 2) })
      const next = yield* t.apply(held, { entries: entries(0, 1), transition: continueWith("3", start + 3) })
      yield* t.apply(next, { transition: suspend(start) })
      const again = yield* t.claimOne(held)
      assert.deepStrictEqual([again.generation, again.nextSeq, again.payload, again.journal], [3, 1, "3", []])
    })),

  check(
    "a new generation keeps unread signals and cancels, and no consumed message or message of an old op",
    (t) =>
      Effect.gen(function*() {
        const held = yield* t.running("a")
        yield* t.deliver(
          signal(held.id, "read"),
          signal(held.id, "unread"),
          message("child", held.id, "op"),
          signal(held.id, "op", { kind: "callback" }),
          signal(held.id, "", { kind: "defect" }),
          message("cancel", held.id, ""),
          signal(held.id, "read now")
        )
        const { messages, seen } = yield* t.inbox(held)
        const ordinal = (name: string) => messages.filter((message) => message.name === name).map((m) => m.ordinal)
        const next = yield* t.apply(held, { entries: entries(0, 1), consumed: ordinal("read") })
        yield* t.apply(next, {
          entries: entries(1, 1),
          consumed: ordinal("read now"),
          transition: continueWith("2", start)
        })
        const left = [["signal", "unread"], ["cancel", ""]]
        assert.deepStrictEqual((yield* t.messages(held)).map(({ kind, name }) => [kind, name]), left)
        const inbox = yield* t.inbox(held)
        assert.deepStrictEqual(inbox.messages.map(({ kind, name }) => [kind, name]), left)
        assert.strictEqual(inbox.seen, seen)
        // Ordinals continue to grow.
        yield* t.deliver(signal(held.id, "later"))
        assert.isAbove((yield* t.inbox(held)).messages.at(-1)?.ordinal ?? 0, seen)
      })
  ),

  check(
    "a new generation accepts the ids of consumed messages again, and not those of unread ones",
    (t) =>
      Effect.gen(function*() {
        const held = yield* t.running("a")
        const [read, unread] = [signal(held.id, "x"), signal(held.id, "x")]
        yield* t.deliver(read, unread)
        const { messages } = yield* t.inbox(held)
        yield* t.apply(held, {
          entries: entries(0, 1),
          consumed: messages.slice(0, 1).map(({ ordinal }) => ordinal),
          transition: continueWith("2", start)
        })
        assert.deepStrictEqual(yield* t.deliver(unread, read, read), ["Duplicate", "Buffered", "Duplicate"])
      })
  ),

  check("a new generation opens all windows, also those that its commit closes", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      yield* t.apply(held, { closes: ["x"] })
      yield* t.apply(held, { closes: ["y"], transition: continueWith("2", start) })
      assert.deepStrictEqual(yield* t.deliver(signal(held.id, "x"), signal(held.id, "y")), ["Buffered", "Buffered"])
    })),

  check("a closed window stays closed while its run suspends and is claimed", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      yield* t.apply(held, { closes: ["x"], transition: suspend(start, "signal:x") })
      assert.deepStrictEqual(yield* t.deliver(signal(held.id, "x")), ["Expired"])
      yield* t.claimOne(held)
      assert.deepStrictEqual(yield* t.deliver(signal(held.id, "x")), ["Expired"])
    })),

  check("published values and children stay in a new generation", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      yield* t.apply(held, { published: [{ key: "k", value: "1" }], children: [t.newChild(held, "child")] })
      yield* t.apply(held, { transition: continueWith("2", start) })
      yield* t.apply(held, { published: [{ key: "k", value: "2" }] })
      assert.deepStrictEqual(yield* t.published(held), [{ key: "k", value: "2", version: 2, at: start }])
      assert.strictEqual((yield* t.find(t.id("child"))).length, 1)
    })),

  check("a diverged run is parked with its detail until it is resumed", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      yield* t.apply(held, { entries: entries(0, 2), transition: diverge("{\"expected\": \"x\"}") })
      const record = yield* t.record(held)
      assert.deepStrictEqual(
        [record.status, record.detail, record.worker, record.exit, record.finishedAt, record.nextSeq],
        ["diverged", "{\"expected\": \"x\"}", null, null, null, 2]
      )
      yield* pass(86_400_000)
      assert.deepStrictEqual(yield* t.claimAnswer([held.queue]), nothing)
      assert.strictEqual(yield* value(t.driver.resume({ runs: [held.id], by: null, reason: null })), 1)
      const resumed = yield* t.record(held)
      assert.deepStrictEqual([resumed.status, resumed.availableAt], ["pending", yield* now])
      const again = yield* t.claimOne(held)
      assert.deepStrictEqual([again.journal, again.epoch, again.crashes], [entries(0, 2), 2, 0])
    })),

  check("a resume changes the named diverged runs and returns their number", (t) =>
    Effect.gen(function*() {
      const diverged = yield* Effect.forEach(["a", "b"], (name) => t.running(name))
      yield* Effect.forEach(diverged, (held) => t.apply(held, { transition: diverge("{}") }))
      const sleeping = yield* t.suspended("sleeping", Infinity)
      const running = yield* t.running("running")
      const done = yield* t.running("done")
      yield* t.apply(done, { transition: finish() })
      const others = [sleeping, running, done]
      const ids = [...diverged, ...others].map(({ id }) => id)
      const before = yield* Effect.forEach(others, (run) => t.everything(run))
      assert.strictEqual(yield* value(t.driver.resume({ runs: [...ids, t.id("unknown")], by: null, reason: null })), 2)
      assert.deepStrictEqual(yield* Effect.forEach(others, (run) => t.everything(run)), before)
      assert.strictEqual(yield* value(t.driver.resume({ runs: ids, by: null, reason: null })), 0)
      assert.strictEqual(yield* value(t.driver.resume({ runs: [], by: null, reason: null })), 0)
    })),

  check("a released run is pending and claimable at the given instant", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      yield* t.apply(held, { entries: entries(0, 1), transition: { _tag: "Release", at: start + 100 } })
      const record = yield* t.record(held)
      assert.deepStrictEqual(
        [record.status, record.worker, record.availableAt, record.crashes],
        ["pending", null, start + 100, 0]
      )
      assert.strictEqual((yield* t.claimAnswer([held.queue])).nextDue, start + 100)
      yield* pass(100)
      const again = yield* t.claimOne(held)
      assert.deepStrictEqual([again.journal, again.epoch], [entries(0, 1), 2])
    })),

  check("a run that is released until Infinity is not claimed", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      yield* t.apply(held, { transition: { _tag: "Release", at: Infinity } })
      assert.deepStrictEqual(yield* t.claimAnswer([held.queue]), nothing)
    }))
]
