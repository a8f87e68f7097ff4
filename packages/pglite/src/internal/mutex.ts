/**
 * A fair mutex: it goes to waiting fibers in the order in which they came. With a semaphore of Effect, a busy fiber
 * that releases a permit acquires it again before the waiting fibers, and so starves them.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"

export interface Mutex {
  /** Executes an effect while it owns the mutex. Waiting can be interrupted, also in an uninterruptible region. */
  readonly withLock: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Acquires the mutex until the scope closes. */
  readonly lock: Effect.Effect<void, never, Scope.Scope>
}

export const make = (): Mutex => {
  const waiters = new Set<() => void>()
  let isLocked = false

  /** Gives the mutex to the first waiter. */
  const pass = () => {
    const [next] = waiters
    if (next === undefined) {
      isLocked = false
      return
    }
    waiters.delete(next)
    next()
  }
  const release = Effect.sync(pass)

  // Must be executed uninterruptibly, so that the mutex is never lost between here and its release.
  const acquire = Effect.suspend(() => {
    if (!isLocked) {
      isLocked = true
      return Effect.void
    }
    let isOwner = false
    let leave = () => {}
    const wait = Effect.async<void>((resume) => {
      const waiter = () => {
        isOwner = true
        resume(Effect.void)
      }
      waiters.add(waiter)
      leave = () => void waiters.delete(waiter)
    })
    return Effect.flatMap(Effect.exit(Effect.interruptible(wait)), (exit) => {
      if (Exit.isFailure(exit)) {
        // Interrupted: stop waiting, or pass the mutex on if it came at the same moment.
        if (isOwner) pass()
        else leave()
      }
      return exit
    })
  })

  return {
    withLock: (self) =>
      Effect.uninterruptibleMask((restore) => Effect.zipRight(acquire, Effect.ensuring(restore(self), release))),
    lock: Effect.acquireRelease(acquire, () => release)
  }
}
