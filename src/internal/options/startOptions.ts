/** What is wrong with the options by which runs are to be started later, all of it: of continuations. */
import { nameProblem, priorityProblem } from "../workflow/definition.js"
import { EARLIEST, instantOf, millisOf } from "../util/time.js"
import { attributesProblem, tagsProblem } from "./labels.js"
import { isFields, show, strangers } from "./reading.js"

const OPTIONS = ["delay", "startAt", "expiresIn", "expiresAt", "priority", "queue", "tags", "attributes"]

const time = (name: string, value: unknown): string | undefined =>
  value === undefined || millisOf(value) !== undefined
    ? undefined
    : `${name} is ${show(value)}, it must be a duration, such as "10 minutes"`

const instant = (name: string, value: unknown): string | undefined => {
  const millis = value === undefined ? EARLIEST : instantOf(value)
  return millis !== undefined && millis >= EARLIEST
    ? undefined
    : `${name} is ${show(value)}, it must be an instant: give a DateTime or a Date, after the year -4000`
}

/** Of a queue, or its name. */
export const queueProblem = (value: unknown): string | undefined => {
  const name: unknown = isFields(value) ? value["name"] : value
  return name === undefined && value === undefined
    ? undefined
    : typeof name === "string"
    ? nameProblem("the queue", name)
    : `queue is ${show(value)}, it must be a queue or its name`
}

export const startOptionProblems = (options: unknown): ReadonlyArray<string> => {
  if (options === undefined) return []
  if (!isFields(options)) return [`the options are ${show(options)}, they must be an object`]
  const { attributes, delay, expiresAt, expiresIn, priority, queue, startAt, tags } = options
  return [
    ...strangers("", options, OPTIONS),
    time("delay", delay),
    instant("startAt", startAt),
    time("expiresIn", expiresIn),
    instant("expiresAt", expiresAt),
    priority === undefined ? undefined : priorityProblem(priority),
    queueProblem(queue),
    tags === undefined ? undefined : tagsProblem(tags),
    attributes === undefined ? undefined : attributesProblem(attributes)
  ].filter((problem) => problem !== undefined)
}
