import { assert, describe, it } from "@effect/vitest"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { DriverTime } from "perdure/internal/process/DriverTime"

const make = Effect.map(Effect.clockWith(Effect.succeed<Clock.Clock>), (clock) => new DriverTime(clock))

describe("the driver's time", () => {
  it.effect("advances with this process's clock from the last answer", () =>
    Effect.gen(function*() {
      const time = yield* make
      time.observe(1_000_000)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(time.now(), 1_005_000)
    }))

  it.effect("follows the quickest answers, and slowly the others", () =>
    Effect.gen(function*() {
      const time = yield* make
      time.observe(1_000_000)
      time.observe(1_000_040)
      assert.strictEqual(time.now(), 1_000_040, "an answer that was quicker is nearer to the truth")
      time.observe(999_990)
      assert.strictEqual(time.now(), 1_000_039)
      for (let i = 0; i < 500; i++) time.observe(999_990)
      assert.closeTo(time.now(), 999_990, 1)
    }))

  it.effect("follows a jump at once, in both directions", () =>
    Effect.gen(function*() {
      const time = yield* make
      time.observe(1_000_000)
      time.observe(9_000_000)
      assert.strictEqual(time.now(), 9_000_000)
      time.observe(500_000)
      assert.strictEqual(time.now(), 500_000)
    }))
})
