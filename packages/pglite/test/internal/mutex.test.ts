import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Mutex from "../../src/internal/mutex.js"

describe("the mutex", () => {
  it.effect("is not kept by a busy fiber while others wait", () =>
    Effect.gen(function*() {
      const mutex = Mutex.make()
      let served = false
      const busy = yield* Effect.fork(Effect.repeatN(mutex.withLock(Effect.yieldNow()), 10_000))
      yield* Effect.yieldNow()
      yield* mutex.withLock(Effect.sync(() => {
        served = true
      }))
      assert.isTrue(served)
      assert.isNull(busy.unsafePoll())
      yield* Fiber.interrupt(busy)
    }))

  it.effect("goes to waiting fibers in the order in which they came", () =>
    Effect.gen(function*() {
      const mutex = Mutex.make()
      const order: Array<number> = []
      const open = yield* Deferred.make<void>()
      const first = yield* Effect.fork(mutex.withLock(Deferred.await(open)))
      yield* Effect.yieldNow()
      const fibers: Array<Fiber.RuntimeFiber<void>> = []
      for (let index = 0; index < 20; index++) {
        fibers.push(yield* Effect.fork(mutex.withLock(Effect.sync(() => void order.push(index)))))
        yield* Effect.yieldNow()
      }
      yield* Fiber.interrupt(Fiber.all(fibers.filter((_, index) => index % 3 === 0)))
      yield* Deferred.succeed(open, undefined)
      yield* Fiber.join(first)
      yield* Effect.forEach(fibers, Fiber.await)
      assert.deepStrictEqual(order, Array.from({ length: 20 }, (_, index) => index).filter((index) => index % 3 !== 0))
    }))

  it.effect("is never lost when a waiting fiber is interrupted as it gets the mutex", () =>
    Effect.gen(function*() {
      const mutex = Mutex.make()
      for (let round = 0; round < 200; round++) {
        const scope = yield* Scope.make()
        yield* Scope.extend(mutex.lock, scope)
        const waiting = yield* Effect.fork(mutex.withLock(Effect.void))
        yield* Effect.yieldNow()
        yield* Effect.all([Scope.close(scope, Exit.void), Fiber.interrupt(waiting)], {
          concurrency: round % 2 === 0 ? 2 : 1
        })
        yield* mutex.withLock(Effect.void)
      }
    }))
})
