/**
 * Workflows: named, versioned definitions whose handlers are plain Effects that run durably.
 *
 * Inside a handler, ordinary Effect is durable: `Effect.sleep`, `timeout`, `retry`, `race`, `forEach`, `fork`,
 * `acquireRelease`, finalizers, in-memory queues and semaphores all replay exactly. Side effects go into a `Step`;
 * input from outside is a `Signal`, a `Callback` or a child run.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Inspectable } from "effect/Inspectable"
import type * as Layer from "effect/Layer"
import type { Pipeable } from "effect/Pipeable"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Types from "effect/Types"
import { CurrentRun, dieOfMisuse, insideOrOutside, outsideOnly } from "./CurrentRun.js"
import type { ConfigurationInvalid, JournalError, ResultError, RuntimeError, StartError } from "./Errors.js"
import { NoSuchRun } from "./Errors.js"
import type { InputOf } from "./internal/codec/construct.js"
import { declaredSchema, makeConstruct, structOf } from "./internal/codec/construct.js"
import { makeExitCodec } from "./internal/codec/exits.js"
import type { AnySchema, ReturnOf } from "./internal/codec/wire.js"
import { canBeStored, id as idRule, key as keyRule } from "./internal/options/names.js"
import { requireArguments } from "./internal/options/policy.js"
import { DEFAULT_QUEUE, queueName } from "./internal/options/queues.js"
import type * as Options from "./internal/options/workflowOptions.js"
import { checkWorkflow, isPayload, schemaOr } from "./internal/options/workflowOptions.js"
import type { Problems } from "./internal/options/Rule.js"
import type { StartOptions } from "./internal/options/startOptions.js"
import type { Shape } from "./internal/process/Shape.js"
import { currentAttempt } from "./internal/runs/attempts.js"
import { awaitChild } from "./internal/runs/children.js"
import { startChild, startRuns } from "./internal/runs/start.js"
import { invariant, makeValue } from "./internal/util/value.js"
import type { Link } from "./internal/workflow/continuations.js"
import { continueAs } from "./internal/workflow/program.js"
import { handlerLayer } from "./internal/workflow/handlerLayer.js"
import { Journal } from "./Journal.js"
import * as Run from "./Run.js"

/**
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("perdure/Workflow")

/**
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * @since 0.1.0
 * @category symbols
 */
export const ContinueAsNewTypeId: unique symbol = Symbol.for("perdure/Workflow/ContinueAsNew")

/**
 * @since 0.1.0
 * @category symbols
 */
export type ContinueAsNewTypeId = typeof ContinueAsNewTypeId

/**
 * What a handler returns to continue its run as a new generation, of a workflow with this payload. It is not a success
 * of any workflow, so neither can be mistaken for the other.
 *
 * @since 0.1.0
 * @category models
 */
export interface ContinueAsNew<in out Payload> {
  readonly [ContinueAsNewTypeId]: { readonly _Payload: Types.Invariant<Payload> }
}

export type {
  /**
   * How a run is started.
   *
   * @since 0.1.0
   * @category models
   */
  StartOptions
} from "./internal/options/startOptions.js"

/**
 * The options of a definition besides its schemas.
 *
 * @since 0.1.0
 * @category models
 */
export interface WorkflowOptions<in Payload> extends Options.WorkflowOptions<Payload> {}

/**
 * A workflow of any types, for code that derives something from its schemas: an HTTP endpoint, an RPC, a form.
 *
 * @since 0.2.0
 * @category models
 */
export interface Any extends Pipeable, Inspectable {
  readonly [TypeId]: TypeId
  readonly name: string
  readonly version: string
  readonly payloadSchema: Schema.Schema.Any
  readonly successSchema: AnySchema
  readonly errorSchema: AnySchema
  /** @internal */
  readonly shape: Shape
}

/**
 * The payload that the handler of a workflow receives.
 *
 * @since 0.2.0
 * @category types
 */
export type Payload<W extends Any> = W["payloadSchema"]["Type"]

/**
 * What a run of a workflow is started with: the input of its payload schema's constructor. Fields with a constructor
 * default may be left out; for a payload that is a class, its fields suffice.
 *
 * @since 0.2.0
 * @category types
 */
export type Input<W extends Any> = InputOf<W["payloadSchema"]>

/**
 * The success of a workflow.
 *
 * @since 0.2.0
 * @category types
 */
export type Success<W extends Any> = W["successSchema"]["Type"]

/**
 * The typed failure of a workflow.
 *
 * @since 0.2.0
 * @category types
 */
export type Failure<W extends Any> = W["errorSchema"]["Type"]

/**
 * The failures of a handler that its workflow does not declare. Nothing is assignable to it: the compiler names the
 * failure, and this type the cure.
 *
 * @since 0.2.0
 * @category models
 */
export interface AddItToTheErrorOfTheWorkflow {
  readonly AddItToTheErrorOfTheWorkflow: unique symbol
}

/** Accepts an effect whose failures are declared. */
type DeclaredFailure<Failure, Allowed, Declared> = [Failure] extends [Allowed] ? unknown
  : Effect.Effect<unknown, Declared | AddItToTheErrorOfTheWorkflow, unknown>

/**
 * A workflow definition with payload schema `P`, success schema `S` and error schema `E`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Workflow<P extends Schema.Schema.Any, S extends AnySchema, E extends AnySchema> extends Any {
  readonly payloadSchema: P
  readonly successSchema: S
  readonly errorSchema: E
  readonly options: WorkflowOptions<P["Type"]>
  /** @internal The same workflow with one more continuation. */
  readonly continued: (link: Link) => Workflow<P, S, E>

  /**
   * A Layer that binds the handler. The handler's services come from the Layer's context. The handler may require a
   * `Scope`, which closes at the run's real end. Errors of the runtime (`RuntimeError`) may pass through it. It returns
   * the run's success, or the `ContinueAsNew` of this workflow.
   *
   * A queue that the workflow, or a continuation of it, names by its definition is stored first, as `RunQueue.layer`
   * does.
   */
  readonly toLayer: <R, Failure = never>(
    handler: (
      payload: P["Type"]
    ) =>
      & Effect.Effect<ReturnOf<S["Type"]> | ContinueAsNew<P["Type"]>, Failure, R>
      & DeclaredFailure<Failure, E["Type"] | RuntimeError, E["Type"]>
  ) => Layer.Layer<never, ConfigurationInvalid | JournalError, Journal | Exclude<R, CurrentRun | Scope.Scope>>

  /**
   * Starts a run and returns its handle once the start is durable. Inside a workflow: starts a child, with the next
   * commit.
   */
  readonly start: (
    payload: InputOf<P>,
    options?: StartOptions
  ) => Effect.Effect<Run.Run<S["Type"], E["Type"]>, StartError, Journal>

  /**
   * Starts many runs in one statement, all or none. Handles are in the order of the payloads. Outside of workflows, and
   * in steps.
   */
  readonly startAll: (
    payloads: ReadonlyArray<InputOf<P>>,
    options?: StartOptions
  ) => Effect.Effect<ReadonlyArray<Run.Run<S["Type"], E["Type"]>>, StartError, Journal>

  /**
   * Starts a run and waits for its result. Inside a workflow: a child. If the wait is interrupted, an attached child is
   * cancelled.
   */
  readonly execute: (
    payload: InputOf<P>,
    options?: StartOptions
  ) => Effect.Effect<S["Type"], E["Type"] | StartError | ResultError, Journal>

  /** The handle of a run whose id is known. Storage is not asked whether the run exists. */
  readonly attach: (runId: string) => Effect.Effect<Run.Run<S["Type"], E["Type"]>, never, Journal>

  /**
   * The run that was started with this idempotency key, by any version of the workflow; its newest attempt, if it was
   * retried. Outside of workflows, and in steps.
   */
  readonly find: (
    idempotencyKey: string
  ) => Effect.Effect<Option.Option<Run.Run<S["Type"], E["Type"]>>, JournalError, Journal>

  /**
   * Continues the run as a new generation with an empty journal, for workflows that never end. The handler must return
   * the result as its last act: `return yield* Loop.continueAsNew(next)`. The run keeps its queue, key, priority, tags
   * and attributes, whatever the new payload is.
   *
   * Unread signals stay. The ids of received signals are forgotten (see `Signal.send`). Attached children that have not
   * ended are cancelled, and callbacks that were created are no longer awaited.
   */
  readonly continueAsNew: (payload: InputOf<P>) => Effect.Effect<ContinueAsNew<P["Type"]>, RuntimeError, CurrentRun>
}

/**
 * Whether a value is a workflow definition.
 *
 * @since 0.1.0
 * @category guards
 */
export const isWorkflow = (u: unknown): u is Any => Predicate.hasProperty(u, TypeId)

const isContinueAsNew = (u: unknown): boolean => Predicate.hasProperty(u, ContinueAsNewTypeId)

/**
 * Defines a workflow. Omitted `success` means `void`, omitted `error` means `never`. Problems of the definition are
 * reported when its layer is built (`ConfigurationInvalid`), or by `Check`.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 * import * as Step from "perdure/Step"
 * import * as Workflow from "perdure/Workflow"
 *
 * const Greet = Workflow.make("Greet", {
 *   payload: { name: Schema.String },
 *   success: Schema.String,
 *   idempotencyKey: ({ name }) => name
 * })
 *
 * const GreetLive = Greet.toLayer(({ name }) =>
 *   Effect.gen(function*() {
 *     yield* Effect.sleep("1 day")
 *     return yield* Step.run("greet", Effect.succeed(`Hello, ${name}`), { success: Schema.String })
 *   })
 * )
 * ```
 */
export const make: {
  <
    Fields extends Schema.Struct.Fields,
    S extends AnySchema = typeof Schema.Void,
    E extends AnySchema = typeof Schema.Never
  >(
    name: string,
    definition: Definition<Fields, S, E> & WorkflowOptions<Types.Simplify<Schema.Struct.Type<Fields>>>
  ): Workflow<Schema.Struct<Fields>, S, E>
  <
    P extends Schema.Schema.AnyNoContext,
    S extends AnySchema = typeof Schema.Void,
    E extends AnySchema = typeof Schema.Never
  >(
    name: string,
    definition: Definition<P, S, E> & WorkflowOptions<P["Type"]>
  ): Workflow<P, S, E>
  /** Never chosen. The compiler reports the errors of this one, which is of both kinds of payload. */
  <
    P extends Schema.Struct.Fields | Schema.Schema.AnyNoContext,
    S extends AnySchema = typeof Schema.Void,
    E extends AnySchema = typeof Schema.Never
  >(
    name: string,
    definition: Definition<P, S, E> & WorkflowOptions<PayloadOf<P>>
  ): Workflow<Schema.Schema.AnyNoContext, S, E>
} = <P extends Schema.Schema.Any, S extends AnySchema, E extends AnySchema>(
  name: string,
  definition: AnyDefinition<P>
): Workflow<P, S, E> => {
  const { error, payload, success, ...options } = definition
  return define<P, S, E>({
    name,
    payload: isPayload(payload) ? structOf(payload) : Schema.Unknown,
    success: schemaOr<AnySchema>(success, Schema.Void) as S,
    error: schemaOr<AnySchema>(error, Schema.Never) as E,
    options,
    problems: checkWorkflow(name, definition),
    links: []
  })
}

type PayloadOf<P> = P extends Schema.Schema.AnyNoContext ? P["Type"]
  : P extends Schema.Struct.Fields ? Types.Simplify<Schema.Struct.Type<P>>
  : never

interface Definition<P, S, E> {
  readonly payload: P
  readonly success?: S
  readonly error?: E
}

type AnyDefinition<P extends Schema.Schema.Any> =
  & Definition<Schema.Struct.Fields | Schema.Schema.AnyNoContext, AnySchema, AnySchema>
  & WorkflowOptions<P["Type"]>

/** A definition as it is kept, for continuations that are added to it. */
interface Parts<P extends Schema.Schema.Any, S extends AnySchema, E extends AnySchema> {
  readonly name: string
  readonly payload: Schema.Schema.AnyNoContext
  readonly success: S
  readonly error: E
  readonly options: WorkflowOptions<P["Type"]>
  readonly problems: Problems
  readonly links: ReadonlyArray<Link>
}

const define = <P extends Schema.Schema.Any, S extends AnySchema, E extends AnySchema>(
  parts: Parts<P, S, E>
): Workflow<P, S, E> => {
  const { error, links, name, options, payload, problems, success } = parts
  const version = options.version ?? "1"
  const shape: Shape = {
    name,
    version,
    payloadSchema: payload,
    problems,
    construct: makeConstruct(payload),
    options: { ...options, queue: queueName(options.queue ?? DEFAULT_QUEUE), priority: options.priority ?? 0 }
  }
  const exitCodec = (limitBytes: number) =>
    makeExitCodec({ success, failure: error, what: `result of workflow ${name}`, limitBytes })
  const reader = { name, exit: exitCodec(Infinity) }
  const continuation: ContinueAsNew<P["Type"]> = { [ContinueAsNewTypeId]: { _Payload: invariant<P["Type"]>() } }

  const startAll = (inputs: ReadonlyArray<InputOf<P>>, started: StartOptions | undefined) =>
    Effect.gen(function*() {
      const journal = yield* Journal
      const ids = yield* startRuns(journal, shape, inputs, started)
      return ids.map((id) => Run.make<S["Type"], E["Type"]>(journal, reader, id))
    })

  const start = (input: InputOf<P>, started: StartOptions | undefined) =>
    insideOrOutside(
      (current) =>
        Effect.gen(function*() {
          const journal = yield* Journal
          const child = yield* startChild(current, shape, input, started)
          return Run.make<S["Type"], E["Type"]>(journal, reader, child.id)
        }),
      () =>
        Effect.flatMap(startAll([input], started), ([run]) =>
          run === undefined ? Effect.dieMessage("no run was started") : Effect.succeed(run))
    )

  return {
    ...makeValue({ _id: "perdure/Workflow", name, version }),
    [TypeId]: TypeId,
    name,
    version,
    payloadSchema: declaredSchema<P>(payload),
    successSchema: success,
    errorSchema: error,
    options,
    shape,
    continued: (link) => define({ ...parts, links: [...links, link] }),
    toLayer: (handler) =>
      handlerLayer({
        shape,
        queue: options.queue,
        links,
        // The payload was decoded by this workflow's schema.
        handler: (payload) => handler(payload as P["Type"]),
        exitCodec,
        isContinueAsNew
      }),
    start,
    startAll: (inputs, started) => outsideOnly("Workflow.startAll", () => startAll(inputs, started)),
    execute: (input, started) =>
      insideOrOutside(
        (current) =>
          Effect.flatMap(startChild(current, shape, input, started), (child) =>
            awaitChild<S["Type"], E["Type"]>(current, reader, { ...child, cancels: child.attached })),
        () =>
          Effect.flatMap(start(input, started), (run) => run.result)
      ),
    attach: (runId) =>
      Effect.map(Journal, (journal) => {
        const run = Run.make<S["Type"], E["Type"]>(journal, reader, runId)
        // From inside a run, a cancellation leaves with its commit, which storage would refuse.
        return canBeStored(runId) ? run : { ...run, cancel: () => new NoSuchRun({ runId }) }
      }),
    find: (idempotencyKey) =>
      outsideOnly("Workflow.find", () =>
        Effect.gen(function*() {
          yield* requireArguments(`find of workflow ${name}`, keyRule.problems(idempotencyKey, "idempotencyKey"))
          const journal = yield* Journal
          const found = yield* journal.find({ filter: { workflows: [name], idempotencyKey }, after: null, limit: 1 })
          const id = found.runs[0]?.id
          return id === undefined
            ? Option.none()
            : Option.some(Run.make<S["Type"], E["Type"]>(journal, reader, yield* currentAttempt(journal, id)))
        })),
    continueAsNew: (input) =>
      Effect.flatMap(CurrentRun, (current) => Effect.as(continueAs(current, shape, input), continuation))
  }
}

/**
 * Whether this run takes the new code of a change: true for a run that arrives here for the first time, false for a run
 * that passed here before the change was deployed. Ask before code that adds, removes or moves durable operations.
 *
 * @since 0.1.0
 * @category versions
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Step from "perdure/Step"
 * import * as Workflow from "perdure/Workflow"
 *
 * const notify = Effect.flatMap(Workflow.patched("notify-by-mail"), (patched) =>
 *   patched ? Step.run("mail", Effect.void) : Step.run("fax", Effect.void))
 * ```
 */
export const patched = (id: string): Effect.Effect<boolean, never, CurrentRun> =>
  Effect.flatMap(CurrentRun, (current) => {
    const [problem] = idRule.problems(id, "id of patch")
    return problem !== undefined ? dieOfMisuse(current, problem) : Effect.succeed(current.machine.patched(id))
  })

/**
 * Sleeps durably until an instant; returns at once if it has passed. Dies with `Misuse` if the instant is not valid.
 *
 * @since 0.1.0
 * @category time
 * @example
 * ```ts
 * import * as DateTime from "effect/DateTime"
 * import * as Workflow from "perdure/Workflow"
 *
 * const wait = Workflow.sleepUntil(DateTime.unsafeMake("2030-01-01T00:00:00Z"))
 * ```
 */
export const sleepUntil = (instant: DateTime.DateTime | Date): Effect.Effect<void, never, CurrentRun> =>
  Effect.flatMap(CurrentRun, (current) => {
    const millis = instant instanceof Date ? instant.getTime() : DateTime.toEpochMillis(instant)
    return Number.isNaN(millis)
      ? dieOfMisuse(
        current,
        `sleepUntil needs a valid instant, got ${String(instant)}: check how it is made`
      )
      : Effect.sleep(Duration.millis(Math.max(0, millis - current.machine.now)))
  })
