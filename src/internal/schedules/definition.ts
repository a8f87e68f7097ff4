/** The definition of a schedule in code, without its types: its problems, and the settings that it stands for. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { Limits } from "../../Limits.js"
import { encodeText } from "../codec/wire.js"
import { nameProblem } from "../workflow/definition.js"
import type { Shape } from "../process/Shape.js"
import { trialRun } from "./launch.js"
import type { Settings } from "./model.js"
import { optionProblems, type Options, settingsOf } from "./options.js"

/** What `RunSchedule.make` was called with. Nothing of it is checked. */
export interface Definition {
  readonly name: string
  /** Null if `workflow` is not a workflow. */
  readonly workflow: Shape | null
  readonly payload: unknown
  readonly options: Options
}

/** The function that computes the payload of a slot; null if the payload is a value. */
export const payloadOf = ({ payload }: Definition): ((slot: number) => unknown) | null =>
  typeof payload === "function" ? (slot) => payload(DateTime.unsafeMake(slot)) : null

/** The settings of a definition, or all of its problems. */
export const verify = (
  definition: Definition,
  now: number
): Effect.Effect<Either.Either<Settings, ReadonlyArray<string>>> =>
  Effect.gen(function*() {
    const { name, options, payload, workflow } = definition
    const problems: Array<string> = [...optionProblems(options)]
    const named = nameProblem("the schedule", name)
    if (named !== undefined) problems.unshift(named)
    if (workflow === null) {
      return Either.left([...problems, "workflow is not a workflow: give one that Workflow.make has made"])
    }
    if (workflow.options.debounce !== undefined) {
      problems.push(
        `workflow ${workflow.name} has debounce, but each slot is a run of its own: start it in a workflow instead`
      )
    }
    if (problems.length > 0) return Either.left(problems)
    const computed = payloadOf(definition)
    const limits = yield* Limits
    const text = computed !== null
      ? Either.right(null)
      : encodeText(workflow.payloadSchema, payload, `payload of schedule ${name}`, limits.payloadBytes)
    if (Either.isLeft(text)) return Either.left([text.left.message])
    const settings = settingsOf(workflow, text.right, options)
    const trial = yield* trialRun({ name, settings }, { shape: workflow, payload: computed }, now)
    return Either.mapBoth(trial, { onLeft: (problem) => [problem], onRight: () => settings })
  })
