/** Which queues there are, as far as this process knows: queues are never taken away, so what was seen once is there. */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type { JournalError } from "../../Errors.js"
import { UnknownQueue } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import { nameProblem } from "../workflow/definition.js"
import { show } from "../options/reading.js"

/** The queue of workflows that name none. It needs no definition. */
export const DEFAULT_QUEUE = "default"

/** The name of a queue, or of its definition. */
export const nameOf = (queue: { readonly name: string } | string): string =>
  typeof queue === "string" ? queue : queue.name

/** What is wrong with what is to be a queue, if anything. */
export const refProblem = (queue: unknown): string | undefined => {
  const name = Predicate.hasProperty(queue, "name") ? queue.name : queue
  return typeof name === "string"
    ? nameProblem("the queue", name)
    : `the queue is ${show(queue)}, it must be a RunQueue or the name of one`
}

/** Note that queues are there, unless the caller's transaction has made them, which may yet undo that. */
const remember = ({ driver, queues, unsettledQueues }: JournalService, names: ReadonlyArray<string>) =>
  Effect.map(driver.inTransaction, (inside) => {
    for (const name of names) {
      if (inside && unsettledQueues.has(name)) continue
      queues.add(name)
      unsettledQueues.delete(name)
    }
  })

/** Do what makes queues, and note that they are there. */
export const making = <A, E, R>(
  journal: JournalService,
  names: ReadonlyArray<string>,
  make: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.flatMap(journal.driver.inTransaction, (inside) => {
    if (inside) { for (const name of names) if (!journal.queues.has(name)) journal.unsettledQueues.add(name) }
    return Effect.zipLeft(make, remember(journal, names))
  })

/** What is wrong with a queue that is none, if it is none. */
export const queueMissing = (
  journal: JournalService,
  queue: string
): Effect.Effect<string | undefined, JournalError> =>
  requireQueue(journal, queue).pipe(
    Effect.as(undefined),
    Effect.catchTag("UnknownQueue", (error) => Effect.succeed(error.message))
  )

/** Fails unless the queue is defined, or was ever served by a worker. Asks storage the first time. */
export const requireQueue = (
  journal: JournalService,
  queue: string
): Effect.Effect<void, UnknownQueue | JournalError> =>
  queue === DEFAULT_QUEUE || journal.queues.has(queue)
    ? Effect.void
    : Effect.flatMap(
      journal.ask(journal.driver.queues([queue])),
      (found): Effect.Effect<void, UnknownQueue> =>
        found.length === 0 ? new UnknownQueue({ queue }) : remember(journal, [queue])
    )
