/** The only module that uses Effect's `Runtime`: it forks a fiber with a given context, fiber refs and scheduler. */
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as FiberRefs from "effect/FiberRefs"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import type * as Scheduler from "effect/Scheduler"

// Metrics of each fiber would cost a step more than its journal entry.
const runtimeFlags = RuntimeFlags.disable(Runtime.defaultRuntimeFlags, RuntimeFlags.RuntimeMetrics)

/** Forks `effect` as a root fiber. It runs synchronously until it first waits. */
export const runForkWith = <A, E>(
  effect: Effect.Effect<A, E>,
  context: Context.Context<never>,
  fiberRefs: FiberRefs.FiberRefs,
  scheduler?: Scheduler.Scheduler
): Fiber.RuntimeFiber<A, E> =>
  Runtime.runFork(
    Runtime.make({ context, fiberRefs, runtimeFlags }),
    effect,
    scheduler === undefined ? undefined : { scheduler }
  )
