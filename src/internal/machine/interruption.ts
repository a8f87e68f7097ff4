/**
 * Which waits of a program can be interrupted where the program itself cannot. `Step.withCompensation` runs
 * uninterrupted, so that no result of a step is lost before its compensation is registered. Its waits for times,
 * messages and children still can be interrupted; only an attempt of a step that executes is waited for.
 */
import type * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as FiberRef from "effect/FiberRef"

/** Gives an effect the interruptibility of an outer region. */
export interface Restore {
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R>
}

/** How an op of a fiber waits, except a step. */
export const restoreWaits: FiberRef.FiberRef<Restore> = FiberRef.unsafeMake<Restore>(identity)
