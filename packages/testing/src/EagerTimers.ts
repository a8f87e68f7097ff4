/**
 * Timers of zero milliseconds that fire in the next iteration of the event loop.
 *
 * Effect's `TestClock` waits for three such timers at each wake-up, and Node makes each of them a millisecond. A test
 * in which a year passes, with one wake-up a night, waits more than a second for them.
 *
 * Only the time at which these timers fire changes. A timer that is cleared, in any way, does not fire. After it has
 * fired, `refresh` does not restart it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

type SetTimeout = typeof globalThis.setTimeout

/** The arguments of `setTimeout`. */
type Arguments = [
  callback: (...args: ReadonlyArray<unknown>) => unknown,
  millis?: number,
  ...args: ReadonlyArray<unknown>
]

/** The number of scopes that use the layer. They share the replacement that the first one installed. */
let users = 0

/** Restores the original `setTimeout`. */
let restore = () => {}

/**
 * Makes timers with the original function, so that they can be cleared in every way. A timer of zero milliseconds fires
 * in the next iteration of the event loop, or earlier if Node finds it due.
 */
const eager = (original: SetTimeout): SetTimeout =>
  new Proxy(original, {
    apply: (target, self, args: Arguments): NodeJS.Timeout => {
      const [callback, millis = 0, ...rest] = args
      if (users === 0 || millis !== 0 || typeof callback !== "function") return Reflect.apply(target, self, args)
      const fire = () => {
        clearTimeout(timer)
        Reflect.apply(callback, timer, rest)
      }
      const timer: NodeJS.Timeout = Reflect.apply(target, self, [fire, 0])
      setImmediate(() => {
        // A timer that was cleared, or has fired, has no callback.
        if (typeof timer._onTimeout === "function") fire()
      })
      return timer
    }
  })

const acquire = Effect.sync(() => {
  users += 1
  if (users > 1) return
  const original = globalThis.setTimeout
  const installed = eager(original)
  globalThis.setTimeout = installed
  restore = () => {
    // If another patch was installed on top, leave it. This one then does what the original does.
    if (globalThis.setTimeout === installed) globalThis.setTimeout = original
  }
})

const release = Effect.sync(() => {
  users -= 1
  if (users === 0) restore()
})

/**
 * Makes a timer of zero milliseconds (`setTimeout(…, 0)`) fire in the next iteration of the event loop, so that
 * `TestClock` passes a year of nights a second sooner. Other timers do not change. It applies to the whole process,
 * until the last scope that uses the layer closes.
 *
 * Use it for tests on `JournalMemory`, which wait for no input or output.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { assert, it } from "@effect/vitest"
 * import * as EagerTimers from "@perdure/testing/EagerTimers"
 * import * as Effect from "effect/Effect"
 * import * as Schedule from "effect/Schedule"
 * import * as TestClock from "effect/TestClock"
 *
 * it.effect("is done each night", () =>
 *   Effect.gen(function*() {
 *     let nights = 0
 *     yield* Effect.fork(Effect.schedule(Effect.sync(() => ++nights), Schedule.spaced("1 day")))
 *     yield* TestClock.adjust("365 days")
 *     assert.strictEqual(nights, 365)
 *   }).pipe(Effect.provide(EagerTimers.layer)))
 * ```
 */
export const layer: Layer.Layer<never> = Layer.scopedDiscard(Effect.acquireRelease(acquire, () => release))
