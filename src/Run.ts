/**
 * A handle on one run: wait for its result, read its state, and control it.
 *
 * Controls are requests to storage. The worker that holds the run carries them out: `Execution.nextEntry` turns a
 * cancel into an entry, `Machine.interrupt` interrupts the program, and `Hold.startWork` starts no step of a run that
 * is to be paused.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import type { Inspectable } from "effect/Inspectable"
import * as Option from "effect/Option"
import type { Pipeable } from "effect/Pipeable"
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as Types from "effect/Types"
import { insideOrOutside, outsideOnly } from "./CurrentRun.js"
import { type Control, type HistoryEntry, isFinal, isLastPage, type RunRecord } from "./driver/JournalDriver.js"
import type {
  ForkInvalid,
  JournalError,
  NotRetryable,
  ResultError,
  UnknownQueue,
  ValueInvalid,
  ValueUnreadable,
  RunEndedEarly
} from "./Errors.js"
import { NoSuchRun } from "./Errors.js"
import { cancelContent } from "./internal/codec/messages.js"
import type * as Attributions from "./internal/options/Attribution.js"
import { attribution } from "./internal/options/Attribution.js"
import type * as Forks from "./internal/options/forkOptions.js"
import { moment as momentRule, runReference } from "./internal/options/moments.js"
import { requireArguments } from "./internal/options/policy.js"
import { optional } from "./internal/options/Rule.js"
import { currentAttempt } from "./internal/runs/attempts.js"
import { childResult } from "./internal/runs/children.js"
import type { RunReader } from "./internal/runs/ending.js"
import { readEnding } from "./internal/runs/ending.js"
import { forkRun, retryRun } from "./internal/runs/forking.js"
import { sendFromRun } from "./internal/runs/outgoing.js"
import { firstEntry, waitUntil } from "./internal/runs/waiting.js"
import { covariant, makeValue } from "./internal/util/value.js"
import type { JournalService } from "./Journal.js"
import { Journal } from "./Journal.js"
import type { Published } from "./Published.js"

/**
 * Who asks for a change, and why: stored with the change.
 *
 * @since 0.2.0
 * @category models
 */
export interface Attribution extends Attributions.Attribution {}

/**
 * Where a fork begins to differ from its source, and where it waits.
 *
 * @since 0.1.0
 * @category models
 */
export interface ForkOptions extends Forks.ForkOptions {}

/**
 * Where a retry begins, and where the new run waits.
 *
 * @since 0.1.0
 * @category models
 */
export interface RetryOptions extends Forks.RetryOptions {}

/**
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("perdure/Run")

/**
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * A run of a workflow with success `A` and failure `E`.
 *
 * Inside a workflow, `result` (of a child) and `cancel` are durable. Everything else asks storage at once, which no
 * replay could repeat, and dies with `Misuse` there: call it outside of workflows, or in a step. Wrong arguments die
 * with `Misuse`, too.
 *
 * @since 0.1.0
 * @category models
 */
export interface Run<out A, out E> extends Pipeable, Inspectable {
  readonly [TypeId]: { readonly _A: Types.Covariant<A>; readonly _E: Types.Covariant<E> }
  readonly id: string
  readonly workflow: string
  /**
   * Waits for the run's end, without a limit (use `Effect.timeout` for one). Outside of workflows, a notification ends
   * the wait, backed by polling. Inside a workflow the wait is durable, and only for child runs. Several fibers may
   * wait, and again.
   *
   * Fails with the workflow's own error, or with `RunEnded` if the run was cancelled, terminated or died.
   */
  readonly result: Effect.Effect<A, E | ResultError>
  /** The run's exit if it has ended. Outside of workflows, and in steps. */
  readonly poll: Effect.Effect<Option.Option<Exit.Exit<A, E | ResultError>>, NoSuchRun | JournalError>
  /** Everything that is stored about the run, its journal apart. Outside of workflows, and in steps. */
  readonly record: Effect.Effect<RunRecord, NoSuchRun | JournalError>
  /**
   * The journal, entry by entry, with the worker that wrote each. After `continueAsNew`, that of the present
   * generation. Outside of workflows, and in steps.
   */
  readonly history: Stream.Stream<HistoryEntry, JournalError>
  /**
   * Cancels durably. The next entry of the run is its interruption: steps that execute are aborted, finalizers run
   * (their steps are the compensation), and the run ends as `cancelled`. A run that has not started ends without
   * executing.
   *
   * Its attached children are cancelled, too: one that it waits for by `execute` as soon as that wait is interrupted,
   * the others with the commit that ends the run. The run does not wait for their ends.
   *
   * False if it had ended or was cancelled before.
   */
  readonly cancel: (attribution?: Attribution) => Effect.Effect<boolean, NoSuchRun | JournalError>
  /**
   * Ends the run and its attached children at once; no finalizer runs. False if it had ended. Outside of workflows, and
   * in steps.
   */
  readonly terminate: (attribution?: Attribution) => Effect.Effect<boolean, JournalError>
  /**
   * Pauses the run and its attached children until `resume`. A run that a worker holds first finishes the steps that
   * execute (`record.pausing` until then); no other step starts. Messages are kept, and timers are not lost. A paused
   * run can still be cancelled, which ends the pause, and terminated. False if it was paused, cancelled or ended
   * before. Outside of workflows, and in steps.
   */
  readonly pause: (attribution?: Attribution) => Effect.Effect<boolean, JournalError>
  /**
   * Lets a paused run, with its attached children, continue from where it was, or a diverged run try again, on a worker
   * with fixed code. False if it was neither. Outside of workflows, and in steps.
   */
  readonly resume: (attribution?: Attribution) => Effect.Effect<boolean, JournalError>
  /**
   * Retries a run that is `failed`, `exhausted`, `terminated` or `expired`: a new run copies its journal up to the
   * failure, and continues from there. The new run's id follows from this one's (`x`, `x~1`, `x~2` …), so two retries
   * of one run are one: retry the retry to try again, or say another place (`from`). The run keeps its idempotency key:
   * a start with that key, and `current`, return the newest attempt. A `singleton` of its workflow holds back starts,
   * not retries: another run of its key may execute at the same time. Outside of workflows, and in steps.
   */
  readonly retry: (
    options?: RetryOptions
  ) => Effect.Effect<Run<A, E>, NoSuchRun | NotRetryable | ForkInvalid | ValueInvalid | UnknownQueue | JournalError>
  /**
   * The newest attempt: the last retry of this run (or of the run that it retries), or this run if it was not retried.
   * Outside of workflows, and in steps.
   */
  readonly current: Effect.Effect<Run<A, E>, JournalError>
  /**
   * Makes a new run that copies this one's journal up to an entry and continues independently. This run is not changed,
   * and may be in any state. The fork has the same payload, random numbers and start of its clock; no parent and no
   * idempotency key. Signals that this run had not received by then are in its inbox; children that had not ended by
   * then start again when it waits for them. A `singleton` of its workflow does not hold it back, and it does not take
   * the key. Outside of workflows, and in steps.
   */
  readonly fork: (
    options: ForkOptions
  ) => Effect.Effect<Run<A, E>, NoSuchRun | ForkInvalid | ValueInvalid | UnknownQueue | JournalError>
  /** The controls of the run, with who asked for them and why, in order of time. Outside of workflows, and in steps. */
  readonly controls: Effect.Effect<ReadonlyArray<Control>, JournalError>
}

/**
 * Whether a value is a handle on a run.
 *
 * @since 0.1.0
 * @category guards
 */
export const isRun = (u: unknown): u is Run<unknown, unknown> => Predicate.hasProperty(u, TypeId)

const variance = { _A: covariant, _E: covariant }

const HISTORY_PAGE_SIZE = 500

const maybeAttribution = optional(attribution)

/**
 * @internal
 */
export const make = <A, E>(journal: JournalService, reader: RunReader, id: string): Run<A, E> => {
  const record = () =>
    Effect.flatMap(
      journal.get([id]),
      ([found]) => found === undefined ? Effect.fail(new NoSuchRun({ runId: id })) : Effect.succeed(found)
    )

  const requireAttribution = (operation: string, given: Attribution | undefined) =>
    requireArguments(`${operation} of run ${id}`, maybeAttribution.problems(given, ""))

  const control = (operation: "pause" | "resume" | "terminate") => (given?: Attribution) =>
    outsideOnly(`Run.${operation}`, () =>
      Effect.zipRight(
        requireAttribution(operation, given),
        Effect.map(
          Effect.suspend(() =>
            journal[operation]({ runs: [id], by: given?.by ?? null, reason: given?.reason ?? null })
          ),
          (count) => count > 0
        )
      ))

  return {
    ...makeValue({ _id: "perdure/Run", id, workflow: reader.name }),
    [TypeId]: variance,
    id,
    workflow: reader.name,
    result: insideOrOutside(
      (current) => childResult<A, E>(current, reader, id),
      () =>
        Effect.flatMap(
          Effect.suspend(() => journal.process.watch.ending(id, { known: isHeldHere(journal, id) })),
          (ending): Effect.Effect<A, E | ResultError> =>
            ending === undefined ? Effect.fail(new NoSuchRun({ runId: id })) : readEnding(reader, id, ending)
        )
    ),
    poll: outsideOnly("Run.poll", () =>
      Effect.flatMap(record(), ({ detail, exit, status }) =>
        isFinal(status)
          ? Effect.map(Effect.exit(readEnding<A, E>(reader, id, { status, exit, detail })), Option.some)
          : Effect.succeedNone)),
    record: outsideOnly("Run.record", record),
    history: Stream.paginateChunkEffect(
      0,
      (from) =>
        Effect.map(
          outsideOnly("Run.history", () => journal.history({ run: id, from, limit: HISTORY_PAGE_SIZE })),
          (page) => {
            const last = page.at(-1)
            return [
              Chunk.fromIterable(page),
              last === undefined || isLastPage(page, HISTORY_PAGE_SIZE) ? Option.none() : Option.some(last.seq + 1)
            ] as const
          }
        )
    ),
    cancel: (given) =>
      Effect.zipRight(
        requireAttribution("cancel", given),
        Effect.flatMap(
          insideOrOutside(
            (current) => sendFromRun(current, { to: id, id: "cancel", name: "cancel", content: cancelContent(given) }),
            () =>
              Effect.map(
                journal.cancel([{ run: id, by: given?.by, reason: given?.reason }]),
                ([disposition]) => disposition ?? "NoSuchRun"
              )
          ),
          (disposition) =>
            disposition === "NoSuchRun"
              ? Effect.fail(new NoSuchRun({ runId: id }))
              : Effect.succeed(disposition === "Delivered" || disposition === "Buffered")
        )
      ),
    terminate: control("terminate"),
    pause: control("pause"),
    resume: control("resume"),
    current: outsideOnly(
      "Run.current",
      () => Effect.map(currentAttempt(journal, id), (current) => make<A, E>(journal, reader, current))
    ),
    retry: (options) =>
      outsideOnly(
        "Run.retry",
        () => Effect.map(retryRun(journal, id, options), (made) => make<A, E>(journal, reader, made))
      ),
    fork: (options) =>
      outsideOnly(
        "Run.fork",
        () => Effect.map(forkRun(journal, id, options), (made) => make<A, E>(journal, reader, made))
      ),
    controls: outsideOnly("Run.controls", () => journal.controls(id))
  }
}

/** Whether a worker of this process holds the run, so that its end is known without asking storage. */
const isHeldHere = (journal: JournalService, id: string): boolean => {
  for (const worker of journal.process.workers) if (worker.holds(id)) return true
  return false
}

/**
 * A run, or its id.
 *
 * @since 0.2.0
 * @category waiting
 */
export type Reference = string | { readonly id: string }

/**
 * A moment of a run's journal: a step of this name has an exit, success or failure; or a signal of this name was
 * received.
 *
 * @since 0.1.0
 * @category waiting
 */
export type Moment =
  | { readonly step: string }
  | { readonly signal: string }

/**
 * The moment at which a published value is visible that `until` accepts.
 *
 * @since 0.1.0
 * @category waiting
 */
export interface PublishedMoment<S extends Schema.Schema.AnyNoContext> {
  readonly published: Published<S>
  /** Whether a value ends the wait. Default: any value does. */
  readonly until?: (value: S["Type"]) => boolean
}

/**
 * Why a wait ends without its moment.
 *
 * @since 0.1.0
 * @category waiting
 */
export type WaitError = RunEndedEarly | ValueUnreadable | NoSuchRun | JournalError

/**
 * Waits for a moment of a run, past or future. Returns the first entry of the journal that matches (of the present
 * generation), or the published value. Use `Effect.timeout` for a limit. Outside of workflows, and in steps.
 *
 * Commits of this process and published values are seen at once; steps and signals of other processes at the next poll
 * of the journal (`pollInterval`).
 *
 * Fails with `RunEndedEarly` if the run ends first. Dies with `Misuse` if the moment is not one of these.
 *
 * @since 0.1.0
 * @category waiting
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 * import * as Published from "perdure/Published"
 * import * as Run from "perdure/Run"
 *
 * const Progress = Published.make("progress", Schema.Number)
 *
 * const program = (run: Run.Run<void, never>) =>
 *   Effect.gen(function*() {
 *     const reserved = yield* Run.waitFor(run, { step: "reserve" })
 *     const half = yield* Run.waitFor(run, { published: Progress, until: (done) => done >= 0.5 })
 *     return [reserved.at, half]
 *   })
 * ```
 */
export const waitFor: {
  <S extends Schema.Schema.AnyNoContext>(
    moment: PublishedMoment<S>
  ): (run: Reference) => Effect.Effect<S["Type"], WaitError, Journal>
  (moment: Moment): (run: Reference) => Effect.Effect<HistoryEntry, WaitError, Journal>
  <S extends Schema.Schema.AnyNoContext>(
    run: Reference,
    moment: PublishedMoment<S>
  ): Effect.Effect<S["Type"], WaitError, Journal>
  (run: Reference, moment: Moment): Effect.Effect<HistoryEntry, WaitError, Journal>
} = dual(2, <S extends Schema.Schema.AnyNoContext>(
  run: Reference,
  moment: Moment | PublishedMoment<S>
): Effect.Effect<S["Type"] | HistoryEntry, WaitError, Journal> =>
  outsideOnly("Run.waitFor", () =>
    Effect.gen(function*() {
      yield* requireArguments("Run.waitFor", [
        ...runReference.problems(run, "run"),
        ...momentRule.problems(moment, "moment")
      ])
      const journal = yield* Journal
      const id = typeof run === "string" ? run : run.id
      const entry = (what: string, matches: (entry: HistoryEntry) => boolean) =>
        waitUntil(journal, id, what, firstEntry(journal, id, matches))
      if ("published" in moment) {
        const { published, until } = moment
        const value = Effect.map(published.get(id), Option.filter(until ?? (() => true)))
        return yield* waitUntil(journal, id, `published value ${published.key}`, value)
      }
      return "step" in moment
        ? yield* entry(`step ${moment.step}`, ({ kind, name }) => kind === "step" && name === moment.step)
        : yield* entry(
          `signal ${moment.signal}`,
          ({ exit, kind, name }) => kind === "receive" && name === moment.signal && exit.kind === "success"
        )
    })))
