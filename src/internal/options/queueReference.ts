/** References to queues: a definition, or a name. */
import * as Predicate from "effect/Predicate"
import { nameProblem } from "./legacyNames.js"
import { show } from "./reading.js"

/** The name of a queue, or of its definition. */
export const nameOf = (queue: { readonly name: string } | string): string =>
  typeof queue === "string" ? queue : queue.name

/** The problem with a value that must be a reference to a queue, or undefined. */
export const refProblem = (queue: unknown): string | undefined => {
  const name = Predicate.hasProperty(queue, "name") ? queue.name : queue
  return typeof name === "string"
    ? nameProblem("the queue", name)
    : `the queue is ${show(queue)}, it must be a RunQueue or the name of one`
}
