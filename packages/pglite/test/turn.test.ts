import { assert, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Turn from "../src/internal/turn.js"

it.effect("a busy fiber does not shut others out", () =>
  Effect.gen(function*() {
    const turn = Turn.make()
    let served = false
    const busy = yield* Effect.fork(Effect.repeatN(turn.during(Effect.yieldNow()), 10_000))
    yield* Effect.yieldNow()
    yield* turn.during(Effect.sync(() => {
      served = true
    }))
    assert.isTrue(served)
    assert.isNull(busy.unsafePoll())
    yield* Fiber.interrupt(busy)
  }))

it.effect("goes to those who wait in the order in which they came", () =>
  Effect.gen(function*() {
    const turn = Turn.make()
    const order: Array<number> = []
    const open = yield* Deferred.make<void>()
    const first = yield* Effect.fork(turn.during(Deferred.await(open)))
    yield* Effect.yieldNow()
    const fibers: Array<Fiber.RuntimeFiber<void>> = []
    for (let index = 0; index < 20; index++) {
      fibers.push(yield* Effect.fork(turn.during(Effect.sync(() => void order.push(index)))))
      yield* Effect.yieldNow()
    }
    yield* Fiber.interrupt(Fiber.all(fibers.filter((_, index) => index % 3 === 0)))
    yield* Deferred.succeed(open, undefined)
    yield* Fiber.join(first)
    yield* Effect.forEach(fibers, Fiber.await)
    assert.deepStrictEqual(order, Array.from({ length: 20 }, (_, index) => index).filter((index) => index % 3 !== 0))
  }))

it.effect("is never lost when who waits is interrupted as the turn comes", () =>
  Effect.gen(function*() {
    const turn = Turn.make()
    for (let round = 0; round < 200; round++) {
      const scope = yield* Scope.make()
      yield* Scope.extend(turn.held, scope)
      const waiting = yield* Effect.fork(turn.during(Effect.void))
      yield* Effect.yieldNow()
      yield* Effect.all([Scope.close(scope, Exit.void), Fiber.interrupt(waiting)], {
        concurrency: round % 2 === 0 ? 2 : 1
      })
      yield* turn.during(Effect.void)
    }
  }))
