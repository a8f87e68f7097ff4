/** Timers beyond the longest one of the platform, which `TestClock` does not have: it counts the portions. */
import { assert, describe, it } from "@effect/vitest"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { sleep, timeoutFail, timeoutOption } from "perdure/internal/util/timers"

const MAX_TIMER_MILLIS = 2 ** 31 - 1

/** Runs with a clock that notes the sleeps which it is asked for, in milliseconds. */
const noting = <A, E, R>(self: Effect.Effect<A, E, R>, asked: Array<number>) =>
  Effect.clockWith((clock) => {
    const noted: Clock.Clock = {
      ...clock,
      unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis(),
      unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
      currentTimeMillis: clock.currentTimeMillis,
      currentTimeNanos: clock.currentTimeNanos,
      sleep: (duration) => {
        asked.push(Duration.toMillis(duration))
        return clock.sleep(duration)
      }
    }
    return Effect.withClock(self, noted)
  })

describe("a sleep", () => {
  it.effect("of 60 days is made of sleeps that the platform's timers hold", () =>
    Effect.gen(function*() {
      const asked: Array<number> = []
      const fiber = yield* Effect.fork(noting(sleep("60 days"), asked))
      yield* TestClock.adjust(Duration.subtract("60 days", "1 millis"))
      assert.deepStrictEqual(yield* Fiber.poll(fiber), Option.none())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(fiber)
      assert.isAtMost(Math.max(...asked), MAX_TIMER_MILLIS)
      assert.strictEqual(asked.reduce((sum, each) => sum + each, 0), Duration.toMillis("60 days"))
    }))

  it.effect("of a minute is one sleep, and an infinite one sets no timer", () =>
    Effect.gen(function*() {
      const asked: Array<number> = []
      const minute = yield* Effect.fork(noting(sleep("1 minute"), asked))
      const fiber = yield* Effect.fork(noting(sleep(Infinity), asked))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(minute)
      assert.deepStrictEqual(asked, [60_000])
      yield* Fiber.interrupt(fiber)
    }))
})

describe("a time limit", () => {
  it.effect("of 60 days interrupts after 60 days, as one of a minute after a minute", () =>
    Effect.gen(function*() {
      for (const duration of ["60 days", "1 minute"] as const) {
        const option = yield* Effect.fork(timeoutOption(Effect.never, duration))
        const failure = yield* Effect.fork(
          Effect.flip(timeoutFail(Effect.never, { duration, onTimeout: () => "late" }))
        )
        yield* TestClock.adjust(Duration.subtract(duration, "1 millis"))
        assert.deepStrictEqual(yield* Fiber.poll(option), Option.none())
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual([yield* Fiber.join(option), yield* Fiber.join(failure)], [Option.none(), "late"])
      }
    }))

  it.effect("does not change what ends in time", () =>
    Effect.gen(function*() {
      for (const duration of [Infinity, "60 days", "1 minute"] as const) {
        assert.deepStrictEqual(yield* timeoutOption(Effect.succeed(7), duration), Option.some(7))
        assert.strictEqual(yield* timeoutFail(Effect.succeed(7), { duration, onTimeout: () => "late" }), 7)
        const failed = timeoutFail(Effect.fail("no"), { duration, onTimeout: () => "late" })
        assert.strictEqual(yield* Effect.flip(failed), "no")
      }
    }))
})
