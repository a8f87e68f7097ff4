/** Items that come at the same time, or while others are on their way, go together: one batch at a time. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

interface Entry<A, E> {
  readonly item: A
  /** What has become of its batch. */
  exit: Exit.Exit<void, E> | undefined
}

export class Batch<A, E> {
  private waiting: ReadonlyArray<Entry<A, E>> = []
  private readonly turn = Effect.unsafeMakeSemaphore(1)

  constructor(private readonly send: (items: ReadonlyArray<A>) => Effect.Effect<void, E>) {}

  /** Send an item. Ends as its batch does. */
  add(item: A): Effect.Effect<void, E> {
    return Effect.suspend(() => {
      const entry: Entry<A, E> = { item, exit: undefined }
      this.waiting = [...this.waiting, entry]
      return this.turn.withPermits(1)(Effect.suspend(() => entry.exit ?? this.flush)).pipe(
        Effect.onInterrupt(() => Effect.sync(() => this.leave(entry)))
      )
    })
  }

  /**
   * Send all that wait, for all of them, once those that are about to come had their turn. Whoever is interrupted meanwhile
   * leaves the others to the next one.
   */
  private readonly flush: Effect.Effect<void, E> = Effect.flatMap(Effect.yieldNow({ priority: 1 }), () => {
    const batch = this.waiting
    this.waiting = []
    return this.send(batch.map(({ item }) => item)).pipe(
      Effect.onExit((exit) =>
        Effect.sync(() => {
          if (Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause)) this.waiting = [...batch, ...this.waiting]
          else { for (const entry of batch) entry.exit = exit }
        })
      )
    )
  })

  private leave(entry: Entry<A, E>): void {
    this.waiting = this.waiting.filter((each) => each !== entry)
  }
}
