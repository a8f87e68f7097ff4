/** Effects of one name are run one after the other, those of different names side by side. */
import * as Effect from "effect/Effect"

export class KeyedMutex {
  private readonly held = new Map<string, { readonly semaphore: Effect.Semaphore; users: number }>()

  take<A, E, R>(name: string, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.acquireUseRelease(
      Effect.sync(() => {
        const held = this.held.get(name) ?? { semaphore: Effect.unsafeMakeSemaphore(1), users: 0 }
        held.users++
        this.held.set(name, held)
        return held
      }),
      ({ semaphore }) => semaphore.withPermits(1)(self),
      (held) =>
        Effect.sync(() => {
          if (--held.users === 0) this.held.delete(name)
        })
    )
  }
}
