import { assert, describe, it } from "@effect/vitest"
import * as EagerTimers from "@perdure/testing/EagerTimers"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"

const original = globalThis.setTimeout

const turn = Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))

/** By a timer of this file's own, longer than one of no time takes in Node. */
const pass = (millis: number) => Effect.async<void>((resume) => void original(() => resume(Effect.void), millis))

const build = Effect.gen(function*() {
  const scope = yield* Scope.make()
  yield* Layer.buildWithScope(EagerTimers.layer, scope)
  return { close: Scope.close(scope, Exit.void) }
})

/** Whether timers of no time are brought forward: if so, each of a hundred fires before what is asked for after it. */
const isEager = Effect.gen(function*() {
  for (let i = 0; i < 100; i++) {
    let fired = false
    yield* turn
    setTimeout(() => {
      fired = true
    }, 0)
    yield* turn
    if (!fired) return false
  }
  return true
})

describe("eager timers", () => {
  it.effect("fire in the next turn, and once", () =>
    Effect.gen(function*() {
      assert.isFalse(yield* isEager)
      yield* Effect.gen(function*() {
        assert.isTrue(yield* isEager)
        const fired: Array<ReadonlyArray<unknown>> = []
        const note = (...given: ReadonlyArray<unknown>) => void fired.push(given)
        setTimeout(note, 0, "one", 2)
        setTimeout(note)
        yield* turn
        assert.deepStrictEqual(fired, [["one", 2], []])
        // They are overdue for Node, too, when the turn comes.
        setTimeout(note, 0, "three")
        const asked = performance.now()
        while (performance.now() < asked + 5);
        yield* turn
        yield* pass(10)
        assert.deepStrictEqual(fired, [["one", 2], [], ["three"]])
      }).pipe(Effect.provide(EagerTimers.layer))
    }))

  it.effect("do not fire when they have been cleared", () =>
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
      // Due in the same turn.
      setTimeout(() => clearTimeout(last), 0)
      const last = setTimeout(() => void fired.push("clearTimeout, by one before"), 0)
      yield* turn
      yield* pass(10)
      assert.deepStrictEqual(fired, ["clearTimeout, when it has fired"])
    }).pipe(Effect.provide(EagerTimers.layer)))

  it.effect("leave all other timers as they are", () =>
    Effect.gen(function*() {
      const fired: Array<ReadonlyArray<unknown>> = []
      setTimeout((...given: ReadonlyArray<unknown>) => void fired.push(given), 50, "late")
      clearTimeout(setTimeout(() => void fired.push(["never"]), 50))
      yield* turn
      assert.isEmpty(fired)
      yield* pass(100)
      assert.deepStrictEqual(fired, [["late"]])
    }).pipe(Effect.provide(EagerTimers.layer)))

  it.effect("are there until the last one who has them is done", () =>
    Effect.gen(function*() {
      const one = yield* build
      const ours = globalThis.setTimeout
      const two = yield* build
      assert.strictEqual(globalThis.setTimeout, ours)
      yield* one.close
      assert.isTrue(yield* isEager)
      yield* two.close
      assert.strictEqual(globalThis.setTimeout, original)
      yield* Effect.scoped(Layer.build(EagerTimers.layer))
      assert.strictEqual(globalThis.setTimeout, original)
      assert.isFalse(yield* isEager)
    }))

  it.effect("leave what came over them, and are not eager below it", () =>
    Effect.gen(function*() {
      const { close } = yield* build
      const ours = globalThis.setTimeout
      const theirs: typeof original = Object.assign((callback: () => void) => original(callback, 0), {
        __promisify__: original.__promisify__
      })
      globalThis.setTimeout = theirs
      yield* close
      assert.strictEqual(globalThis.setTimeout, theirs)
      globalThis.setTimeout = ours
      assert.isFalse(yield* isEager)
    }).pipe(Effect.ensuring(Effect.sync(() => {
      globalThis.setTimeout = original
    }))))
})
