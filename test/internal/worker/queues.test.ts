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
import { Alarm, TimerQueue } from "perdure/internal/worker/TimerQueue"
import type { Message, MessageKind } from "perdure/JournalDriver"

const opOf = (id: number, data: OpData, name: string): Op => ({
  id,
  kind: kindOf(data),
  name,
  data,
  decode: () => Either.left("not read here"),
  resume: () => {},
  waiters: () => []
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
  /** What is done with some alarms: `due` is when one is to ring, null that it is not to. */
  const changes = fc.array(fc.record({ alarm: fc.nat(19), due: fc.option(fc.nat(50), { freq: 3 }) }), {
    maxLength: 100,
    size: "max"
  })

  it("rings what is due, earliest first, and nothing else", () =>
    fc.assert(fc.property(fc.array(fc.nat(50)), fc.nat(60), (dues, until) => {
      let now = 0
      const rung: Array<number> = []
      const queue = new TimerQueue(() => now)
      for (const due of dues) queue.set(new Alarm(() => void rung.push(due)), due)
      now = until
      const due = dues.filter((each) => each <= until).sort((a, b) => a - b)
      assert.strictEqual(queue.runOnce(), due.length)
      assert.deepStrictEqual(rung, due)
      now = 1000
      assert.strictEqual(queue.runOnce(), dues.length - due.length)
      assert.strictEqual(queue.size, 0)
    })))

  it("rings an alarm at the time that it was set to last, unless it was cleared since", () =>
    fc.assert(
      fc.property(changes, fc.nat(60), (changes, until) => {
        let now = 0
        const rung: Array<readonly [number, number]> = []
        const queue = new TimerQueue(() => now)
        const expected = new Map<number, number>()
        const alarms = [0, 1, 2, 3, 4].map((index) =>
          new Alarm(() => void rung.push([expected.get(index) ?? Number.NaN, index]))
        )
        for (const { alarm: index, due } of changes) {
          const alarm = alarms[index]
          if (alarm === undefined) continue
          if (due === null) {
            queue.clear(alarm)
            expected.delete(index)
          } else {
            queue.set(alarm, due)
            expected.set(index, due)
          }
          assert.strictEqual(alarm.due, due ?? Infinity)
          assert.strictEqual(queue.size, expected.size)
        }
        now = until
        const due = [...expected].filter(([, each]) => each <= until)
        assert.strictEqual(queue.runOnce(), due.length)
        assert.deepStrictEqual(rung.map(([each]) => each), due.map(([, each]) => each).sort((a, b) => a - b))
        assert.sameMembers(rung.map(([, index]) => index), due.map(([index]) => index))
        assert.strictEqual(queue.size, expected.size - due.length)
      }),
      { numRuns: 500 }
    ))

  it("rings in time what moves when another is cleared", () => {
    const rung: Array<number> = []
    const queue = new TimerQueue(() => 4)
    const alarms = [1, 50, 2, 60, 70, 10, 3, 80, 90, 100, 110, 11, 12, 13, 4].map((due) => {
      const alarm = new Alarm(() => void rung.push(due))
      queue.set(alarm, due)
      return alarm
    })
    // The last one takes its place, which is below a later one.
    for (const alarm of alarms) if (alarm.due === 80) queue.clear(alarm)
    assert.strictEqual(queue.runOnce(), 4)
    assert.deepStrictEqual(rung, [1, 2, 3, 4])
    assert.strictEqual(queue.size, 10)
  })

  it.scoped("wakes for a time that comes before the one it sleeps for", () =>
    Effect.gen(function*() {
      const clock = yield* Effect.clock
      const rung: Array<string> = []
      const queue = new TimerQueue(() => clock.unsafeCurrentTimeMillis())
      const alarm = (name: string, then: () => void = () => {}) =>
        new Alarm(() => {
          rung.push(name)
          then()
        })
      yield* Effect.forkScoped(queue.run)
      const moved = alarm("moved")
      queue.set(alarm("late"), 10_000)
      queue.set(moved, 20_000)
      yield* TestClock.adjust("1 second")
      queue.set(alarm("early", () => queue.set(alarm("at once"), 2000)), 2000)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(rung.splice(0), ["early", "at once"])
      queue.set(moved, 3000)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(rung.splice(0), ["moved"])
      yield* TestClock.adjust("17 seconds")
      assert.deepStrictEqual(rung, ["late"])
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
