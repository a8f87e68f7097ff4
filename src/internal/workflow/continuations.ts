/** Continuations: the runs that start when a run ends. They are part of the commit that ends it. */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type * as FiberRefs from "effect/FiberRefs"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type { ClaimedRun, NewRun } from "../../driver/JournalDriver.js"
import { optional } from "../options/Rule.js"
import type { ContinuationOptions } from "../options/startOptions.js"
import { continuationOptions } from "../options/startOptions.js"
import type { Shape } from "../process/Shape.js"
import type { ExitCodec, WireExit } from "../codec/exits.js"
import { continuationId } from "../codec/ids.js"
import type { End, WorkflowRegistration } from "../process/Registration.js"
import { queueName } from "../options/queues.js"
import { runForkWith } from "../util/runtime.js"
import { freshRun } from "../runs/start.js"
import { shown } from "../util/show.js"

/** One continuation of a workflow. */
export interface Link {
  readonly on: "success" | "failure"
  readonly to: Shape
  readonly options: ContinuationOptions | undefined
  /** Makes the payload of the next run from the success, or the failure, and the payload of the run that ended. */
  readonly payload: (ended: unknown, payload: unknown) => unknown
}

/** The published value that says why a continuation could not be started. */
export const PROBLEM_KEY = "perdure:continuation"

/** The problems of a workflow's continuations. */
export const checkLinks = (name: string, links: ReadonlyArray<Link>): ReadonlyArray<string> =>
  links.flatMap(({ on, options, to }) => {
    const place = `workflow "${name}" continues on ${on} with "${to.name}"`
    return [
      ...optional(continuationOptions).problems(options, "").map((problem) => `${place}: ${problem}`),
      ...to.options.singleton === undefined && to.options.debounce === undefined ? [] : [
        `${place}, which has "singleton" or "debounce": a continuation starts with a commit, which asks storage nothing, ` +
        "so start that workflow in a Step instead"
      ]
    ]
  })

const failureOf = (run: ClaimedRun, codec: ExitCodec, wire: WireExit, cause: Cause.Cause<unknown>) => ({
  runId: run.id,
  workflow: run.workflow,
  status: "failed" as const,
  error: wire.kind === "failure" ? Cause.failureOption(cause) : Option.none(),
  detail: codec.describe(wire)
})

/** The end as it was stored, which is also what others read. */
const storedEnd = ({ decode }: ExitCodec, wire: WireExit): Either.Either<Exit.Exit<unknown, unknown>, string> =>
  Either.map(decode(wire), Effect.runSyncExit)

/** The runs that follow the end of a run. A run that cannot start is a problem in words. */
export const makeContinuations = (options: {
  readonly links: ReadonlyArray<Link>
  readonly context: Context.Context<never>
  readonly fiberRefs: FiberRefs.FiberRefs
  readonly codec: ExitCodec
}) =>
(run: ClaimedRun, payload: unknown) =>
(end: End): ReadonlyArray<Either.Either<NewRun, string>> => {
  const on = end.wire.kind === "success" ? "success" : end.wire.kind === "interrupt" ? undefined : "failure"
  return options.links.flatMap((link, index): ReadonlyArray<Either.Either<NewRun, string>> => {
    if (link.on !== on) return []
    const id = continuationId(run.id, end.seq, index, link.to.name)
    const made = storedEnd(options.codec, end.wire).pipe(
      Either.map((stored) =>
        Exit.isSuccess(stored) ? stored.value : failureOf(run, options.codec, end.wire, stored.cause)
      ),
      Effect.flatMap((ended) => Effect.try({ try: () => link.payload(ended, payload), catch: shown })),
      Effect.flatMap((next) => freshRun(link.to, next, link.options, { id, now: end.now }))
    )
    const exit = Effect.runSyncExit(Effect.provide(made, options.context))
    if (Exit.isSuccess(exit)) return [Either.right(exit.value)]
    const error = Cause.squash(exit.cause)
    const problem =
      `run ${run.id} of workflow ${run.workflow} has ended, but its continuation ${link.to.name} cannot start: ${
        error instanceof Error ? error.message : shown(error)
      }`
    runForkWith(Effect.logError(problem), options.context, options.fiberRefs)
    return [Either.left(problem)]
  })
}

/** Names, versions and queues of the continuations, for a check. */
export const linkedTo = (links: ReadonlyArray<Link>): WorkflowRegistration["continuations"] =>
  links.map(({ on, options, to }) => ({
    on,
    name: to.name,
    version: to.version,
    queue: Predicate.isNotNullable(options?.queue) ? queueName(options.queue) : undefined
  }))
