import { assert, describe, it } from "@effect/vitest"
import * as EagerTimers from "@perdure/testing/EagerTimers"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"

const original = globalThis.setTimeout

const nextIteration = Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))

/** Waits by the original timer. */
const pass = (millis: number) => Effect.async<void>((resume) => void original(() => resume(Effect.void), millis))

const build = Effect.gen(function*() {
  const scope = yield* Scope.make()
  yield* Layer.buildWithScope(EagerTimers.layer, scope)
  return { close: Scope.close(scope, Exit.void) }
})

/** Whether each of a hundred timers of zero milliseconds fires in the next iteration of the event loop. */
const isEager = Effect.gen(function*() {
  for (let i = 0; i < 100; i++) {
    let fired = false
    yield* nextIteration
    setTimeout(() => {
      fired = true
    }, 0)
    yield* nextIteration
    if (!fired) return false
  }
  return true
})

describe("eager timers", () => {
  it.effect("fire once, in the next iteration of the event loop", () =>
    Effect.gen(function*() {
      assert.isFalse(yield* isEager)
      yield* Effect.gen(function*() {
        assert.isTrue(yield* isEager)
        const fired: Array<ReadonlyArray<unknown>> = []
        const note = (...given: ReadonlyArray<unknown>) => void fired.push(given)
        setTimeout(note, 0, "one", 2)
        setTimeout(note)
        yield* nextIteration
        assert.deepStrictEqual(fired, [["one", 2], []])
        // Node also finds this timer due when the iteration starts.
        setTimeout(note, 0, "three")
        const start = performance.now()
        while (performance.now() < start + 5);
        yield* nextIteration
        yield* pass(10)
        assert.deepStrictEqual(fired, [["one", 2], [], ["three"]])
      }).pipe(Effect.provide(EagerTimers.layer))
    }))

  it.effect("do not fire after they were cleared", () =>
    Effect.gen(function*() {
      const fired: Array<string> = []
      const { clearTimeout: known } = globalThis
      const ways: Readonly<Record<string, (timer: NodeJS.Timeout) => void>> = {
        clearTimeout: (timer) => clearTimeout(timer),
        "clearTimeout, by its id": (timer) => clearTimeout(Number(timer)),
        "a clearTimeout from before": (timer) => known(timer),
        close: (timer) => void timer.close(),
        "clearTimeout, when it has fired": (timer) => void setImmediate(() => clearTimeout(timer))
      }
      for (const [way, clear] of Object.entries(ways)) clear(setTimeout(() => void fired.push(way), 0))
      // Due in the same iteration.
      setTimeout(() => clearTimeout(last), 0)
      const last = setTimeout(() => void fired.push("clearTimeout, by one before"), 0)
      yield* nextIteration
      yield* pass(10)
      assert.deepStrictEqual(fired, ["clearTimeout, when it has fired"])
    }).pipe(Effect.provide(EagerTimers.layer)))

  it.effect("do not change other timers", () =>
    Effect.gen(function*() {
      const fired: Array<ReadonlyArray<unknown>> = []
      setTimeout((...given: ReadonlyArray<unknown>) => void fired.push(given), 50, "late")
      clearTimeout(setTimeout(() => void fired.push(["never"]), 50))
      yield* nextIteration
      assert.isEmpty(fired)
      yield* pass(100)
      assert.deepStrictEqual(fired, [["late"]])
    }).pipe(Effect.provide(EagerTimers.layer)))

  it.effect("are installed until the last scope that uses them closes", () =>
    Effect.gen(function*() {
      const one = yield* build
      const installed = globalThis.setTimeout
      const two = yield* build
      assert.strictEqual(globalThis.setTimeout, installed)
      yield* one.close
      assert.isTrue(yield* isEager)
      yield* two.close
      assert.strictEqual(globalThis.setTimeout, original)
      yield* Effect.scoped(Layer.build(EagerTimers.layer))
      assert.strictEqual(globalThis.setTimeout, original)
      assert.isFalse(yield* isEager)
    }))

  it.effect("leave a patch that was installed on top, and are not eager below it", () =>
    Effect.gen(function*() {
      const { close } = yield* build
      const installed = globalThis.setTimeout
      const patch: typeof original = Object.assign((callback: () => void) => original(callback, 0), {
        __promisify__: original.__promisify__
      })
      globalThis.setTimeout = patch
      yield* close
      assert.strictEqual(globalThis.setTimeout, patch)
      globalThis.setTimeout = installed
      assert.isFalse(yield* isEager)
    }).pipe(Effect.ensuring(Effect.sync(() => {
      globalThis.setTimeout = original
    }))))
})
