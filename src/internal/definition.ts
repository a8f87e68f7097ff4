/** What a workflow definition comes down to below its types, and how a run of it becomes a machine. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as FiberRefs from "effect/FiberRefs"
import * as Option from "effect/Option"
import type { CurrentRunInfo } from "../CurrentRun.js"
import { CurrentRun } from "../CurrentRun.js"
import type { ValueInvalid, ValueTooLarge } from "../Errors.js"
import { Misuse } from "../Errors.js"
import { Limits } from "../Limits.js"
import type { ClaimedRun } from "../JournalDriver.js"
import type { ExitCodec } from "./exits.js"
import { millisOf } from "./due.js"
import { tagsProblem } from "./labels.js"
import { Machine } from "./machine/Machine.js"
import { idProblem } from "./names.js"
import type { Opened, Registered } from "./Registry.js"
import type { Shape } from "./shape.js"
import { decodeText, encodeText } from "./wire.js"

export type { Shape } from "./shape.js"

const NAME_LENGTH = 200

/** What is wrong with a name, if anything: names are index keys and appear in URLs and logs. */
export const nameProblem = (what: string, name: string): string | undefined =>
  typeof name !== "string" || name.length === 0 || name.length > NAME_LENGTH || !/^[\x21-\x7E][\x20-\x7E]*$/.test(name)
    ? `${what} "${name}" must be 1 to ${NAME_LENGTH} printable ASCII characters and not begin with a space`
    : undefined

/** What is wrong with a priority, if anything. */
export const priorityProblem = (priority: number): string | undefined =>
  Number.isInteger(priority) && priority >= -32768 && priority <= 32767
    ? undefined
    : `priority ${priority} must be an integer from -32768 to 32767`

const inWorkflow = (shape: Shape, problem: string | undefined): string | undefined =>
  problem === undefined ? undefined : `workflow ${shape.name}: ${problem}`

export const definitionProblems = (shape: Shape): ReadonlyArray<string> =>
  [
    nameProblem("the name of workflow", shape.name),
    nameProblem(`the version of workflow ${shape.name}:`, shape.version),
    nameProblem(`the queue of workflow ${shape.name}:`, shape.options.queue),
    priorityProblem(shape.options.priority),
    inWorkflow(shape, tagsProblem(shape.options.tags ?? [])),
    ...singletonProblems(shape),
    ...(shape.options.signals ?? []).map(({ name }) =>
      idProblem(`workflow ${shape.name} declares a signal whose name`, name)
    )
  ].filter((problem) => problem !== undefined)

/** What is wrong with how its runs exclude each other. */
export const singletonProblems = ({ name, options }: Shape): ReadonlyArray<string> => {
  const { debounce, idempotencyKey, singleton } = options
  const problems: Array<string> = []
  if (singleton !== undefined && singleton.mode !== "join" && singleton.mode !== "refuse") {
    problems.push(`singleton.mode of workflow ${name} is ${String(singleton.mode)}, it must be "join" or "refuse"`)
  }
  if (debounce === undefined) return problems
  if (singleton !== undefined) problems.push(`workflow ${name} has singleton and debounce: leave one out`)
  if (idempotencyKey !== undefined) {
    problems.push(
      `workflow ${name} has debounce and idempotencyKey, but one run stands for several payloads: leave one out`
    )
  }
  for (const [option, value] of [["quiet", debounce.quiet], ["maxWait", debounce.maxWait]] as const) {
    if (value !== undefined && !Number.isFinite(millisOf(value))) {
      problems.push(`debounce.${option} of workflow ${name} must be a finite duration, such as "5 seconds"`)
    }
  }
  return problems
}

/** Note the next generation's payload. */
export const continueAs = (
  current: CurrentRunInfo,
  shape: Shape,
  payload: unknown
): Effect.Effect<void, ValueInvalid | ValueTooLarge | Misuse> =>
  Effect.flatMap(Limits, (limits): Effect.Effect<void, ValueInvalid | ValueTooLarge | Misuse> => {
    if (current.workflow !== shape.name) {
      return new Misuse({
        detail:
          `run ${current.id} of workflow ${current.workflow} cannot continue as workflow ${shape.name}: start that as a child`
      })
    }
    const text = encodeText(shape.payloadSchema, payload, `payload of workflow ${shape.name}`, limits.payloadBytes)
    if (Either.isLeft(text)) return Effect.fail(text.left)
    current.machine.continuation = text.right
    return Effect.void
  })

export const makeOpen = (options: {
  readonly shape: Shape
  readonly exit: ExitCodec
  readonly context: Context.Context<never>
  readonly fiberRefs: FiberRefs.FiberRefs
  readonly handler: (payload: unknown) => Effect.Effect<unknown, unknown>
  readonly continuations: (run: ClaimedRun, payload: unknown) => Opened["continuations"]
  /** Whether what a handler gives says that its run goes on as new. */
  readonly isContinueAsNew: (value: unknown) => boolean
}): Registered["open"] =>
(run, onStray) =>
  Either.mapBoth(decodeText(options.shape.payloadSchema, run.payload, `payload of run ${run.id}`), {
    onLeft: (error) => error.message,
    onRight: (payload) => {
      const machine: Machine = new Machine({
        label: `workflow ${run.workflow}, run ${run.id}`,
        startedAt: run.startedAt,
        seed: `${run.seed}/${run.generation}`,
        fiberRefs: options.fiberRefs,
        inherited: run.journal.filter(({ seq }) => seq < run.inherited).length,
        onStray
      })
      const info: CurrentRunInfo = {
        id: run.id,
        workflow: run.workflow,
        version: run.version,
        generation: run.generation,
        parent: Option.map(Option.fromNullable(run.parent), (parent) => parent.id),
        root: run.root,
        depth: run.depth,
        idempotencyKey: Option.fromNullable(run.idempotencyKey),
        uuid: Effect.suspend(() => machine.uuid()),
        machine
      }
      const program = Effect.flatMap(
        Effect.suspend(() => options.handler(payload)),
        (value) =>
          machine.continuation !== undefined && !options.isContinueAsNew(value)
            ? Effect.die(
              new Misuse({ detail: `continueAsNew must be returned from the handler of workflow ${run.workflow}` })
            )
            : Effect.succeed(value)
      )
      return {
        machine,
        start: (replay) => machine.start(program, Context.add(options.context, CurrentRun, info), replay),
        encodeExit: options.exit.encode,
        continuations: options.continuations(run, payload)
      }
    }
  })
