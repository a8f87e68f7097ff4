import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Latch } from "perdure/internal/worker/Latch"

describe("a latch", () => {
  it.effect("resumes the fibers that wait, or the next one, once", () =>
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
