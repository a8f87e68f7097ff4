/** The program of a run: the handler of its workflow with the decoded payload, as a machine that is ready to start. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as FiberRefs from "effect/FiberRefs"
import * as Option from "effect/Option"
import type { CurrentRunInfo } from "../../CurrentRun.js"
import { CurrentRun } from "../../CurrentRun.js"
import type { ValueInvalid, ValueTooLarge } from "../../Errors.js"
import { Misuse } from "../../Errors.js"
import { Limits } from "../../Limits.js"
import type { ClaimedRun } from "../../driver/JournalDriver.js"
import type { ExitCodec } from "../codec/exits.js"
import { Machine } from "../machine/Machine.js"
import type { OpenedRun, WorkflowRegistration } from "../process/Registration.js"
import type { Shape } from "../process/Shape.js"
import { decodeText, encodeText } from "../codec/wire.js"

/** Encodes the payload of the run's next generation, which starts when the handler returns. */
export const continueAs = (
  current: CurrentRunInfo,
  shape: Shape,
  payload: unknown
): Effect.Effect<void, ValueInvalid | ValueTooLarge | Misuse> =>
  Effect.flatMap(Limits, (limits): Effect.Effect<void, ValueInvalid | ValueTooLarge | Misuse> => {
    if (current.workflow !== shape.name) {
      return new Misuse({
        detail:
          `run ${current.id} of workflow ${current.workflow} cannot continue as workflow ${shape.name}: start that workflow as a child`
      })
    }
    const text = encodeText(
      shape.payloadSchema,
      shape.construct(payload),
      `payload of workflow ${shape.name}`,
      limits.payloadBytes
    )
    if (Either.isLeft(text)) return Effect.fail(text.left)
    current.machine.continuation = text.right
    return Effect.void
  })

/** How a run of a workflow becomes a machine. */
export const makeOpen = (options: {
  readonly shape: Shape
  readonly exit: ExitCodec
  /** The limit of a run's journal, in bytes. */
  readonly journalBytes: number
  readonly context: Context.Context<never>
  readonly fiberRefs: FiberRefs.FiberRefs
  readonly handler: (payload: unknown) => Effect.Effect<unknown, unknown>
  readonly continuations: (run: ClaimedRun, payload: unknown) => OpenedRun["continuations"]
  /** Whether a handler's success continues its run as a new generation. */
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
              new Misuse({ detail: `the handler of workflow ${run.workflow} must return the result of continueAsNew` })
            )
            : Effect.succeed(value)
      )
      return {
        machine,
        start: (replay) => machine.start(program, Context.add(options.context, CurrentRun, info), replay),
        encodeExit: options.exit.encode,
        journalBytes: options.journalBytes,
        continuations: options.continuations(run, payload)
      }
    }
  })
