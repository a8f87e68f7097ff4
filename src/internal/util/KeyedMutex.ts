/** Runs the effects of one key one after the other; effects of different keys run concurrently. */
import * as Effect from "effect/Effect"

interface Lock {
  readonly semaphore: Effect.Semaphore
  /** Effects that run or wait under this lock. */
  users: number
}

export class KeyedMutex {
  private readonly locks = new Map<string, Lock>()

  withLock<A, E, R>(key: string, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.acquireUseRelease(
      Effect.sync(() => {
        const lock = this.locks.get(key) ?? { semaphore: Effect.unsafeMakeSemaphore(1), users: 0 }
        lock.users++
        this.locks.set(key, lock)
        return lock
      }),
      ({ semaphore }) => semaphore.withPermits(1)(self),
      (lock) =>
        Effect.sync(() => {
          if (--lock.users === 0) this.locks.delete(key)
        })
    )
  }
}
