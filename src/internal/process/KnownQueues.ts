/**
 * The queues that this process has seen in storage. A queue is never removed, so one that was seen exists; a queue made
 * in a transaction of the caller counts only when that has committed, and is asked for again.
 */
import * as Effect from "effect/Effect"
import type { JournalError } from "../../Errors.js"
import { UnknownQueue } from "../../Errors.js"
import { canBeName } from "../options/names.js"
import { DEFAULT_QUEUE } from "../options/queues.js"
import { show } from "../util/show.js"

/** What it asks of storage. */
interface Storage {
  readonly queues: (names: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<unknown>, JournalError>
  readonly inTransaction: Effect.Effect<boolean>
}

export class KnownQueues {
  private readonly seen = new Set<string>()
  /** Made in a transaction that may still be rolled back. */
  private readonly unsettled = new Set<string>()

  constructor(private readonly storage: Storage) {}

  has(name: string): boolean {
    return this.seen.has(name)
  }

  /** Run an effect that makes these queues, and remember them. */
  making<A, E, R>(names: ReadonlyArray<string>, make: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.flatMap(this.storage.inTransaction, (inside) => {
      if (inside) { for (const name of names) if (!this.seen.has(name)) this.unsettled.add(name) }
      return Effect.zipLeft(make, this.remember(names))
    })
  }

  /** Fails unless the queue is defined, or a worker has served it before. Asks storage the first time. */
  require(name: string): Effect.Effect<void, UnknownQueue | JournalError> {
    return name === DEFAULT_QUEUE || this.seen.has(name)
      ? Effect.void
      : !canBeName(name)
      ? new UnknownQueue({ queue: show(name) })
      : Effect.flatMap(
        this.storage.queues([name]),
        (found): Effect.Effect<void, UnknownQueue> =>
          found.length === 0 ? new UnknownQueue({ queue: name }) : this.remember([name])
      )
  }

  /** The message of `UnknownQueue` if the queue does not exist, else undefined. */
  missing(name: string): Effect.Effect<string | undefined, JournalError> {
    return this.require(name).pipe(
      Effect.as(undefined),
      Effect.catchTag("UnknownQueue", (error) => Effect.succeed(error.message))
    )
  }

  private remember(names: ReadonlyArray<string>): Effect.Effect<void> {
    return Effect.map(this.storage.inTransaction, (inside) => {
      for (const name of names) {
        if (inside && this.unsettled.has(name)) continue
        this.seen.add(name)
        this.unsettled.delete(name)
      }
    })
  }
}
