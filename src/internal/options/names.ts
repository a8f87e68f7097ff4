/** Names and ids that users choose. What one storage cannot hold is refused for all of them. */
import * as Predicate from "effect/Predicate"
import { notJson } from "../codec/wire.js"
import type { Rule } from "./Rule.js"
import { accepts, count, mustBe, rule, string } from "./Rule.js"

const NAME_LENGTH = 200

/** The name of a workflow, a version, a queue, a schedule or a worker: an index key that appears in URLs and logs. */
export const name: Rule<string> = rule(
  `a string of 1 to ${NAME_LENGTH} printable ASCII characters that does not begin with a space`,
  (value) => typeof value === "string" && value.length <= NAME_LENGTH && /^[\x21-\x7E][\x20-\x7E]*$/.test(value)
)

/** Whether something can have this name. If not, storage need not be asked. */
export const canBeName = (given: string): boolean => accepts(name, given)

/** Lower is claimed first. */
export const priority: Rule<number> = count({ min: -32_768, max: 32_767 })

/** A workflow, or its name. */
export type WorkflowReference = string | { readonly name: string; readonly toLayer: unknown }

export const workflowName = (workflow: WorkflowReference): string =>
  typeof workflow === "string" ? workflow : workflow.name

/** A workflow, or a name that one can have. */
export const workflowReference: Rule<WorkflowReference> = {
  expected: "a Workflow or its name",
  problems: (value, place) =>
    typeof value === "string"
      ? name.problems(value, place)
      : Predicate.hasProperty(value, "toLayer") && Predicate.hasProperty(value, "name")
      ? name.problems(value.name, `${place}.name`)
      : [mustBe(place, "a Workflow or its name", value)]
}

/**
 * The longest id, in bytes of UTF-8. A row of a Postgres index holds 2,704 bytes; beside an id it holds the id of a
 * run or the name of a workflow.
 */
export const ID_BYTES = 1_000

/** The id of a run or of a message, the name of a step or a signal, a key: any string that storage can index. */
export const id: Rule<string> = string({ maxBytes: ID_BYTES })

/** A key that a payload has. An empty one is most often a missing field, and would make one run of many. */
export const key: Rule<string> = string({ min: 1, maxBytes: ID_BYTES })

/** Whether storage can hold a run of that id. If not, no such run exists. */
export const canBeStored = (runId: string): boolean => notJson(runId) === undefined
