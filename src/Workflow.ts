/**
 * Workflows: named, versioned definitions whose handlers are plain Effects that run durably.
 *
 * Inside a handler, ordinary Effect is durable: `Effect.sleep`, `timeout`, `retry`, `race`, `forEach`, `fork`,
 * `acquireRelease`, finalizers, in-memory queues and semaphores all replay exactly. What touches the world goes into a
 * `Step`; what comes from outside is a `Signal`, a `Callback` or a child run.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Inspectable } from "effect/Inspectable"
import * as Layer from "effect/Layer"
import type { Pipeable } from "effect/Pipeable"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Types from "effect/Types"
import { CurrentRun, dieOfMisuse, insideOrOutside, outsideOnly } from "./CurrentRun.js"
import type { ConfigurationInvalid, JournalError, ResultError, RuntimeError, StartError } from "./Errors.js"
import { NoSuchRun, TimedOut } from "./Errors.js"
import type { Link } from "./internal/workflow/continuations.js"
import { linkedTo, linkProblems, makeContinuations } from "./internal/workflow/continuations.js"
import type { Shape } from "./internal/process/Shape.js"
import { continueAs, definitionProblems, makeOpen } from "./internal/workflow/definition.js"
import { makeExitCodec } from "./internal/codec/exits.js"
import { DEFAULT_QUEUE } from "./internal/process/KnownQueues.js"
import { nameOf } from "./internal/options/queueReference.js"
import { canBeStored, idProblem } from "./internal/options/names.js"
import { startChild, startRuns } from "./internal/runs/start.js"
import type { WorkflowRegistration } from "./internal/process/Registration.js"
import { invariant, makeValue } from "./internal/util/value.js"
import type { AnySchema, Given } from "./internal/codec/wire.js"
import { Journal } from "./Journal.js"
import type { Attributes } from "./driver/JournalDriver.js"
import { Limits } from "./Limits.js"
import * as Run from "./Run.js"
import * as RunQueue from "./RunQueue.js"
import type * as Signal from "./Signal.js"

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
 * What a handler returns for its run to go on as a new generation, of a workflow with this payload. It is no success of
 * any workflow, so it cannot be taken for one.
 *
 * @since 0.1.0
 * @category models
 */
export interface ContinueAsNew<in out Payload> {
  readonly [ContinueAsNewTypeId]: { readonly _Payload: Types.Invariant<Payload> }
}

/**
 * How a run is started.
 *
 * @since 0.1.0
 * @category models
 */
export interface StartOptions {
  /** Not before this much time has passed. */
  readonly delay?: Duration.DurationInput
  /** Not before this instant; `delay` does not count then. */
  readonly startAt?: DateTime.DateTime | Date
  /** The run is `expired`, and never begins, unless a worker takes it within this time. */
  readonly expiresIn?: Duration.DurationInput
  /** The run is `expired` unless a worker takes it before this instant; `expiresIn` does not count then. */
  readonly expiresAt?: DateTime.DateTime | Date
  /** Lower is claimed first. Default: the workflow's. */
  readonly priority?: number
  /** A queue that is defined, or that some worker has served. Default: the workflow's. */
  readonly queue?: RunQueue.Ref
  /** Inside a workflow: the child goes on when its parent ends or is cancelled. Default false. */
  readonly detached?: boolean
  /** What it may be found by, besides the workflow's: at most 32 texts of 1 to 200 printable characters. */
  readonly tags?: ReadonlyArray<string>
  /** What it may be found by, besides the workflow's and before them: at most 32 texts, finite numbers and booleans. */
  readonly attributes?: Attributes
}

/**
 * What a definition may say besides its schemas.
 *
 * @since 0.1.0
 * @category models
 */
export interface WorkflowOptions<Payload> {
  /** Distinguishes code that old runs must not meet. A worker claims only runs of versions that it has. Default `"1"`. */
  readonly version?: string
  /** Starting twice with one key is one run. Scoped to the workflow. Children are known by their parent instead. */
  readonly idempotencyKey?: (payload: Payload) => string
  /** Where its runs wait. Default `"default"`. */
  readonly queue?: RunQueue.Ref
  /**
   * The key of a run within its queue. Keys take turns in starting runs, and the queue's `keyConcurrency` says how many runs
   * of one key there may be at a time. Default: no key.
   */
  readonly key?: (payload: Payload) => string
  /** Lower is claimed first, an integer from -32768 to 32767. Default 0. */
  readonly priority?: number
  /** The run fails with `TimedOut` when its handler takes longer; finalizers run. A durable timer. */
  readonly timeout?: Duration.DurationInput
  /**
   * One run at a time for each key: while one is not final, a start with the same key gives that one (`join`), or fails
   * with `SingletonBusy` (`refuse`). Not for children. It holds back starts; retries and forks are an operator's act, and
   * neither ask for the key nor take it.
   */
  readonly singleton?: { readonly key: (payload: Payload) => string; readonly mode: "join" | "refuse" }
  /**
   * A run begins when no other start with its key has come for the time `quiet`, at most `maxWait` after the first; the
   * last payload counts. Not for children, nor together with `singleton` or `idempotencyKey`.
   */
  readonly debounce?: {
    readonly key: (payload: Payload) => string
    readonly quiet: Duration.DurationInput
    readonly maxWait?: Duration.DurationInput
  }
  /** Signals that it receives. Declared ones are checked at registration: one name, one definition. */
  readonly signals?: ReadonlyArray<Signal.Any>
  /** What its runs may be found by. */
  readonly tags?: ReadonlyArray<string>
  /** What a run may be found by, from its payload. */
  readonly attributes?: (payload: Payload) => Attributes
}

/**
 * A workflow definition.
 *
 * @since 0.1.0
 * @category models
 */
export interface Workflow<in out Payload, in out Success, in out Failure> extends Pipeable, Inspectable {
  readonly [TypeId]: {
    readonly _Payload: Types.Invariant<Payload>
    readonly _Success: Types.Invariant<Success>
    readonly _Failure: Types.Invariant<Failure>
  }
  readonly name: string
  readonly version: string
  readonly payloadSchema: AnySchema
  readonly successSchema: AnySchema
  readonly errorSchema: AnySchema
  readonly options: WorkflowOptions<Payload>
  /** @internal */
  readonly shape: Shape
  /** @internal The same workflow, whose runs go on with one more. */
  readonly continued: (link: Link) => Workflow<Payload, Success, Failure>

  /**
   * Bind the handler that runs it, as a Layer. The handler's services come from the Layer's context; it may require a
   * `Scope`, which closes at the run's real end. Errors of the runtime (`RuntimeError`) may pass through it. It gives the
   * run's success, or the `ContinueAsNew` of this workflow.
   *
   * A queue that the workflow, or a continuation of it, names by its definition is stored first, as `RunQueue.layer` does.
   */
  readonly toLayer: <R>(
    handler: (payload: Payload) => Effect.Effect<Given<Success> | ContinueAsNew<Payload>, Failure | RuntimeError, R>
  ) => Layer.Layer<never, ConfigurationInvalid | JournalError, Journal | Exclude<R, CurrentRun | Scope.Scope>>

  /**
   * Start a run and answer its handle once the start is durable. Inside a workflow: start a child, with the next commit.
   */
  readonly start: (
    payload: Payload,
    options?: StartOptions
  ) => Effect.Effect<Run.Run<Success, Failure>, StartError, Journal>

  /**
   * Start many runs in one statement, all or none. Handles come in the order of the payloads. Outside of workflows, and
   * in steps.
   */
  readonly startAll: (
    payloads: ReadonlyArray<Payload>,
    options?: StartOptions
  ) => Effect.Effect<ReadonlyArray<Run.Run<Success, Failure>>, StartError, Journal>

  /** Start a run and wait for its result. Inside a workflow: a child, cancelled if the wait is interrupted (if attached). */
  readonly execute: (
    payload: Payload,
    options?: StartOptions
  ) => Effect.Effect<Success, Failure | StartError | ResultError, Journal>

  /** The handle of a run whose id is known. */
  readonly attach: (runId: string) => Effect.Effect<Run.Run<Success, Failure>, never, Journal>

  /**
   * Go on as a new generation of the same run, with an empty journal: for workflows that never end. The handler must
   * return what this gives, as its last act: `return yield* Loop.continueAsNew(next)`. The run keeps its queue, key,
   * priority, tags and attributes as they were, whatever the new payload says.
   *
   * Signals that were not received stay; the ids of those that were received are forgotten (see `Signal.send`). Attached
   * children that have not ended are cancelled, and callbacks that were created are not waited for any more.
   */
  readonly continueAsNew: (payload: Payload) => Effect.Effect<ContinueAsNew<Payload>, RuntimeError, CurrentRun>
}

/**
 * Whether a value is a workflow definition.
 *
 * @since 0.1.0
 * @category guards
 */
export const isWorkflow = (u: unknown): u is Workflow<unknown, unknown, unknown> => Predicate.hasProperty(u, TypeId)

const isContinueAsNew = (u: unknown): boolean => Predicate.hasProperty(u, ContinueAsNewTypeId)

/**
 * Define a workflow. Omitted `success` means `void`, omitted `error` means `never`.
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
  ): Workflow<Types.Simplify<Schema.Struct.Type<Fields>>, S["Type"], E["Type"]>
  <
    P extends Schema.Schema.AnyNoContext,
    S extends AnySchema = typeof Schema.Void,
    E extends AnySchema = typeof Schema.Never
  >(
    name: string,
    definition: Definition<P, S, E> & WorkflowOptions<P["Type"]>
  ): Workflow<P["Type"], S["Type"], E["Type"]>
} = <Payload, Success, Failure>(
  name: string,
  definition: AnyDefinition<Payload>
): Workflow<Payload, Success, Failure> => define(name, definition, [])

type AnyDefinition<Payload> =
  & Definition<Schema.Struct.Fields | Schema.Schema.AnyNoContext, AnySchema, AnySchema>
  & WorkflowOptions<Payload>

const define = <Payload, Success, Failure>(
  name: string,
  definition: AnyDefinition<Payload>,
  links: ReadonlyArray<Link>
): Workflow<Payload, Success, Failure> => {
  const { error, payload, success, ...options } = definition
  const payloadSchema: AnySchema = Schema.isSchema(payload)
    ? payload
    // Fields whose schemas need services are refused when the first value is encoded.
    : Schema.Struct(payload as Record<string, Schema.Schema.AnyNoContext>)
  const successSchema: AnySchema = success ?? Schema.Void
  const errorSchema: AnySchema = error ?? Schema.Never
  const version = options.version ?? "1"
  const exitFor = (limits: { readonly payloadBytes: number }) =>
    makeExitCodec({
      success: successSchema,
      failure: errorSchema,
      what: `result of workflow ${name}`,
      limitBytes: limits.payloadBytes
    })
  const reader = { name, exit: exitFor({ payloadBytes: Infinity }) }
  const shape = {
    name,
    version,
    payloadSchema,
    options: { ...options, queue: nameOf(options.queue ?? DEFAULT_QUEUE), priority: options.priority ?? 0 }
  }

  const startMany = (payloads: ReadonlyArray<Payload>, started: StartOptions | undefined) =>
    Effect.gen(function*() {
      const journal = yield* Journal
      const ids = yield* startRuns(journal, shape, payloads, started)
      return ids.map((id) => Run.make<Success, Failure>(journal, reader, id))
    })

  const start = (payload: Payload, started: StartOptions | undefined) =>
    insideOrOutside(
      (current) =>
        Effect.gen(function*() {
          const journal = yield* Journal
          const child = yield* startChild(current, shape, payload, started)
          return Run.make<Success, Failure>(journal, reader, child.id)
        }),
      () =>
        Effect.flatMap(startMany([payload], started), ([run]) =>
          run === undefined ? Effect.dieMessage("no run was started") : Effect.succeed(run))
    )

  const continuation: ContinueAsNew<Payload> = { [ContinueAsNewTypeId]: { _Payload: invariant<Payload>() } }

  return {
    ...makeValue({ _id: "perdure/Workflow", name, version }),
    [TypeId]: { _Payload: invariant<Payload>(), _Success: invariant<Success>(), _Failure: invariant<Failure>() },
    name,
    version,
    payloadSchema,
    successSchema,
    errorSchema,
    options,
    shape,
    continued: (link) => define(name, definition, [...links, link]),
    toLayer: <R>(
      handler: (payload: Payload) => Effect.Effect<Given<Success> | ContinueAsNew<Payload>, Failure | RuntimeError, R>
    ) =>
      Layer.scopedDiscard(Effect.gen(function*() {
        const journal = yield* Journal
        const context = yield* Effect.context<Exclude<R, CurrentRun | Scope.Scope>>()
        const fiberRefs = yield* Effect.getFiberRefs
        const { timeout } = options
        const limited = timeout === undefined ? handler : (payload: Payload) =>
          Effect.timeoutFail(handler(payload), {
            duration: timeout,
            onTimeout: () => new TimedOut({ what: `workflow ${name}`, millis: Duration.toMillis(timeout) })
          })
        const queues = [options.queue, ...links.map((link) => link.options?.queue)].filter(RunQueue.isRunQueue)
        const registration: WorkflowRegistration = {
          name,
          version,
          queue: shape.options.queue,
          shape,
          // Options are checked as they are: they may come from code without types.
          signals: Array.isArray(options.signals) ? options.signals : [],
          continuations: linkedTo(links),
          problems: [...definitionProblems(shape), ...linkProblems(name, links)],
          open: makeOpen({
            continuations: makeContinuations({ links, context, fiberRefs }),
            shape,
            exit: exitFor(yield* Limits),
            context,
            fiberRefs,
            isContinueAsNew,
            // The payload was decoded by this workflow's schema; `Effect.scoped` and the machine's context supply what the
            // layer's context leaves out.
            handler: (payload) => Effect.scoped(limited(payload as Payload) as Effect.Effect<unknown, unknown>)
          })
        }
        const { admit, registrations } = journal.process
        // Nothing is stored for a definition that is refused, and no run is claimed before its queue has its limits.
        yield* admit([...registrations.problemsOf(registration), ...queues.flatMap(RunQueue.configurationProblems)])
        for (const queue of queues) yield* RunQueue.define(queue, "workflow")
        yield* Effect.suspend(() => admit(registrations.problemsOf(registration)))
        yield* registrations.addWorkflow(registration)
      })),
    start,
    startAll: (payloads, started) => outsideOnly("Workflow.startAll", () => startMany(payloads, started)),
    execute: (payload, started) =>
      insideOrOutside(
        (current) =>
          Effect.flatMap(startChild(current, shape, payload, started), (child) =>
            Run.awaitChild<Success, Failure>(current, reader, { ...child, cancels: child.attached })),
        () =>
          Effect.flatMap(start(payload, started), (run) => run.result)
      ),
    attach: (runId) =>
      Effect.map(Journal, (journal) => {
        const run = Run.make<Success, Failure>(journal, reader, runId)
        // From inside a run, a cancellation leaves with its commit, which storage would refuse.
        return canBeStored(runId) ? run : { ...run, cancel: () => new NoSuchRun({ runId }) }
      }),
    continueAsNew: (payload) =>
      Effect.flatMap(CurrentRun, (current) => Effect.as(continueAs(current, shape, payload), continuation))
  }
}

interface Definition<P, S, E> {
  readonly payload: P
  readonly success?: S
  readonly error?: E
}

/**
 * Whether this run takes the new code of a change: true for runs that get here for the first time, false for runs that
 * passed here before the change was deployed. Ask before code that adds, removes or moves durable operations.
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
    const problem = idProblem("the id of patch", id)
    return problem !== undefined ? dieOfMisuse(current, problem) : Effect.succeed(current.machine.patched(id))
  })

/**
 * Sleep durably until an instant; at once if it has passed. Dies with `Misuse` of what is no valid instant.
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
        `sleepUntil is given ${String(instant)}, which is no valid instant: look at how it is made`
      )
      : Effect.sleep(Duration.millis(Math.max(0, millis - current.machine.now)))
  })
