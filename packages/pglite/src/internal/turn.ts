/**
 * Whose turn it is: a lock that goes to those who wait in the order in which they came. (A semaphore of Effect lets a
 * fiber that gives a permit back take it again before those who wait, so a busy fiber would shut all others out.)
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"

export interface Turn {
  /** Run it when the turn comes. Waiting can be interrupted, also where the caller cannot. */
  readonly during: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Have the turn until the scope closes. */
  readonly held: Effect.Effect<void, never, Scope.Scope>
}

export const make = (): Turn => {
  const waiting = new Set<() => void>()
  let taken = false

  const pass = () => {
    const [next] = waiting
    if (next === undefined) {
      taken = false
      return
    }
    waiting.delete(next)
    next()
  }
  const give = Effect.sync(pass)

  // Must run uninterruptible, so that a turn which came is never lost on the way.
  const take = Effect.suspend(() => {
    if (!taken) {
      taken = true
      return Effect.void
    }
    let came = false
    let leave = () => {}
    const wait = Effect.async<void>((resume) => {
      const waiter = () => {
        came = true
        resume(Effect.void)
      }
      waiting.add(waiter)
      leave = () => void waiting.delete(waiter)
    })
    return Effect.flatMap(Effect.exit(Effect.interruptible(wait)), (exit) => {
      if (Exit.isFailure(exit)) {
        // Interrupted: leave the line, or hand on the turn if it came at the same moment.
        if (came) pass()
        else leave()
      }
      return exit
    })
  })

  return {
    during: (self) =>
      Effect.uninterruptibleMask((restore) => Effect.zipRight(take, Effect.ensuring(restore(self), give))),
    held: Effect.acquireRelease(take, () => give)
  }
}
