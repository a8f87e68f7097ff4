import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as fc from "fast-check"
import { Alarm, TimerQueue } from "perdure/internal/worker/TimerQueue"

describe("the timer queue", () => {
  /** Changes of alarms: `due` is the new time, null clears the alarm. */
  const changes = fc.array(fc.record({ alarm: fc.nat(19), due: fc.option(fc.nat(50), { freq: 3 }) }), {
    maxLength: 100,
    size: "max"
  })

  it("rings the due alarms, the earliest first, and no others", () =>
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

  it("rings an alarm at the time that was set last, unless it was cleared since", () =>
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

  it("rings an alarm in time that moved when another one was cleared", () => {
    const rung: Array<number> = []
    const queue = new TimerQueue(() => 4)
    const alarms = [1, 50, 2, 60, 70, 10, 3, 80, 90, 100, 110, 11, 12, 13, 4].map((due) => {
      const alarm = new Alarm(() => void rung.push(due))
      queue.set(alarm, due)
      return alarm
    })
    // The last alarm takes the free place, which is below a later alarm.
    for (const alarm of alarms) if (alarm.due === 80) queue.clear(alarm)
    assert.strictEqual(queue.runOnce(), 4)
    assert.deepStrictEqual(rung, [1, 2, 3, 4])
    assert.strictEqual(queue.size, 10)
  })

  it.scoped("wakes for a time that is earlier than the one that it sleeps for", () =>
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
