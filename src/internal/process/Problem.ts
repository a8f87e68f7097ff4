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

/** One line. The detail of a bad definition or option already names the cure. */
export const problemText = ({ code, cure, detail }: Problem): string =>
  code === "BadDefinition" || code === "BadOption" ? detail : `${detail}: ${cure}`

/** Problems with options; each detail names the cure. */
export const badOptions = (place: string, details: ReadonlyArray<string>): ReadonlyArray<Problem> =>
  details.map((detail) => ({ code: "BadOption", place, detail, cure: "correct the option as the detail says" }))
