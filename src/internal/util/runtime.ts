/**
 * The only place that touches Effect's runtime: forking a fiber with a given context, fiber refs and scheduler, and
 * taking the refs of a fiber for a step body.
 */
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as FiberRefs from "effect/FiberRefs"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import type * as Scheduler from "effect/Scheduler"

// Counting every fiber that starts and ends would cost a step more than its journal entry.
const runtimeFlags = RuntimeFlags.disable(Runtime.defaultRuntimeFlags, RuntimeFlags.RuntimeMetrics)

/** Fork `effect` as a root fiber at once; it runs until it first waits. */
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
