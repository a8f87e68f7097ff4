/**
 * Steps: the side effects of a workflow. A step's exit, success or failure, is journaled. When the run is replayed, the
 * step returns the journaled exit and the body does not run.
 *
 * A body runs at least once: it runs again if the process dies before its exit is durable. Pass the step's idempotency
 * key (`Step.Current`) to the system that the body calls, or use `Step.transaction` for writes to the journal's own
 * database.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import { pipeArguments } from "effect/Pipeable"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { CurrentRun, dieOfMisuse } from "./CurrentRun.js"
import { Misuse, TimedOut } from "./Errors.js"
import type { ExitCodec } from "./internal/codec/exits.js"
import { makeExitCodec } from "./internal/codec/exits.js"
import { id } from "./internal/options/names.js"
import type { AnySchema, ReturnOf } from "./internal/codec/wire.js"
import { restoreWaits } from "./internal/machine/interruption.js"
import { shown } from "./internal/util/show.js"
import { stepOptions } from "./internal/options/stepOptions.js"
import { Limits } from "./Limits.js"

/**
 * What the body of a step can read about its step.
 *
 * @since 0.1.0
 * @category models
 */
export interface CurrentStep {
  readonly runId: string
  readonly name: string
  /** 1 for the first attempt. Attempts that died with their process are not counted. */
  readonly attempt: number
  /**
   * The same for every attempt of this step in this run, and of no other step. An external system deduplicates by it.
   */
  readonly idempotencyKey: string
}

/**
 * The step that the body belongs to.
 *
 * @since 0.1.0
 * @category tags
 */
export class Current extends Context.Tag("perdure/Step/Current")<Current, CurrentStep>() {}

/**
 * How failures of a step are retried. Every failure is journaled, and the delay before the next attempt is a durable
 * timer, so a crash repeats neither.
 *
 * @since 0.1.0
 * @category models
 */
export interface Retry<E> {
  /** The delays between attempts. Default: `Schedule.exponential("1 second")` with jitter. */
  readonly schedule?: Schedule.Schedule<unknown, E>
  /** Which failures are retried. Default: all. */
  readonly while?: (error: E) => boolean
  /** The number of attempts, the first one included: a positive integer. Default: no limit. */
  readonly maxAttempts?: number
  /** The longest delay before an attempt. */
  readonly maxDelay?: Duration.DurationInput
}

/**
 * @since 0.1.0
 * @category models
 */
export interface StepOptions<S, E, Failure> {
  /** The schema of the success. Default: the step returns `void`. */
  readonly success?: S
  /** The schema of the failure. Default: the step does not fail. */
  readonly error?: E
  /** A schedule or detailed options. Default: failures are not retried. Defects are never retried. */
  readonly retry?: Schedule.Schedule<unknown, Failure> | Retry<Failure>
  /** Part of the idempotency key for external systems. Default: the step's place in the run. */
  readonly idempotencyKey?: string
}

interface TimeoutOption {
  /**
   * Interrupts an attempt that takes longer (its `AbortSignal` fires) and fails it with `TimedOut`. If the body ignores
   * the interruption, the attempt fails after the worker's `interruptTimeout`, and the body continues unheard.
   */
  readonly timeout: Duration.DurationInput
}

interface OptionalTimeoutOption {
  readonly timeout?: Duration.DurationInput | undefined
}

interface NoTimeoutOption {
  readonly timeout?: undefined
}

/**
 * The requirement of a step whose body uses durable operations (`Step.run`, `Signal.receive` …). Nothing provides it,
 * so such a program does not compile: a body runs outside of the run. Use them before or after the step, and pass their
 * values.
 *
 * @since 0.1.0
 * @category models
 */
export interface DurableOperationInStep {
  readonly DurableOperationInStep: unique symbol
}

type BodyContext = Current | CurrentRun | Scope.Scope

/** The requirements of a step: those of its body. */
type StepContext<R> = Exclude<R, BodyContext> | CurrentRun | (R extends CurrentRun ? DurableOperationInStep : never)

/** Runs a body as a step: data-first with the body after the name, data-last in a pipe of the body. */
interface RunStep {
  <S extends AnySchema = typeof Schema.Void, E extends AnySchema = typeof Schema.Never>(
    name: string,
    options: StepOptions<S, E, NoInfer<E["Type"]> | TimedOut> & TimeoutOption & NoBody
  ): <R>(
    body: Effect.Effect<ReturnOf<S["Type"]>, E["Type"], R>
  ) => Effect.Effect<S["Type"], E["Type"] | TimedOut, StepContext<R>>
  <S extends AnySchema = typeof Schema.Void, E extends AnySchema = typeof Schema.Never>(
    name: string,
    options?: StepOptions<S, E, NoInfer<E["Type"]>> & NoTimeoutOption & NoBody
  ): <R>(
    body: Effect.Effect<ReturnOf<S["Type"]>, E["Type"], R>
  ) => Effect.Effect<S["Type"], E["Type"], StepContext<R>>
  <S extends AnySchema = typeof Schema.Void, E extends AnySchema = typeof Schema.Never, R = never>(
    name: string,
    body: Effect.Effect<ReturnOf<NoInfer<S["Type"]>>, NoInfer<E["Type"]>, R>,
    options: StepOptions<S, E, NoInfer<E["Type"]> | TimedOut> & TimeoutOption
  ): Effect.Effect<S["Type"], E["Type"] | TimedOut, StepContext<R>>
  <S extends AnySchema = typeof Schema.Void, E extends AnySchema = typeof Schema.Never, R = never>(
    name: string,
    body: Effect.Effect<ReturnOf<NoInfer<S["Type"]>>, NoInfer<E["Type"]>, R>,
    options?: StepOptions<S, E, NoInfer<E["Type"]>> & NoTimeoutOption
  ): Effect.Effect<S["Type"], E["Type"], StepContext<R>>
  /** For an optional timeout. The compiler reports the errors of this one. */
  <S extends AnySchema = typeof Schema.Void, E extends AnySchema = typeof Schema.Never, R = never>(
    name: string,
    body: Effect.Effect<ReturnOf<NoInfer<S["Type"]>>, NoInfer<E["Type"]>, R>,
    options?: StepOptions<S, E, NoInfer<E["Type"]> | TimedOut> & OptionalTimeoutOption
  ): Effect.Effect<S["Type"], E["Type"] | TimedOut, StepContext<R>>
}

/** Excludes an effect from the place of the options: there, an effect is the body. */
interface NoBody {
  readonly [Effect.EffectTypeId]?: never
}

interface AnyOptions extends StepOptions<AnySchema, AnySchema, never> {
  readonly timeout?: Duration.DurationInput | undefined
}

type AnyBody = Effect.Effect<unknown, unknown, unknown>

/** A step without its types. The codec checks its values; the public signatures name their types. */
type AnyStep = Effect.Effect<never, never, CurrentRun>

/** The context of a body: that of its fiber, without the run and its scope, with those of the step. */
const bodyContext = (inside: Context.Context<never>, step: CurrentStep, scope: Scope.Scope): Context.Context<never> => {
  const services = new Map(inside.unsafeMap)
  services.delete(CurrentRun.key)
  services.set(Scope.Scope.key, scope)
  services.set(Current.key, step)
  return Context.unsafeMake(services)
}

/** A scope that is made when the first finalizer is added. Most bodies add none. */
class LazyScope implements Scope.Scope {
  readonly [Scope.ScopeTypeId]: Scope.ScopeTypeId = Scope.ScopeTypeId
  readonly strategy = ExecutionStrategy.sequential
  private made: Scope.CloseableScope | undefined

  private get scope(): Effect.Effect<Scope.CloseableScope> {
    return this.made !== undefined ? Effect.succeed(this.made) : Effect.tap(Scope.make(), (made) => {
      this.made = made
      return Effect.void
    })
  }

  fork(strategy: ExecutionStrategy.ExecutionStrategy): Effect.Effect<Scope.CloseableScope> {
    return Effect.flatMap(this.scope, (scope) => Scope.fork(scope, strategy))
  }

  addFinalizer(finalizer: Scope.Scope.Finalizer): Effect.Effect<void> {
    return Effect.flatMap(this.scope, (scope) => Scope.addFinalizerExit(scope, finalizer))
  }

  close(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> | undefined {
    return this.made === undefined ? undefined : Scope.close(this.made, exit)
  }

  pipe() {
    return pipeArguments(this, arguments)
  }
}

/** Replaces the defect of a body that used a durable operation by one that explains it. */
const explained = (exit: Exit.Exit<unknown, unknown>, { name, runId }: CurrentStep): Exit.Exit<unknown, unknown> =>
  Exit.isFailure(exit) && Chunk.some(Cause.defects(exit.cause), isMissingRun)
    ? Exit.die(
      new Misuse({
        detail: `the body of step ${name} of run ${runId} uses a durable operation, which a step body cannot. ` +
          `Use it before or after the step, and pass its value to the body; the run's id is in Step.Current`
      })
    )
    : exit

const isMissingRun = (defect: unknown): boolean =>
  // Any value can be thrown: its message need not be a string.
  defect instanceof Error && shown(defect.message).startsWith(`Service not found: ${CurrentRun.key}`)

const retrying = (
  attempt: (n: number) => AnyStep,
  retry: Schedule.Schedule<unknown, never> | Retry<never>
): AnyStep => {
  const options: Retry<never> = Schedule.isSchedule(retry) ? { schedule: retry } : retry
  const { maxAttempts, maxDelay } = options
  let schedule: Schedule.Schedule<unknown, never> = options.schedule ??
    Schedule.jittered(Schedule.exponential("1 second"))
  if (maxDelay !== undefined) schedule = Schedule.modifyDelay(schedule, (_, delay) => Duration.min(delay, maxDelay))
  if (maxAttempts !== undefined) schedule = Schedule.intersect(schedule, Schedule.recurs(maxAttempts - 1))
  return Effect.suspend(() => {
    let n = 0
    return Effect.retry(Effect.suspend(() => attempt(++n)), {
      schedule,
      ...(options.while === undefined ? undefined : { while: options.while })
    })
  })
}

const makeStep = (transaction: boolean) => (name: string, body: AnyBody, options: AnyOptions = {}): AnyStep => {
  const wrong = stepOptions.problems(options, "")
  if (wrong.length > 0) {
    return Effect.flatMap(CurrentRun, (run) => dieOfMisuse(run, `step ${name}: ${wrong.join("; ")}`))
  }
  const { retry, timeout } = options
  const success = options.success ?? Schema.Void
  const failure = timeout === undefined
    ? options.error ?? Schema.Never
    : options.error === undefined
    ? TimedOut
    : Schema.Union(options.error as Schema.Schema.AnyNoContext, TimedOut)
  // The services that it needs are in its fiber's context: they are in the `R` of the public signatures.
  const given = body as Effect.Effect<unknown, unknown>
  const timeoutMillis = timeout === undefined ? undefined : Duration.toMillis(timeout)
  return Effect.withFiberRuntime<never, never, CurrentRun>((fiber) => {
    const { machine, ...run } = Context.unsafeGet(fiber.currentContext as Context.Context<CurrentRun>, CurrentRun)
    const { stepResultBytes } = Context.get(fiber.currentContext, Limits)
    const [problem] = id.problems(name, "name of step")
    if (problem !== undefined) return dieOfMisuse(run, problem)
    const codec = codecFor(success, failure, name, stepResultBytes)
    const own = options.idempotencyKey
    // Automatic keys are numbers, and an own one may be "0".
    const key = `${run.id}/${run.generation}/${own === undefined ? machine.takeKey() : `key/${own}`}`
    const attempt = (n: number) => {
      const scope = new LazyScope()
      const step: CurrentStep = { runId: run.id, name, attempt: n, idempotencyKey: key }
      return machine.request<never, never>(
        {
          _tag: "Step",
          body: given,
          close: (exit) => scope.close(exit),
          context: bodyContext(fiber.currentContext, step, scope),
          fiberRefs: fiber.getFiberRefs(),
          encode: (exit) => codec.encode(explained(exit, step)),
          attempt: n,
          transaction,
          timeoutMillis
        },
        name,
        codec.decode
      )
    }
    return retry === undefined ? attempt(1) : retrying(attempt, retry)
  })
}

// Codecs by schemas, then by name: a step in a loop compiles its schemas once.
const codecs = new WeakMap<object, WeakMap<object, Map<string, ExitCodec>>>()

const codecFor = (success: AnySchema, failure: AnySchema, name: string, limitBytes: number): ExitCodec => {
  let byFailure = codecs.get(success.ast)
  if (byFailure === undefined) codecs.set(success.ast, byFailure = new WeakMap())
  let byName = byFailure.get(failure.ast)
  if (byName === undefined) byFailure.set(failure.ast, byName = new Map())
  const known = byName.get(name)
  if (known?.limitBytes === limitBytes) return known
  const codec = makeExitCodec({ success, failure, what: `result of step ${name}`, limitBytes })
  // Names made at run time (one per item) must not accumulate without limit.
  if (byName.size < 1000) byName.set(name, codec)
  return codec
}

/**
 * Runs an effect as a step: its exit is journaled, and returned when the run is replayed. Options that are wrong die
 * with `Misuse`.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 * import * as Step from "perdure/Step"
 *
 * class Refused extends Schema.TaggedError<Refused>()("Refused", {}) {}
 *
 * const charge = (cents: number) =>
 *   Step.run(
 *     "charge",
 *     Effect.flatMap(Step.Current, ({ idempotencyKey }) =>
 *       cents > 0 ? Effect.succeed(`${idempotencyKey}: ${cents}`) : new Refused()),
 *     { success: Schema.String, error: Refused, retry: { maxAttempts: 3 }, timeout: "10 seconds" }
 *   )
 * ```
 */
export const run: RunStep = dual((args) => Effect.isEffect(args[1]), makeStep(false))

/**
 * Like `run`, but the body and its entry are one transaction of the journal's database: the writes happen exactly once.
 * The body uses the `SqlClient` that the journal's layer provides. A failure rolls the body back and is journaled.
 *
 * If the database will never commit the transaction, the step dies with its message (a `JournalError` with the code
 * `Refused`): a deferred constraint is violated, or a statement failed and the body continued. To continue after a
 * statement that may fail, put it into `sql.withTransaction`, which is a savepoint there. After a conflict with
 * another transaction (serialization failure, deadlock), a failover or a full disk, the body runs again, whatever it
 * made of the error.
 *
 * The body occupies a connection of the journal while it executes, so do only SQL in it. PGlite has one connection:
 * there, everything else waits for the body.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import * as SqlClient from "@effect/sql/SqlClient"
 * import * as Effect from "effect/Effect"
 * import * as Step from "perdure/Step"
 *
 * const ship = (orderId: string) =>
 *   Step.transaction(
 *     "ship",
 *     SqlClient.SqlClient.pipe(
 *       Effect.flatMap((sql) => sql`INSERT INTO shipments (order_id) VALUES (${orderId})`),
 *       Effect.orDie,
 *       Effect.asVoid
 *     )
 *   )
 * ```
 */
export const transaction: RunStep = dual((args) => Effect.isEffect(args[1]), makeStep(true))

/**
 * Defines a step as a function, for use in many places.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 * import * as Step from "perdure/Step"
 *
 * const double = Step.make("double", { success: Schema.Number }, (n: number) => Effect.succeed(n * 2))
 *
 * const program = Effect.flatMap(double(21), Effect.log)
 * ```
 */
export function make<
  Args extends ReadonlyArray<unknown>,
  S extends AnySchema = typeof Schema.Void,
  E extends AnySchema = typeof Schema.Never,
  R = never
>(
  name: string,
  options: StepOptions<S, E, NoInfer<E["Type"]> | TimedOut> & TimeoutOption,
  body: (...args: Args) => Effect.Effect<ReturnOf<NoInfer<S["Type"]>>, NoInfer<E["Type"]>, R>
): (...args: Args) => Effect.Effect<S["Type"], E["Type"] | TimedOut, StepContext<R>>
export function make<
  Args extends ReadonlyArray<unknown>,
  S extends AnySchema = typeof Schema.Void,
  E extends AnySchema = typeof Schema.Never,
  R = never
>(
  name: string,
  options: StepOptions<S, E, NoInfer<E["Type"]>> & NoTimeoutOption,
  body: (...args: Args) => Effect.Effect<ReturnOf<NoInfer<S["Type"]>>, NoInfer<E["Type"]>, R>
): (...args: Args) => Effect.Effect<S["Type"], E["Type"], StepContext<R>>
export function make<Args extends ReadonlyArray<unknown>>(
  name: string,
  options: AnyOptions,
  body: (...args: Args) => AnyBody
): (...args: Args) => AnyStep {
  return (...args) => makeStep(false)(name, Effect.suspend(() => body(...args)), options)
}

/**
 * Registers a compensation for the success of a step: it runs when the run fails or is cancelled, in reverse order of
 * the registrations. It is a finalizer of the scope, so it may run steps, which are journaled, too.
 *
 * No success is lost: an attempt that executes is finished before the run is interrupted, so give a long one a
 * `timeout`. Everything else can be cancelled while it waits: delays between attempts, `Effect.sleep`, signals and
 * children; but not fibers that it forks. `Effect.acquireRelease` cannot be cancelled: `cancel` and `timeout` would
 * wait for all retries.
 *
 * @since 0.2.0
 * @category compensation
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 * import * as Step from "perdure/Step"
 *
 * declare const charge: Effect.Effect<string>
 * declare const refund: (id: string) => Effect.Effect<void>
 *
 * const paid = Step.run("charge", charge, { success: Schema.String, timeout: "1 minute" }).pipe(
 *   Step.withCompensation((id) => Step.run("refund", refund(id)))
 * )
 * ```
 */
export const withCompensation: {
  <A, X, R2>(
    compensate: (value: A, exit: Exit.Exit<unknown, unknown>) => Effect.Effect<X, never, R2>
  ): <E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R | R2 | Scope.Scope>
  <A, E, R, X, R2>(
    self: Effect.Effect<A, E, R>,
    compensate: (value: A, exit: Exit.Exit<unknown, unknown>) => Effect.Effect<X, never, R2>
  ): Effect.Effect<A, E, R | R2 | Scope.Scope>
} = dual(
  2,
  <A, E, R, X, R2>(
    self: Effect.Effect<A, E, R>,
    compensate: (value: A, exit: Exit.Exit<unknown, unknown>) => Effect.Effect<X, never, R2>
  ): Effect.Effect<A, E, R | R2 | Scope.Scope> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.tap(
        Effect.locally(self, restoreWaits, restore),
        (value) => Effect.addFinalizer((exit) => Exit.isFailure(exit) ? compensate(value, exit) : Effect.void)
      )
    )
)
