/** A problem with the configuration of a process, as `Check` reports it and `ConfigurationInvalid` lists it. */
import * as Schema from "effect/Schema"

export const ProblemCode = Schema.Literal(
  "BadDefinition",
  "TwoHandlers",
  "TwoSignals",
  "TwoWorkers",
  "TwoQueues",
  "TwoSchedules",
  "BadOption",
  "QueueNotServed",
  "NoSuchWorkflow",
  "LayerFailed"
)

export const Problem = Schema.Struct({
  code: ProblemCode,
  place: Schema.String,
  detail: Schema.String,
  cure: Schema.String
})

export type Problem = typeof Problem.Type

/**
 * One line. The detail of a bad definition names the place and the cure, that of a bad option only the cure; other
 * details name the place.
 */
export const problemText = ({ code, cure, detail, place }: Problem): string =>
  code === "BadDefinition" ? detail : code === "BadOption" ? `${place}: ${detail}` : `${detail}: ${cure}`

/** Problems with options. Each detail names the option and the cure. */
export const badOptions = (place: string, details: ReadonlyArray<string>): ReadonlyArray<Problem> =>
  details.map((detail) => ({ code: "BadOption", place, detail, cure: "correct the option as the detail says" }))
