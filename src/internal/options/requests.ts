/** Who asks for something, and why; and the options of what is asked: checked as they are, whatever their type says. */
import * as Effect from "effect/Effect"
import { ValueInvalid } from "../../Errors.js"
import { isFields, show, strangers } from "./reading.js"
import { storable } from "../util/show.js"

/** What is wrong with optional options of which these are known, if anything. */
export const optionsProblem = (options: unknown, known: ReadonlyArray<string>): string | undefined => {
  if (options === undefined) return undefined
  return isFields(options)
    ? strangers("", options, known)[0]
    : `the options are ${show(options)}, they must be an object`
}

/** What is wrong with a text that may be left out, if anything. */
const textProblem = (name: string, value: unknown): string | undefined =>
  value === undefined || typeof value === "string"
    ? undefined
    : `${name} is ${show(value)}, it must be a text: leave it out, or mend it`

/** What is wrong with a request, which may have more options than it says, if anything. */
export const requestProblem = (request: unknown, more: ReadonlyArray<string> = []): string | undefined => {
  const problem = optionsProblem(request, [...more, "by", "reason"])
  if (problem !== undefined || !isFields(request)) return problem
  return textProblem("by", request["by"]) ?? textProblem("reason", request["reason"])
}

/** The longest note, in characters: it is stored with the schedule, and read each time that it fires. */
const NOTE = 1_000

const noteProblem = (name: string, value: unknown): string | undefined =>
  textProblem(name, value) ?? (typeof value === "string" && value.length > NOTE
    ? `${name} has ${value.length} characters, at most ${NOTE} may be: shorten it`
    : undefined)

/** What is wrong with the request to pause a schedule, if anything. */
export const pauseProblem = (request: unknown): string | undefined => {
  const problem = optionsProblem(request, ["by", "reason"])
  if (problem !== undefined || !isFields(request)) return problem
  return noteProblem("by", request["by"]) ?? noteProblem("reason", request["reason"])
}

/** The most of its next runs that are shown of a schedule. */
const NEXT = 1_000

/** What is wrong with how schedules are to be shown, if anything. */
export const showProblem = (options: unknown): string | undefined => {
  const problem = optionsProblem(options, ["upcoming"])
  if (problem !== undefined || !isFields(options)) return problem
  const { upcoming } = options
  return upcoming === undefined ||
      (typeof upcoming === "number" && Number.isInteger(upcoming) && upcoming >= 0 && upcoming <= NEXT)
    ? undefined
    : `upcoming is ${show(upcoming)}, it must be an integer from 0 to ${NEXT}`
}

/** What is wrong with asking a schedule for runs by hand, if anything. */
export const askProblem = (options: unknown, more: ReadonlyArray<string> = []): string | undefined => {
  const problem = optionsProblem(options, [...more, "overlap"])
  if (problem !== undefined || !isFields(options)) return problem
  const { overlap } = options
  return overlap === undefined || overlap === "allow" || overlap === "queueAll"
    ? undefined
    : `overlap is ${show(overlap)}, it must be "allow" or "queueAll": mend it, or leave it out`
}

/** What was given, and what is wrong with it. */
export const refusal = (what: string, detail: string): ValueInvalid =>
  new ValueInvalid({ what, detail: storable(detail) })

/** Fails if there is a problem with what was given. */
export const refuse = (what: string, problem: string | undefined): Effect.Effect<void, ValueInvalid> =>
  problem === undefined ? Effect.void : refusal(what, problem)
