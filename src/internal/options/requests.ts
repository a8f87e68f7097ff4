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

/** What was given, and what is wrong with it. */
export const refusal = (what: string, detail: string): ValueInvalid =>
  new ValueInvalid({ what, detail: storable(detail) })

/** Fails if there is a problem with what was given. */
export const refuse = (what: string, problem: string | undefined): Effect.Effect<void, ValueInvalid> =>
  problem === undefined ? Effect.void : refusal(what, problem)
