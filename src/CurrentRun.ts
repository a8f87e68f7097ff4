/**
 * The current run: a service that only the code of a workflow has. Durable operations (`Step.run`, `Signal.receive` …)
 * require it, so they compile only inside workflows.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import { Misuse } from "./Errors.js"
import type { Machine } from "./internal/machine/Machine.js"

/**
 * The current run, as the code of its workflow sees it.
 *
 * @since 0.1.0
 * @category models
 */
export interface CurrentRunInfo {
  readonly id: string
  /** The name of the workflow. */
  readonly workflow: string
  readonly version: string
  /** How many times the run has continued as new. */
  readonly generation: number
  /** The id of the parent. */
  readonly parent: Option.Option<string>
  /** The id of the topmost ancestor: the run's own id if it has no parent. */
  readonly root: string
  /** 0 for a run without parent. */
  readonly depth: number
  readonly idempotencyKey: Option.Option<string>
  /** A new random UUID (version 4), which a replay repeats. */
  readonly uuid: Effect.Effect<string>
  /** @internal */
  readonly machine: Machine
}

/**
 * The tag of the current run. It is in the context of every handler.
 *
 * @since 0.1.0
 * @category tags
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { CurrentRun } from "perdure/CurrentRun"
 *
 * const reference = Effect.map(CurrentRun, (run) => `order-${run.id}`)
 * ```
 */
export class CurrentRun extends Context.Tag("perdure/CurrentRun")<CurrentRun, CurrentRunInfo>() {}

/**
 * `inside` if the caller is the code of a run, else `outside`: one value that works in both places.
 *
 * @internal
 */
export const insideOrOutside = <A, E, R, A2, E2, R2>(
  inside: (run: CurrentRunInfo) => Effect.Effect<A, E, R>,
  outside: () => Effect.Effect<A2, E2, R2>
): Effect.Effect<A | A2, E | E2, R | R2> =>
  Effect.withFiberRuntime<A | A2, E | E2, R | R2>((fiber) => {
    const run: CurrentRunInfo | undefined = fiber.currentContext.unsafeMap.get(CurrentRun.key)
    return run === undefined ? outside() : inside(run)
  })

/**
 * Dies with `Misuse`: the code of this run made a mistake.
 *
 * @internal
 */
export const dieOfMisuse = (run: Pick<CurrentRunInfo, "id" | "workflow">, problem: string): Effect.Effect<never> =>
  Effect.die(new Misuse({ detail: `run ${run.id} of workflow ${run.workflow}: ${problem}` }))

/**
 * An operation that reads or writes storage directly. Inside a workflow no replay could repeat its result, so it dies
 * with `Misuse` before it starts.
 *
 * @internal
 */
export const outsideOnly = <A, E, R>(what: string, outside: () => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  insideOrOutside(
    (run) =>
      Effect.die(
        new Misuse({
          detail:
            `${what} must be called outside of workflows, and run ${run.id} of workflow ${run.workflow} calls it: ` +
            `call it inside a Step`
        })
      ),
    outside
  )
