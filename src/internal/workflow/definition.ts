/** What a workflow definition comes down to below its types, and how a run of it becomes a machine. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as FiberRefs from "effect/FiberRefs"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type { CurrentRunInfo } from "../../CurrentRun.js"
import { CurrentRun } from "../../CurrentRun.js"
import type { ValueInvalid, ValueTooLarge } from "../../Errors.js"
import { Misuse } from "../../Errors.js"
import { Limits } from "../../Limits.js"
import type { ClaimedRun } from "../../driver/JournalDriver.js"
import type { ExitCodec } from "../codec/exits.js"
import { millisOf } from "../util/time.js"
import { tagsProblem } from "../options/labels.js"
import { Machine } from "../machine/Machine.js"
import { idProblem } from "../options/names.js"
import { isFields, show, strangers } from "../options/reading.js"
import type { OpenedRun, WorkflowRegistration } from "../process/Registration.js"
import type { Shape } from "../process/Shape.js"
import { decodeText, encodeText } from "../codec/wire.js"

const NAME_LENGTH = 200

/** What is wrong with a name, if anything: names are index keys and appear in URLs and logs. */
export const nameProblem = (what: string, name: string): string | undefined =>
  typeof name !== "string" || name.length === 0 || name.length > NAME_LENGTH || !/^[\x21-\x7E][\x20-\x7E]*$/.test(name)
    ? `${what} "${name}" must be 1 to ${NAME_LENGTH} printable ASCII characters and not begin with a space`
    : undefined

/** What is wrong with a priority, if anything. */
export const priorityProblem = (priority: unknown): string | undefined =>
  typeof priority === "number" && Number.isInteger(priority) && priority >= -32768 && priority <= 32767
    ? undefined
    : `priority ${show(priority)} must be an integer from -32768 to 32767`

const OPTIONS = [
  "version",
  "idempotencyKey",
  "queue",
  "key",
  "priority",
  "timeout",
  "singleton",
  "debounce",
  "signals",
  "tags",
  "attributes"
]

/** A definition's options, whatever their type says. */
const optionsOf = ({ options }: Shape): Readonly<Record<string, unknown>> => ({ ...options })

const functionProblem = (name: string, value: unknown): string | undefined =>
  value === undefined || typeof value === "function"
    ? undefined
    : `${name} is ${show(value)}, it must be a function of the payload`

const timeoutProblem = (timeout: unknown): string | undefined =>
  timeout === undefined || millisOf(timeout) !== undefined
    ? undefined
    : `timeout is ${show(timeout)}, it must be a duration, such as "10 minutes"`

const signalProblems = (signals: unknown): ReadonlyArray<string | undefined> =>
  signals === undefined
    ? []
    : Array.isArray(signals)
    ? signals.map((signal: unknown) => {
      const name = Predicate.hasProperty(signal, "name") ? signal.name : undefined
      return typeof name === "string"
        ? idProblem("it declares a signal whose name", name)
        : `it declares ${show(signal)}, which is no signal`
    })
    : [`signals is ${show(signals)}, it must be an array of signals`]

export const definitionProblems = (shape: Shape): ReadonlyArray<string> => {
  const { attributes, idempotencyKey, key, priority, queue, signals, tags, timeout } = optionsOf(shape)
  const own = [
    ...strangers("", shape.options, OPTIONS),
    priorityProblem(priority),
    functionProblem("idempotencyKey", idempotencyKey),
    functionProblem("key", key),
    functionProblem("attributes", attributes),
    timeoutProblem(timeout),
    tags === undefined ? undefined : tagsProblem(tags),
    ...signalProblems(signals)
  ].filter((problem) => problem !== undefined)
  return [
    nameProblem("the name of workflow", shape.name),
    nameProblem(`the version of workflow ${shape.name}:`, shape.version),
    typeof queue === "string" ?
      nameProblem(`the queue of workflow ${shape.name}:`, queue) :
      `the queue of workflow ${shape.name} is ${show(queue)}, it must be a queue or its name`,
    ...own.map((problem) => `workflow ${shape.name}: ${problem}`),
    ...singletonProblems(shape)
  ].filter((problem) => problem !== undefined)
}

const singletonFieldProblems = (name: string, singleton: unknown): ReadonlyArray<string | undefined> => {
  if (singleton === undefined) return []
  if (!isFields(singleton)) return [`singleton of workflow ${name} is ${show(singleton)}, it must be { key, mode }`]
  const { key, mode } = singleton
  return [
    ...strangers(`workflow ${name}: singleton.`, singleton, ["key", "mode"]),
    functionProblem(`singleton.key of workflow ${name}`, key ?? null),
    mode === "join" || mode === "refuse"
      ? undefined
      : `singleton.mode of workflow ${name} is ${show(mode)}, it must be "join" or "refuse"`
  ]
}

const debounceFieldProblems = (name: string, debounce: unknown): ReadonlyArray<string | undefined> => {
  if (debounce === undefined) return []
  if (!isFields(debounce)) return [`debounce of workflow ${name} is ${show(debounce)}, it must be { key, quiet }`]
  const [quiet, maxWait] = [millisOf(debounce["quiet"]), millisOf(debounce["maxWait"])]
  const time = (option: string, millis: number | undefined) =>
    Number.isFinite(millis)
      ? undefined
      : `debounce.${option} of workflow ${name} is ${
        show(debounce[option])
      }, it must be a finite duration, such as "5 seconds"`
  return [
    ...strangers(`workflow ${name}: debounce.`, debounce, ["key", "quiet", "maxWait"]),
    functionProblem(`debounce.key of workflow ${name}`, debounce["key"] ?? null),
    time("quiet", quiet),
    debounce["maxWait"] === undefined ? undefined : time("maxWait", maxWait),
    quiet !== undefined && maxWait !== undefined && maxWait < quiet
      ? `debounce.maxWait of workflow ${name} is less than its quiet, which could never pass: make it longer`
      : undefined
  ]
}

/** What is wrong with how its runs exclude each other. */
export const singletonProblems = (shape: Shape): ReadonlyArray<string> => {
  const { name } = shape
  const { debounce, idempotencyKey, singleton } = optionsOf(shape)
  return [
    ...singletonFieldProblems(name, singleton),
    debounce !== undefined && singleton !== undefined
      ? `workflow ${name} has singleton and debounce: leave one out`
      : undefined,
    debounce !== undefined && idempotencyKey !== undefined
      ? `workflow ${name} has debounce and idempotencyKey, but one run stands for several payloads: leave one out`
      : undefined,
    ...debounceFieldProblems(name, debounce)
  ].filter((problem) => problem !== undefined)
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
  readonly continuations: (run: ClaimedRun, payload: unknown) => OpenedRun["continuations"]
  /** Whether what a handler gives says that its run goes on as new. */
  readonly isContinueAsNew: (value: unknown) => boolean
}): WorkflowRegistration["open"] =>
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
