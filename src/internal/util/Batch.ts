/**
 * Sends items in batches, one batch at a time. Items that are added in the same moment, or while a batch is on its way,
 * go together in the next batch.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

interface Entry<A, E> {
  readonly item: A
  /** The exit of its batch; undefined until the batch was sent. */
  exit: Exit.Exit<void, E> | undefined
}

export class Batch<A, E> {
  private waiting: ReadonlyArray<Entry<A, E>> = []
  private readonly mutex = Effect.unsafeMakeSemaphore(1)

  constructor(private readonly send: (items: ReadonlyArray<A>) => Effect.Effect<void, E>) {}

  /**
   * Sends an item. Ends as its batch does. An interrupted caller takes back its item if the batch has not been sent.
   */
  add(item: A): Effect.Effect<void, E> {
    return Effect.suspend(() => {
      const entry: Entry<A, E> = { item, exit: undefined }
      this.waiting = [...this.waiting, entry]
      return this.mutex.withPermits(1)(Effect.suspend(() => entry.exit ?? this.flush)).pipe(
        Effect.onInterrupt(() => Effect.sync(() => this.remove(entry)))
      )
    })
  }

  /**
   * Sends all waiting items on behalf of their callers; it yields first, so that callers that are about to add are
   * included. If the caller that sends is interrupted, the next caller sends the items.
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

  private remove(entry: Entry<A, E>): void {
    this.waiting = this.waiting.filter((each) => each !== entry)
  }
}
