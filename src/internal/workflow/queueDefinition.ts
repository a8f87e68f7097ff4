/** Definitions of queues: declared to the process, and stored by a layer, a worker or a workflow that names them. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ConfigurationInvalid, JournalError } from "../../Errors.js"
import { Journal } from "../../Journal.js"
import type { QueueDefinition } from "../options/queues.js"
import { checkDefinition, queueSettings } from "../options/queues.js"
import type { Problem } from "../process/Problem.js"
import { badOptions } from "../process/Problem.js"

/** The problems of a definition. */
export const checkQueue = (queue: QueueDefinition): ReadonlyArray<Problem> =>
  badOptions(`queue "${queue.name}"`, checkDefinition(queue))

/** A definition as text, to compare it with others of its name. */
export const queueFingerprint = (queue: QueueDefinition): string => {
  const problems = checkQueue(queue)
  return JSON.stringify(problems.length > 0 ? problems : queueSettings(queue.options))
}

/** Stores a definition, which `by` itself or a workflow that waits on it brings. */
export const defineQueue = (
  queue: QueueDefinition,
  by: "itself" | "workflow" = "itself"
): Effect.Effect<void, ConfigurationInvalid | JournalError, Journal | Scope.Scope> =>
  Effect.gen(function*() {
    const { name, options } = queue
    const journal = yield* Journal
    const { admit, queues, registrations } = journal.process
    yield* registrations.addQueue({ name, definition: queueFingerprint(queue), elsewhere: by === "itself" })
    const problems = checkQueue(queue)
    // A definition with problems of its own is not compared with others.
    if (!(yield* admit(problems.length > 0 ? problems : registrations.twoQueues(name)))) return
    const settings = queueSettings(options)
    yield* queues.making([name], journal.defineQueue({ name, definition: JSON.stringify(settings), settings }))
  })
