/** The definition of a schedule in code, without its types: its problems, and the settings that it stands for. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { Limits } from "../../Limits.js"
import { encodeText } from "../codec/wire.js"
import { name as nameRule } from "../options/names.js"
import type { Problems, Rule } from "../options/Rule.js"
import { accepts, fields, rule } from "../options/Rule.js"
import { isFields } from "../util/show.js"
import { instantOf } from "../util/time.js"
import type { Shape } from "../process/Shape.js"
import { trialRun } from "./launch.js"
import type { Settings } from "./model.js"
import type { ScheduleOptions } from "./options.js"
import { checkBounds, optionsTable, settingsOf } from "./options.js"

/** What `RunSchedule.make` was called with. Nothing of it is checked. */
export interface Definition {
  readonly name: string
  /** Null if `options.workflow` is not a workflow. */
  readonly workflow: Shape | null
  readonly options: unknown
}

interface DefinitionOptions extends ScheduleOptions {
  readonly workflow: unknown
  /** Its schema checks a value. */
  readonly payload: unknown
}

const optionsOf = (workflow: Shape | null): Rule<DefinitionOptions> =>
  fields<DefinitionOptions>({
    ...optionsTable,
    workflow: rule("a workflow made by Workflow.make", () => workflow !== null),
    payload: rule("a value or a function", () => true)
  })

const millisOf = (value: unknown): number | null => instantOf(value) ?? null

const problemsOf = ({ name, options, workflow }: Definition): Problems => [
  ...nameRule.problems(name, "name"),
  ...optionsOf(workflow).problems(options, ""),
  ...isFields(options) ? checkBounds(millisOf(options["startsAt"]), millisOf(options["endsAt"])) : [],
  ...workflow?.options.debounce === undefined ? [] : [
    `workflow ${workflow.name} has debounce, but each slot is a run of its own: start it in a workflow instead`
  ]
]

/** The function that computes the payload of a slot; null if the payload is a value. */
export const payloadOf = ({ options }: Definition): ((slot: number) => unknown) | null => {
  const payload = isFields(options) ? options["payload"] : undefined
  return typeof payload === "function" ? (slot) => payload(DateTime.unsafeMake(slot)) : null
}

/** The settings of a definition, or all of its problems. */
export const verify = (definition: Definition, now: number): Effect.Effect<Either.Either<Settings, Problems>> =>
  Effect.gen(function*() {
    const { name, options, workflow } = definition
    const problems = problemsOf(definition)
    if (problems.length > 0 || workflow === null || !accepts(optionsOf(workflow), options)) return Either.left(problems)
    const computed = payloadOf(definition)
    const limits = yield* Limits
    const text = computed !== null
      ? Either.right(null)
      : encodeText(
        workflow.payloadSchema,
        workflow.construct(options.payload),
        `payload of schedule ${name}`,
        limits.payloadBytes
      )
    if (Either.isLeft(text)) return Either.left([text.left.message])
    const settings = settingsOf(workflow, text.right, options)
    const trial = yield* trialRun({ name, settings }, { shape: workflow, payload: computed }, now)
    return Either.mapBoth(trial, { onLeft: (problem) => [problem], onRight: () => settings })
  })
