/**
 * The run that a workflow's code is part of. Its presence in `R` is what keeps durable operations (`Step.run`,
 * `Signal.receive` …) inside workflows.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import { Misuse } from "./Errors.js"
import type { Machine } from "./internal/machine/Machine.js"

/**
 * What a workflow can know about its own run.
 *
 * @since 0.1.0
 * @category models
 */
export interface CurrentRunInfo {
  readonly id: string
  readonly workflow: string
  readonly version: string
  /** How often the run has continued as new. */
  readonly generation: number
  readonly parent: Option.Option<string>
  /** The topmost ancestor: the run's own id if it has no parent. */
  readonly root: string
  /** 0 for a run without parent. */
  readonly depth: number
  readonly idempotencyKey: Option.Option<string>
  /** A random UUID that is the same whenever the run is replayed. */
  readonly uuid: Effect.Effect<string>
  /** @internal */
  readonly machine: Machine
}

/**
 * The tag of the current run.
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
 * Make `inside` of the current run if there is one, else `outside`: how one value works in both places.
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
 * What asks storage at once: outside of workflows only. Inside one, no replay could give the same answer, so it dies
 * before anything is asked.
 *
 * @internal
 */
export const outsideOnly = <A, E, R>(what: string, outside: () => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  insideOrOutside(
    (run) =>
      Effect.die(
        new Misuse({
          detail: `${what} is for outside of workflows, and run ${run.id} of workflow ${run.workflow} calls it: ` +
            `call it inside a Step`
        })
      ),
    outside
  )
