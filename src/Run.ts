/**
 * A handle on one run: wait for its result, ask how it is, cancel or end it.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Exit from "effect/Exit"
import type { Inspectable } from "effect/Inspectable"
import * as Option from "effect/Option"
import type { Pipeable } from "effect/Pipeable"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as Types from "effect/Types"
import type { CurrentRunInfo } from "./CurrentRun.js"
import { insideOrOutside, outsideOnly } from "./CurrentRun.js"
import type {
  ForkInvalid,
  JournalError,
  NotRetryable,
  ResultError,
  UnknownQueue,
  ValueInvalid,
  WaitInVain
} from "./Errors.js"
import { Misuse, NoSuchRun, RunEnded, ValueUnreadable } from "./Errors.js"
import type { ExitCodec } from "./internal/codec/exits.js"
import { cancelContent } from "./internal/codec/messages.js"
import { describeDefect, decodeExit, fromEncoded } from "./internal/codec/exits.js"
import type { SentContent } from "./internal/machine/Op.js"
import { forkRun, retryRun } from "./internal/runs/forking.js"
import { refusal, refuse, requestProblem } from "./internal/options/requests.js"
import { covariant, makeValue } from "./internal/util/value.js"
import { firstEntry, waitProblem, waitUntil } from "./internal/runs/waiting.js"
import type { JournalService } from "./Journal.js"
import type * as RunQueue from "./RunQueue.js"
import { Journal } from "./Journal.js"
import {
  type Control,
  type Disposition,
  type Ending,
  FinalStatus,
  type HistoryEntry,
  isFinal,
  type RunRecord
} from "./driver/JournalDriver.js"
import type { Published } from "./Published.js"

/**
 * Who asks for something, and why: kept in the run's history.
 *
 * @since 0.1.0
 * @category models
 */
export interface Request {
  readonly by?: string
  readonly reason?: string
}

/**
 * Where a fork begins to differ from its source, and where it waits.
 *
 * @since 0.1.0
 * @category models
 */
export interface ForkOptions extends Request {
  /** The `seq` of the first entry that is not taken over: from the journal's first `seq` (none is) to its next (all are). */
  readonly from: number
  /** The new run's id: asked for twice, it is one fork. Default: a new one. */
  readonly id?: string
  /** Default: the source's. */
  readonly queue?: RunQueue.Ref
  /** Default: the source's. */
  readonly priority?: number
}

/**
 * From where a run is retried, and where the new run waits.
 *
 * @since 0.1.0
 * @category models
 */
export interface RetryOptions extends Request {
  /**
   * - `failure` (default): from its last failure, a step's, a child's or a defect of its own, if no step has succeeded since;
   *   without one, and for runs that were ended from outside, from the end of its journal.
   * - `start`: from the beginning; all steps run again.
   * - a `seq`: from that entry.
   */
  readonly from?: "failure" | "start" | number
  /** Default: the run's. */
  readonly queue?: RunQueue.Ref
  /** Default: the run's. */
  readonly priority?: number
}

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
 * Inside a workflow, `result` (of a child) and `cancel` are durable. All else asks storage at once, which no replay could
 * repeat, and so dies with `Misuse` there: call it outside of workflows, or in a step.
 *
 * @since 0.1.0
 * @category models
 */
export interface Run<out A, out E> extends Pipeable, Inspectable {
  readonly [TypeId]: { readonly _A: Types.Covariant<A>; readonly _E: Types.Covariant<E> }
  readonly id: string
  readonly workflow: string
  /**
   * Wait for the run's end, however long (use `Effect.timeout` for a limit). Outside of workflows the wait is woken by a
   * notification and backed by polling. Inside a workflow it is durable, and only for child runs. It may be waited for
   * again, and by several fibers.
   *
   * Fails with the workflow's own error, or `RunEnded` if the run was cancelled, terminated or died.
   */
  readonly result: Effect.Effect<A, E | ResultError>
  /** The run's exit if it has ended. Outside of workflows, and in steps. */
  readonly poll: Effect.Effect<Option.Option<Exit.Exit<A, E | ResultError>>, NoSuchRun | JournalError>
  /** All that is stored about the run. Outside of workflows, and in steps. */
  readonly record: Effect.Effect<RunRecord, NoSuchRun | JournalError>
  /**
   * The journal, entry by entry, with who wrote each. After `continueAsNew`, that of the present generation. Outside of
   * workflows, and in steps.
   */
  readonly history: Stream.Stream<HistoryEntry, JournalError>
  /**
   * Cancel durably. The next entry of the run is its interruption: running steps are aborted, finalizers run (their
   * steps are the compensation), and it ends as `cancelled`. A run that has not begun ends without running.
   *
   * Its attached children are cancelled, too: one that it waits for by `execute` as soon as that wait is interrupted, the
   * others with the commit by which the run ends. The run does not wait for their ends.
   *
   * False if it had ended or was cancelled before.
   */
  readonly cancel: (request?: Request) => Effect.Effect<boolean, NoSuchRun | ValueInvalid | JournalError>
  /**
   * End the run and its attached children at once; no finalizer runs. False if it had ended. Outside of workflows, and in
   * steps.
   */
  readonly terminate: (request?: Request) => Effect.Effect<boolean, ValueInvalid | JournalError>
  /**
   * Keep the run, and its attached children, from going on until `resume`. A run that a worker holds finishes the steps
   * that it is at first (`record.pausing` until then); no other step begins. Messages are kept for it, timers are not
   * lost. It can still be cancelled, which lifts the pause, and terminated. False if it was paused, cancelled or at its end
   * before. Outside of workflows, and in steps.
   */
  readonly pause: (request?: Request) => Effect.Effect<boolean, ValueInvalid | JournalError>
  /**
   * Let a paused run, with its attached children, go on from where it was; or let a diverged run be tried again, by a worker
   * with mended code. False if it was neither. Outside of workflows, and in steps.
   */
  readonly resume: (request?: Request) => Effect.Effect<boolean, ValueInvalid | JournalError>
  /**
   * Try a run again that is `failed`, `exhausted`, `terminated` or `expired`: a new run takes its journal over up to where
   * it failed, and goes on from there. The new run's id follows from this one's (`x`, `x~1`, `x~2` …), so retrying twice
   * is retrying once: retry the retry to try again. A `singleton` of its workflow holds back starts, not retries: another
   * run of its key may be live beside it. Outside of workflows, and in steps.
   */
  readonly retry: (
    options?: RetryOptions
  ) => Effect.Effect<Run<A, E>, NoSuchRun | NotRetryable | ForkInvalid | ValueInvalid | UnknownQueue | JournalError>
  /**
   * A new run that takes this one's journal over up to an entry, and goes on by itself. This one is not touched, whatever
   * its state is. The fork has the same payload, random numbers and beginning of its clock; no parent and no idempotency
   * key; signals that it has not received by then are in its inbox; children that had not ended by then are started anew when
   * it waits for them. A `singleton` of its workflow does not hold it back, nor does it take the key. Outside of workflows,
   * and in steps.
   */
  readonly fork: (
    options: ForkOptions
  ) => Effect.Effect<Run<A, E>, NoSuchRun | ForkInvalid | ValueInvalid | UnknownQueue | JournalError>
  /** What was done to the run, by whom and why, in order of time. Outside of workflows, and in steps. */
  readonly controls: Effect.Effect<ReadonlyArray<Control>, JournalError>
}

/**
 * Whether a value is a handle on a run.
 *
 * @since 0.1.0
 * @category guards
 */
export const isRun = (u: unknown): u is Run<unknown, unknown> => Predicate.hasProperty(u, TypeId)

/** What a handle must know about the run's workflow. */
interface Definition {
  readonly name: string
  readonly exit: ExitCodec
}

const variance = { _A: covariant, _E: covariant }

const HISTORY_PAGE = 500

/**
 * @internal
 */
export const make = <A, E>(journal: JournalService, definition: Definition, id: string): Run<A, E> => {
  const settle = (ending: Ending): Effect.Effect<A, E | ResultError> => settleAs(definition, id, ending)

  const record = () =>
    Effect.flatMap(
      journal.get([id]),
      ([found]) => found === undefined ? Effect.fail(new NoSuchRun({ runId: id })) : Effect.succeed(found)
    )

  const requested = (request: Request | undefined) => ({
    runs: [id],
    by: request?.by ?? null,
    reason: request?.reason ?? null
  })

  const changed = (control: "pause" | "resume" | "terminate", request: Request | undefined) =>
    Effect.zipRight(
      refuse(`${control} of run ${id}`, requestProblem(request)),
      Effect.map(Effect.suspend(() => journal[control](requested(request))), (count) => count > 0)
    )

  return {
    ...makeValue({ _id: "perdure/Run", id, workflow: definition.name }),
    [TypeId]: variance,
    id,
    workflow: definition.name,
    result: insideOrOutside(
      (current) => childResult<A, E>(current, definition, id),
      () =>
        Effect.flatMap(
          Effect.suspend(() => journal.process.watch.ending(id, { known: held(journal, id) })),
          (ending): Effect.Effect<A, E | ResultError> =>
            ending === undefined ? Effect.fail(new NoSuchRun({ runId: id })) : settle(ending)
        )
    ),
    poll: outsideOnly("Run.poll", () =>
      Effect.flatMap(record(), ({ detail, exit, status }) =>
        isFinal(status)
          ? Effect.map(Effect.exit(settle({ status, exit, detail })), Option.some)
          : Effect.succeedNone)),
    record: outsideOnly("Run.record", record),
    history: Stream.paginateChunkEffect(
      0,
      (from) =>
        Effect.map(
          outsideOnly("Run.history", () => journal.history({ run: id, from, limit: HISTORY_PAGE })),
          (page) => {
            const last = page.at(-1)
            return [
              Chunk.fromIterable(page),
              last === undefined || page.length < HISTORY_PAGE ? Option.none() : Option.some(last.seq + 1)
            ] as const
          }
        )
    ),
    cancel: (request) => {
      const problem = requestProblem(request)
      if (problem !== undefined) return refusal(`cancel of run ${id}`, problem)
      return Effect.flatMap(
        insideOrOutside(
          (current) => sendFromRun(current, { to: id, id: "cancel", name: "cancel", content: cancelContent(request) }),
          () =>
            Effect.map(
              journal.cancel([{ run: id, by: request?.by, reason: request?.reason }]),
              ([disposition]) => disposition ?? "NoSuchRun"
            )
        ),
        (disposition) =>
          disposition === "NoSuchRun"
            ? Effect.fail(new NoSuchRun({ runId: id }))
            : Effect.succeed(disposition === "Delivered" || disposition === "Buffered")
      )
    },
    terminate: (request) => outsideOnly("Run.terminate", () => changed("terminate", request)),
    pause: (request) => outsideOnly("Run.pause", () => changed("pause", request)),
    resume: (request) => outsideOnly("Run.resume", () => changed("resume", request)),
    retry: (options) =>
      outsideOnly(
        "Run.retry",
        () => Effect.map(retryRun(journal, id, options), (made) => make<A, E>(journal, definition, made))
      ),
    fork: (options) =>
      outsideOnly(
        "Run.fork",
        () => Effect.map(forkRun(journal, id, options), (made) => make<A, E>(journal, definition, made))
      ),
    controls: outsideOnly("Run.controls", () => journal.controls(id))
  }
}

/**
 * Something that happens in a run while it goes on: a step of that name has an exit, whatever it is; a signal of that name
 * has been received; a published value is there, and is as wanted.
 *
 * @since 0.1.0
 * @category waiting
 */
export type Moment =
  | { readonly step: string }
  | { readonly signal: string }

/**
 * @since 0.1.0
 * @category waiting
 */
export interface PublishedMoment<S extends Schema.Schema.AnyNoContext> {
  readonly published: Published<S>
  /** Whether a value ends the wait. Default: any value does. */
  readonly until?: (value: S["Type"]) => boolean
}

/**
 * Why something is not waited for any more, or never was.
 *
 * @since 0.1.0
 * @category waiting
 */
export type WaitError = WaitInVain | ValueInvalid | ValueUnreadable | NoSuchRun | JournalError

/**
 * Wait for something that happens in a run, or has happened, and give it: the first entry of its journal that is meant (of
 * the present generation), or the published value. Use `Effect.timeout` for a limit. Outside of workflows, and in steps.
 *
 * What workers of this process do is seen at once, as are published values of any; steps and signals of other processes
 * at the next poll of the journal (`pollInterval`).
 *
 * Fails with `WaitInVain` if the run ends first, and with `ValueInvalid` if what is waited for is none of these.
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
    run: string | { readonly id: string },
    moment: PublishedMoment<S>
  ): Effect.Effect<S["Type"], WaitError, Journal>
  (run: string | { readonly id: string }, moment: Moment): Effect.Effect<HistoryEntry, WaitError, Journal>
} = <S extends Schema.Schema.AnyNoContext>(
  run: string | { readonly id: string },
  moment: Moment | PublishedMoment<S>
): Effect.Effect<S["Type"] & HistoryEntry, WaitError, Journal> =>
  outsideOnly("Run.waitFor", () =>
    Effect.gen(function*() {
      yield* refuse("what Run.waitFor is given", waitProblem(run, moment))
      const journal = yield* Journal
      const id = typeof run === "string" ? run : run.id
      const entry = (what: string, isMeant: (entry: HistoryEntry) => boolean) =>
        waitUntil(journal, id, what, firstEntry(journal, id, isMeant))
      const found: S["Type"] | HistoryEntry = "published" in moment
        ? yield* waitUntil(
          journal,
          id,
          `published value ${moment.published.key}`,
          Effect.map(moment.published.get(id), Option.filter(moment.until ?? (() => true)))
        )
        : "step" in moment
        ? yield* entry(`step ${moment.step}`, ({ kind, name }) => kind === "step" && name === moment.step)
        : yield* entry(
          `signal ${moment.signal}`,
          ({ exit, kind, name }) => kind === "receive" && name === moment.signal && exit.kind === "success"
        )
      // Which of both it is follows from the moment; the overloads say so.
      return found as S["Type"] & HistoryEntry
    }))

/** Whether a worker of this process holds the run, so that its end will be known without asking storage. */
const held = (journal: JournalService, id: string): boolean => {
  for (const worker of journal.process.workers) if (worker.holds(id)) return true
  return false
}

const settleAs = <A, E>(definition: Definition, runId: string, ending: Ending): Effect.Effect<A, E | ResultError> => {
  const ended = (status: RunEnded["status"], detail: string) =>
    Effect.fail(new RunEnded({ runId, workflow: definition.name, status, detail }))
  const { exit, status } = ending
  if (status === "completed" || status === "failed") {
    if (exit === null) return ended("failed", "no exit is stored")
    if (exit.kind === "defect") return ended("failed", describeDefect(fromEncoded(exit).data))
    return Either.match(decodeExit(definition.exit, exit), {
      onLeft: (detail) => Effect.fail(new ValueUnreadable({ what: `result of run ${runId}`, detail })),
      // The codec has checked the value against the workflow's schemas, whose types these are.
      onRight: (effect) => effect as Effect.Effect<A, E | ResultError>
    })
  }
  return ended(status, ending.detail ?? "")
}

/** Wait durably for a child of the current run. */
const childResult = <A, E>(
  current: CurrentRunInfo,
  definition: Definition,
  id: string
): Effect.Effect<A, E | ResultError> => {
  const token = current.machine.tokenOfChild(id)
  return token === undefined
    ? Effect.die(
      new Misuse({
        detail: `run ${id} is not a child that this generation of run ${current.id} started: ` +
          `wait for it inside a Step, or start it here`
      })
    )
    : awaitChild<A, E>(current, definition, { id, token, cancels: false })
}

/**
 * Wait durably for a child's end.
 *
 * @internal
 */
export const awaitChild = <A, E>(
  current: CurrentRunInfo,
  definition: Definition,
  child: { readonly id: string; readonly token: string; readonly cancels: boolean }
): Effect.Effect<A, E | ResultError> =>
  current.machine.requestOnce<A, E | ResultError>({ _tag: "Child", ...child }, definition.name, (exit) =>
    // The entry's success value is the whole ending: the child's status decides what it means here.
    Either.flatMap(readEnding(exit.data), (ending) =>
      ending.run === child.id
        ? Either.right(settleAs<A, E>(definition, child.id, ending))
        : Either.left(
          `run ${ending.run} has ended here, and the program waits for run ${child.id} of ${definition.name}: ` +
            `the child that it starts at this place has changed`
        )))

/** How a child's end arrives: as the message that storage, or the child's last commit, wrote. */
const ChildEnding = Schema.Struct({
  run: Schema.String,
  status: FinalStatus,
  exit: Schema.NullOr(Schema.Struct({
    kind: Schema.Literal("success", "failure", "defect", "interrupt"),
    value: Schema.NullOr(Schema.String)
  })),
  detail: Schema.optionalWith(Schema.NullOr(Schema.String), { default: () => null })
})

const decodeEnding = Schema.decodeUnknownEither(ChildEnding)

const readEnding = (value: unknown): Either.Either<Ending & { readonly run: string }, string> =>
  Either.mapLeft(decodeEnding(value), (error) => error.message)

/**
 * Send a message from inside a run, with its commit; the entry holds what became of it.
 *
 * @internal
 */
export const sendFromRun = (
  current: CurrentRunInfo,
  message: {
    readonly to: string
    readonly id: string
    readonly name: string
    readonly content: SentContent
  }
): Effect.Effect<Disposition> => {
  const { name, ...data } = message
  return current.machine.request<Disposition, never>(
    { _tag: "Send", ...data },
    name,
    (exit) =>
      Either.mapBoth(decodeDisposition(exit.data), { onLeft: (error) => error.message, onRight: Effect.succeed })
  )
}

const decodeDisposition = Schema.decodeUnknownEither(
  Schema.Literal("Delivered", "Buffered", "Duplicate", "Expired", "NoSuchRun")
)
