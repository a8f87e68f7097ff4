/** The plain structures of a worker: TimerQueue, Latch, Draft, Mailbox. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as fc from "fast-check"
import type { Op, OpData } from "perdure/internal/machine/Op"
import { kindOf } from "perdure/internal/machine/Op"
import { Draft } from "perdure/internal/worker/Draft"
import { Latch } from "perdure/internal/worker/Latch"
import { Mailbox } from "perdure/internal/worker/Mailbox"
import { TimerQueue } from "perdure/internal/worker/TimerQueue"
import type { Message, MessageKind } from "perdure/JournalDriver"

const opOf = (id: number, data: OpData, name: string): Op => ({
  id,
  kind: kindOf(data),
  name,
  data,
  decode: () => Either.left("not read here"),
  resume: () => {}
})

const receive = (id: number, name: string) => opOf(id, { _tag: "Receive", due: null }, name)

const message = (ordinal: number, name: string, kind: MessageKind = "signal"): Message => ({
  run: "r",
  ordinal,
  kind,
  name,
  payload: `${ordinal}`,
  at: 0
})

describe("the timer queue", () => {
  it("fires what is due, earliest first, and nothing else", () =>
    fc.assert(fc.property(fc.array(fc.nat(50)), fc.nat(60), (dues, until) => {
      let now = 0
      const fired: Array<number> = []
      const queue = new TimerQueue(() => now)
      for (const due of dues) queue.add(due, () => void fired.push(due))
      now = until
      const due = dues.filter((each) => each <= until).sort((a, b) => a - b)
      assert.strictEqual(queue.runOnce(), due.length)
      assert.deepStrictEqual(fired, due)
      now = 1000
      assert.strictEqual(queue.runOnce(), dues.length - due.length)
    })))

  it.scoped("wakes for a time that comes before the one it sleeps for", () =>
    Effect.gen(function*() {
      const clock = yield* Effect.clock
      const fired: Array<string> = []
      const queue = new TimerQueue(() => clock.unsafeCurrentTimeMillis())
      yield* Effect.forkScoped(queue.run)
      queue.add(10_000, () => fired.push("late"))
      yield* TestClock.adjust("1 second")
      queue.add(2000, () => {
        fired.push("early")
        queue.add(2000, () => fired.push("at once"))
      })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(fired, ["early", "at once"])
      yield* TestClock.adjust("8 seconds")
      assert.deepStrictEqual(fired, ["early", "at once", "late"])
    }))
})

describe("a latch", () => {
  it.effect("lets through who waits, or the next one, once", () =>
    Effect.gen(function*() {
      const latch = new Latch()
      latch.open()
      latch.open()
      yield* latch.await
      const waiting = yield* Effect.fork(latch.await)
      yield* Effect.yieldNow()
      assert.isNull(waiting.unsafePoll())
      latch.open()
      yield* Fiber.join(waiting)
      const given = yield* Effect.fork(latch.await)
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(given)
      latch.open()
      yield* latch.await
    }))
})

const entry = (seq: number) =>
  ({ seq, op: seq, kind: "step", name: `s${seq}`, exit: { kind: "success", value: null }, at: 0 }) as const

const run = { id: "r", epoch: 1, seen: 4 }

describe("a draft", () => {
  it("is taken as one commit, and begins anew after it", () => {
    const draft = new Draft(5)
    assert.isTrue(draft.isEmpty)
    draft.addEntry(entry(5), 3)
    draft.publish("k", "1")
    draft.publish("k", "2")
    const taken = draft.take(run)
    assert.deepInclude(taken.commit, {
      from: 5,
      consumed: [3],
      published: [{ key: "k", value: "2" }],
      seen: 4,
      epoch: 1
    })
    assert.isTrue(draft.isEmpty)
    assert.strictEqual(draft.nextSeq, 6)
  })

  it("that was not applied comes first in the next one, without its transition", () => {
    const draft = new Draft(0)
    draft.addEntry(entry(0), 1)
    draft.close("S", 4)
    draft.publish("k", "old")
    draft.publish("j", "kept")
    draft.transition = { _tag: "Suspend", until: 5, waiting: [] }
    const taken = draft.take(run)
    draft.addEntry(entry(1), 2)
    draft.publish("k", "new")
    draft.restore(taken)
    const again = draft.take(run).commit
    assert.deepStrictEqual(again.entries.map(({ seq }) => seq), [0, 1])
    assert.deepInclude(again, { from: 0, consumed: [1, 2], closes: ["S"], transition: null })
    assert.sameDeepMembers([...again.published], [{ key: "k", value: "new" }, { key: "j", value: "kept" }])
  })

  it("takes back the last entry, a message of an op, a child that has not left", () => {
    const draft = new Draft(0)
    const op = receive(0, "x")
    draft.addEntry(entry(0), 1)
    draft.dropLastEntry(1)
    draft.addMessage({ to: "t", kind: "signal", name: "x", id: "i", payload: "1" }, op)
    draft.dropMessageOf(op)
    assert.isFalse(draft.dropChild("c"))
    assert.isTrue(draft.isEmpty)
  })
})

describe("a mailbox", () => {
  it("gives the earliest message to the op that has waited longest for its key", () => {
    const box = new Mailbox()
    const [a1, a2, b] = [receive(0, "a"), receive(1, "a"), receive(2, "b")]
    for (const op of [a1, a2, b]) box.wait(`signal:${op.name}`, op)
    box.add([message(1, "c"), message(2, "b"), message(3, "a"), message(4, "a"), message(5, "a")], 5)
    const taken: Array<readonly [number, number]> = []
    for (let match = box.peek(); match !== undefined; match = box.peek()) {
      box.take(match)
      taken.push([match.message.ordinal, match.op.id])
    }
    assert.deepStrictEqual(taken, [[2, 2], [3, 0], [4, 1]])
    assert.isFalse(box.isAwaiting)
    box.wait("signal:a", a1)
    assert.strictEqual(box.peek()?.message.ordinal, 5, "what was left is kept")
  })

  it("ignores what it has seen, and hands messages to the run itself apart", () => {
    const box = new Mailbox()
    box.add([message(1, "a"), message(2, "cancel", "cancel")], 2)
    box.add([message(1, "a"), message(2, "cancel", "cancel")], 2)
    assert.strictEqual(box.takeToRun()?.kind, "cancel")
    assert.isUndefined(box.takeToRun())
    const [first, second] = [receive(0, "a"), receive(1, "a")]
    box.wait("signal:a", first)
    box.wait("signal:a", second)
    box.stopWaiting("signal:a", first)
    assert.strictEqual(box.peek()?.op, second)
    box.reset([message(7, "z")], 9)
    assert.isUndefined(box.peek())
    assert.strictEqual(box.seen, 9)
  })
})
