/**
 * Continuations: when a run ends, a run of another workflow starts with its result or its error, exactly once. The new
 * run is part of the commit that ends the first one, so both happen or neither.
 *
 * A continuation is an independent run: it has no parent, no run waits for it, and it is not cancelled with the run
 * that it follows. The queue, priority, idempotency key, tags and attributes of its workflow apply as in any start. If
 * its idempotency key is taken, the run that has the key is the continuation.
 *
 * The functions that make payloads run outside of the workflow, and possibly more than once (if a worker dies at that
 * moment): they should only compute. If one throws, or its result does not fit the payload's schema, the first run ends
 * as it would have, nothing follows, and the reason is logged as an error and published by the run under
 * `perdure:continuation`.
 *
 * @since 0.1.0
 */
import { dual } from "effect/Function"
import type * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type { RuntimeError } from "./Errors.js"
import type { InputOf } from "./internal/codec/construct.js"
import type { AnySchema } from "./internal/codec/wire.js"
import type * as Options from "./internal/options/startOptions.js"
import type { Workflow } from "./Workflow.js"
import { isWorkflow } from "./Workflow.js"

/**
 * How a run failed.
 *
 * @since 0.1.0
 * @category models
 */
export interface FailedRun<out E> {
  readonly runId: string
  readonly workflow: string
  readonly status: "failed"
  /** The error of the handler; `None` if it died. */
  readonly error: Option.Option<E | RuntimeError>
  /** The defect, or the stored error, as a string. An error whose schema has `Redacted` values is not shown. */
  readonly detail: string
}

/**
 * Where a continuation waits, and from when on.
 *
 * @since 0.1.0
 * @category models
 */
export interface ContinuationOptions extends Options.ContinuationOptions {}

type PayloadSchema = Schema.Schema.Any

/**
 * When a run completes, starts `to` with the payload that `payload` makes from its success and its payload.
 *
 * @since 0.1.0
 * @category combinators
 * @example
 * ```ts
 * import * as Schema from "effect/Schema"
 * import * as Continuation from "perdure/Continuation"
 * import * as Workflow from "perdure/Workflow"
 *
 * const Invoice = Workflow.make("Invoice", { payload: { orderId: Schema.String, total: Schema.Number } })
 *
 * const Fulfil = Workflow.make("Fulfil", { payload: { orderId: Schema.String }, success: Schema.Number }).pipe(
 *   Continuation.onSuccess(Invoice, (total, { orderId }) => ({ orderId, total }))
 * )
 * ```
 */
export const onSuccess: {
  <P extends PayloadSchema, S extends AnySchema, P2 extends PayloadSchema, S2 extends AnySchema, E2 extends AnySchema>(
    to: Workflow<P2, S2, E2>,
    payload: (success: S["Type"], payload: P["Type"]) => InputOf<P2>,
    options?: ContinuationOptions
  ): <E extends AnySchema>(self: Workflow<P, S, E>) => Workflow<P, S, E>
  <
    P extends PayloadSchema,
    S extends AnySchema,
    E extends AnySchema,
    P2 extends PayloadSchema,
    S2 extends AnySchema,
    E2 extends AnySchema
  >(
    self: Workflow<P, S, E>,
    to: Workflow<P2, S2, E2>,
    payload: (success: S["Type"], payload: P["Type"]) => InputOf<P2>,
    options?: ContinuationOptions
  ): Workflow<P, S, E>
} = dual(
  (args) => isWorkflow(args[1]),
  <
    P extends PayloadSchema,
    S extends AnySchema,
    E extends AnySchema,
    P2 extends PayloadSchema,
    S2 extends AnySchema,
    E2 extends AnySchema
  >(
    self: Workflow<P, S, E>,
    to: Workflow<P2, S2, E2>,
    payload: (success: S["Type"], payload: P["Type"]) => InputOf<P2>,
    options?: ContinuationOptions
  ) => self.continued({ on: "success", to: to.shape, options, payload })
)

/**
 * When a run fails, by an error of its own or a defect, start `to` with what `payload` makes of that and of its
 * payload. Not for runs that are cancelled, terminated, expired or exhausted: those did not end by what their code did.
 *
 * @since 0.1.0
 * @category combinators
 * @example
 * ```ts
 * import * as Schema from "effect/Schema"
 * import * as Continuation from "perdure/Continuation"
 * import * as Workflow from "perdure/Workflow"
 *
 * const Apologize = Workflow.make("Apologize", { payload: { orderId: Schema.String, why: Schema.String } })
 *
 * const Fulfil = Workflow.make("Fulfil", { payload: { orderId: Schema.String }, error: Schema.String }).pipe(
 *   Continuation.onFailure(Apologize, ({ detail }, { orderId }) => ({ orderId, why: detail }))
 * )
 * ```
 */
export const onFailure: {
  <P extends PayloadSchema, E extends AnySchema, P2 extends PayloadSchema, S2 extends AnySchema, E2 extends AnySchema>(
    to: Workflow<P2, S2, E2>,
    payload: (failed: FailedRun<E["Type"]>, payload: P["Type"]) => InputOf<P2>,
    options?: ContinuationOptions
  ): <S extends AnySchema>(self: Workflow<P, S, E>) => Workflow<P, S, E>
  <
    P extends PayloadSchema,
    S extends AnySchema,
    E extends AnySchema,
    P2 extends PayloadSchema,
    S2 extends AnySchema,
    E2 extends AnySchema
  >(
    self: Workflow<P, S, E>,
    to: Workflow<P2, S2, E2>,
    payload: (failed: FailedRun<E["Type"]>, payload: P["Type"]) => InputOf<P2>,
    options?: ContinuationOptions
  ): Workflow<P, S, E>
} = dual(
  (args) => isWorkflow(args[1]),
  <
    P extends PayloadSchema,
    S extends AnySchema,
    E extends AnySchema,
    P2 extends PayloadSchema,
    S2 extends AnySchema,
    E2 extends AnySchema
  >(
    self: Workflow<P, S, E>,
    to: Workflow<P2, S2, E2>,
    payload: (failed: FailedRun<E["Type"]>, payload: P["Type"]) => InputOf<P2>,
    options?: ContinuationOptions
  ) =>
    self.continued({
      on: "failure",
      to: to.shape,
      options,
      // The failure is of this workflow, whose error schema has encoded it.
      payload: (failed, own) => payload(failed as FailedRun<E["Type"]>, own)
    })
)
