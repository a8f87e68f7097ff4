/**
 * Effect's `TestClock` lets the event loop turn three times for each wake-up, by timers of no time, which Node makes a
 * millisecond each: in a year of nights that is more than a second of doing nothing. Here such a timer is a turn and no
 * more.
 *
 * It changes when such timers fire, not whether: one that is cleared does not, in whichever way it is cleared. (One that
 * has fired is not brought back by `refresh`.)
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

type SetTimeout = typeof globalThis.setTimeout

/** What `setTimeout` takes, as it comes from whoever calls it. */
type Asked = [
  callback: (...given: ReadonlyArray<unknown>) => unknown,
  millis?: number,
  ...given: ReadonlyArray<unknown>
]

/** How many have it at present: all of them share what the first one has put in place. */
let users = 0

/** Puts back what was there. */
let restore = () => {}

/**
 * Each timer is one of the original's, so that it can be cleared in each way that there is. One of no time is brought
 * forward: it fires in the next turn, or before if Node finds it due, and then it is done.
 */
const eager = (original: SetTimeout): SetTimeout =>
  new Proxy(original, {
    apply: (target, self, asked: Asked): NodeJS.Timeout => {
      const [callback, millis = 0, ...given] = asked
      if (users === 0 || millis !== 0 || typeof callback !== "function") return Reflect.apply(target, self, asked)
      const fire = () => {
        clearTimeout(timer)
        Reflect.apply(callback, timer, given)
      }
      const timer: NodeJS.Timeout = Reflect.apply(target, self, [fire, 0])
      setImmediate(() => {
        // One that was cleared has nothing to call any more, nor has one that has fired.
        if (typeof timer._onTimeout === "function") fire()
      })
      return timer
    }
  })

const acquire = Effect.sync(() => {
  users += 1
  if (users > 1) return
  const original = globalThis.setTimeout
  const ours = eager(original)
  globalThis.setTimeout = ours
  restore = () => {
    // Someone else's may have come over it: then that stays, and ours below it does what the original does.
    if (globalThis.setTimeout === ours) globalThis.setTimeout = original
  }
})

const release = Effect.sync(() => {
  users -= 1
  if (users === 0) restore()
})

/**
 * While this layer is there, a timer of no time (`setTimeout(…, 0)`) fires in the next turn of the event loop, so that
 * `TestClock` passes a year of nights a second sooner. All other timers are as they were. It holds for the whole
 * process; what was there before is put back when the last scope that has it closes.
 *
 * It is for tests on `JournalMemory`: they wait for nothing but turns.
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
