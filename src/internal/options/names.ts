/** Names and ids that users choose, checked above the drivers: what one storage cannot hold, none is asked to. */
import * as Predicate from "effect/Predicate"
import { bytesAbove, notJson } from "../codec/wire.js"
import type { Rule } from "./Rule.js"
import { accepts, count, mustBe, rule, string } from "./Rule.js"

const NAME_LENGTH = 200

/** The name of a workflow, a version, a queue, a schedule or a worker: an index key that appears in URLs and logs. */
export const name: Rule<string> = rule(
  `a string of 1 to ${NAME_LENGTH} printable ASCII characters that does not begin with a space`,
  (value) => typeof value === "string" && value.length <= NAME_LENGTH && /^[\x21-\x7E][\x20-\x7E]*$/.test(value)
)

/** Storage need not be asked about a name that nothing can have. */
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
 * The longest name or id, in bytes of UTF-8. A row of a Postgres index holds 2,704 bytes, and beside an id it has a
 * run's id or a workflow's name.
 */
export const ID_BYTES = 1000

/** The id of a run or of a message, the name of a step or a signal, a key: any string that storage can index. */
export const id: Rule<string> = string({ maxBytes: ID_BYTES })

/** Characters of an excerpt in a message. */
const EXCERPT_LENGTH = 40

/** Whether a storage can hold a run of that id. If not, the run does not exist. */
export const canBeStored = (runId: string): boolean => notJson(runId) === undefined

/** The problem of a name or an id that a program chooses, with the cure; undefined if the name is valid. */
export const checkId = (what: string, id: string): string | undefined => {
  if (!canBeStored(id)) return `${notJson(id, shown(what, id))}: leave it out, or escape it`
  const bytes = bytesAbove(id, ID_BYTES)
  return bytes === undefined
    ? undefined
    : `${shown(what, id)} has ${bytes} bytes, the limit is ${ID_BYTES}: shorten it, or use a hash of it`
}

/** JSON escapes characters that cannot be stored, so that the message can be. */
const shown = (what: string, id: string): string =>
  `${what} ${JSON.stringify(id.length > EXCERPT_LENGTH ? `${id.slice(0, EXCERPT_LENGTH)}…` : id)}`
