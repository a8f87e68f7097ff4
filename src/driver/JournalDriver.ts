/**
 * The storage contract of Perdure: what a driver does with values that are already encoded.
 *
 * A driver sees ids, numbers, JSON text and instants. It never reads a payload. `JournalMemory` is the driver for
 * tests, and the oracle that other drivers are compared with. `@perdure/sql` is the driver for production. The suite
 * `@perdure/testing/JournalContract` proves each of these rules for a driver:
 *
 * 1. **Fencing.** A commit applies only if its run is `running` at the commit's epoch and the run's next sequence
 *    number is the commit's `from`. It is applied whole or not at all.
 * 2. **No lost wake-up, no lost control.** A commit that suspends the run or closes a signal window applies only if
 *    `seen` is the run's inbox sequence. So does one that finishes a cancelled run, and one that finishes a run to be
 *    paused does not apply: the holder releases that run. A delivery sets a suspended run's `availableAt` to now, and
 *    hints the holder of a running run; the answer of each commit tells the holder the same.
 * 3. **Exactly once out.** Children, messages and the message to the parent are part of the commit that causes them.
 * 4. **Lock order.** Every operation first locks all run rows that it changes, in order of id.
 * 5. **Driver time.** All comparisons use the driver's clock, and every answer carries its `now`.
 * 6. **Bounded work.** Every sweep takes at most `limit` rows. Several workers can share it. An answer that lists
 *    values ends at `AnswerBounds`; the caller reads on.
 * 7. **Idempotence.** Repeating an operation whose answer was lost changes nothing and returns an equivalent answer.
 *
 * States and transitions (`availableAt` is when a `pending` or `suspended` run can be claimed):
 *
 * ```text
 *   from                  by                              to
 *   ─                     enqueue                         pending (running, if the insert claims the run)
 *   pending, suspended    claim, at availableAt           running, next epoch
 *   running               commit: Suspend                 suspended (paused, if pausing)
 *   running               commit: Release; reconcile,
 *                         retire, reap                    pending (paused, if pausing)
 *   running               commit: Continue                running, next generation
 *   running               commit: Diverge                 diverged
 *   running               commit: Finish, unless pausing  completed | failed | cancelled
 *   running               reap at the limit of crashes    exhausted
 *   pending, suspended    pause                           paused
 *   running               pause                           running, pausing
 *   paused                resume; message: cancel         pending | suspended, as before the pause
 *   diverged              resume                          pending
 *   pending, paused       expire (never claimed)          expired
 *   any of the above      terminate                       terminated
 * ```
 *
 * `completed`, `failed`, `cancelled`, `terminated`, `expired` and `exhausted` are final: a run never leaves them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { JournalError } from "../Errors.js"
import type { Call, Json, Millis } from "./Answer.js"
import type { CommitResult, RunCommit } from "./Commit.js"
import type { ControlVerbs } from "./Control.js"
import type { HistoryEntry } from "./Entry.js"
import type { Hint } from "./Hint.js"
import type { MessageVerbs } from "./Message.js"
import type { QueueVerbs } from "./Queues.js"
import type { ClaimedRun, EnqueueResult, NewRun, RunRecord, RunStanding, UnreadableRun } from "./Run.js"
import type { ScheduleVerbs } from "./Schedules.js"
import type { SearchVerbs } from "./Search.js"
import type { LeaseKeeper, LeaseRequest, WorkerRef, WorkerVerbs } from "./Workers.js"

export type * from "./Answer.js"
export * from "./AnswerBounds.js"
export type * from "./Commit.js"
export type * from "./Control.js"
export type * from "./Entry.js"
export type * from "./Hint.js"
export type * from "./Message.js"
export type * from "./Queues.js"
export type * from "./Run.js"
export * from "./RunStatus.js"
export type * from "./Schedules.js"
export type * from "./Search.js"
export * from "./Workers.js"

/**
 * The verbs for runs: insert, claim, commit and read.
 *
 * @since 0.2.0
 * @category verbs
 */
export interface RunVerbs {
  /**
   * Inserts runs. Idempotent by run id and by workflow and idempotency key, also within one request. Results are in the
   * order of the request.
   *
   * With `claim`, the insert also claims the first `capacity` new runs that are available now: they are `running` at
   * epoch 1, and that worker holds them. It claims nothing if the caller is in a transaction, or if a run has a
   * `singleton`.
   * Runs with a `singleton` are first looked up like other runs, then by workflow and singleton key.
   */
  readonly enqueue: (request: {
    readonly runs: ReadonlyArray<NewRun>
    readonly claim: { readonly worker: WorkerRef; readonly capacity: number } | null
  }) => Call<ReadonlyArray<EnqueueResult>>

  /**
   * Claims up to `limit` available runs of the given workflows and queues, within the limits of the queues
   * (`QueueVerbs`). A worker without a valid lease gets none. Runs past their deadline are not claimed.
   *
   * Order: the priority of the queue, then of the run. Equal priorities take one run from each queue in rotation, in
   * the order of the request; within a queue by readiness or key order, then by id. `hot` has the runs whose machines
   * the worker keeps in memory, with their next sequence number.
   *
   * `nextDue` is the instant at which the next run becomes available (null for none). `more`: there may be more
   * claimable runs, because another claim has locked their queue, or the claim has reached its bound of work.
   * `limited`: runs are due that wait for the end of others. `unreadable`: claimed runs that the driver cannot read,
   * absent for none; the other runs of the claim are not affected.
   */
  readonly claim: (request: {
    readonly worker: WorkerRef
    readonly workflows: ReadonlyArray<{ readonly name: string; readonly version: string }>
    readonly queues: ReadonlyArray<string>
    readonly limit: number
    readonly hot: ReadonlyMap<string, number>
  }) => Call<{
    readonly runs: ReadonlyArray<ClaimedRun>
    readonly nextDue: Millis | null
    readonly more: boolean
    readonly limited: boolean
    readonly unreadable?: ReadonlyArray<UnreadableRun>
  }>

  /**
   * Applies the commits of many runs in one statement, each commit whole or not at all. Results are in the order of the
   * request. Outside of a transaction, a row that another transaction keeps locked delays only the commits that touch
   * it: they are `Locked`.
   */
  readonly commit: (request: {
    readonly worker: WorkerRef
    readonly commits: ReadonlyArray<RunCommit>
  }) => Call<ReadonlyArray<CommitResult>>

  /** Reads runs by id. Ids of runs that do not exist are left out. */
  readonly get: (runs: ReadonlyArray<string>) => Call<ReadonlyArray<RunRecord>>

  /**
   * Reads how runs stand, with the exits of final runs up to `AnswerBounds`, and requests a `Changed` hint for when a
   * live run ends or publishes a value. Never waits for another transaction: it requests no hint for a run that is
   * locked.
   */
  readonly await: (runs: ReadonlyArray<string>) => Call<ReadonlyArray<RunStanding>>

  /**
   * Reads a page of a run's journal, in order, from the entry `from` on, at most `limit` entries and up to
   * `AnswerBounds` (`isLastPage`).
   */
  readonly history: (
    request: { readonly run: string; readonly from: number; readonly limit: number }
  ) => Call<ReadonlyArray<HistoryEntry>>

  /** Reads the published values of a run, by key. `version` counts the publications of the key. */
  readonly published: (run: string) => Call<
    ReadonlyArray<{ readonly key: string; readonly value: Json; readonly version: number; readonly at: Millis }>
  >

  /** Publishes a value of a run on its behalf. False, with nothing stored, if the run is final or does not exist. */
  readonly publish: (request: { readonly run: string; readonly key: string; readonly value: Json }) => Call<boolean>
}

/**
 * A storage driver.
 *
 * @since 0.1.0
 * @category models
 */
export interface JournalDriver
  extends RunVerbs, MessageVerbs, ControlVerbs, SearchVerbs, QueueVerbs, ScheduleVerbs, WorkerVerbs
{
  /**
   * Executes an effect in one storage transaction, which the verbs in it join. It is rolled back unless the effect
   * succeeds. Fails with a `JournalError` if the transaction cannot be committed, with code `OutcomeUnknown` if it may
   * be committed.
   */
  readonly transaction: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | JournalError, R>

  /**
   * Whether the caller is in a transaction, of this driver or of its own on the same storage, which may still be rolled
   * back. Does not access storage.
   */
  readonly inTransaction: Effect.Effect<boolean>

  /**
   * Keeps the lease of a worker while the event loop of this process is busy, until the scope closes. Only drivers have
   * it whose storage can be reached without the event loop. Heartbeats alone are correct.
   */
  readonly keepLease?: (request: LeaseRequest) => Effect.Effect<LeaseKeeper, never, Scope.Scope>

  /** Hints from this process and from others. A subscriber receives the hints that are sent while it is subscribed. */
  readonly hints: Stream.Stream<Hint>
}

/**
 * @since 0.1.0
 * @category tags
 */
export const JournalDriver = Context.GenericTag<JournalDriver>("perdure/JournalDriver")
