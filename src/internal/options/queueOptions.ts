/** What is wrong with what is said of a queue. It is looked at as it is, whatever its type says. */
import * as Duration from "effect/Duration"
import { nameProblem } from "./legacyNames.js"
import { millisOf } from "../util/time.js"
import { isFields, show, strangers } from "./reading.js"

const isCount = (value: unknown, least: number): boolean =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= least && value <= 2_147_483_647

const countProblem = (what: string, value: unknown): string | undefined =>
  isCount(value, 1) ? undefined : `${what} is ${show(value)}, it must be an integer from 1 to 2147483647`

const limitProblem = (what: string, value: unknown, least: number): string | undefined =>
  value === undefined || value === "unlimited" || isCount(value, least)
    ? undefined
    : `${what} is ${show(value)}, it must be an integer of at least ${least}, or "unlimited"`

const priorityProblem = (value: unknown): string | undefined =>
  value === undefined || (typeof value === "number" && Number.isInteger(value) && Math.abs(value + 0.5) < 32_768)
    ? undefined
    : `priority is ${show(value)}, it must be an integer from -32768 to 32767`

const perProblem = (per: unknown): string | undefined => {
  const millis = millisOf(per)
  if (millis === undefined) return `rate.per is ${show(per)}, it must be a duration, such as "1 minute"`
  return Number.isFinite(millis) && millis > 0
    ? undefined
    : `rate.per is ${Duration.format(millis)}, it must be finite and more than nothing`
}

const rateProblems = (rate: unknown): ReadonlyArray<string | undefined> => {
  if (rate === undefined || rate === "unlimited") return []
  if (!isFields(rate)) return [`rate is ${show(rate)}, it must be { limit, per }, or "unlimited"`]
  return [
    ...strangers("rate.", rate, ["limit", "per", "burst"]),
    countProblem("rate.limit", rate["limit"]),
    rate["burst"] === undefined ? undefined : countProblem("rate.burst", rate["burst"]),
    perProblem(rate["per"])
  ]
}

const optionProblems = (options: unknown): ReadonlyArray<string | undefined> => {
  if (!isFields(options)) return [`the options are ${show(options)}, they must be an object`]
  return [
    ...strangers("", options, ["priority", "concurrency", "admission", "keyConcurrency", "rate"]),
    priorityProblem(options["priority"]),
    limitProblem("concurrency", options["concurrency"], 0),
    limitProblem("admission", options["admission"], 1),
    limitProblem("keyConcurrency", options["keyConcurrency"], 1),
    ...rateProblems(options["rate"])
  ]
}

export const queueProblems = (name: string, options: unknown): ReadonlyArray<string> =>
  [nameProblem("the queue", name), ...optionProblems(options)].filter((problem) => problem !== undefined)
