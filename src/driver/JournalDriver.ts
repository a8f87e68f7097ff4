/**
 * The storage contract of Perdure: what a driver must do, over values that are already encoded.
 *
 * A driver sees ids, numbers, JSON text and instants (milliseconds since the Unix epoch), nothing else; it never
 * looks into a payload. `JournalMemory` is the driver for tests and the oracle; `@perdure/sql` is the real one.
 * The rules below hold for every driver, and `@perdure/testing` has a suite that proves each of them.
 *
 * 1. **Fencing.** A commit applies only if its run is `running` at the commit's epoch and the run's next sequence
 *    number is the commit's `from`. It is applied whole or not at all.
 * 2. **No lost wake-up.** A commit that suspends, or that closes a signal window, applies only if `seen` is the run's
 *    inbox sequence. A delivery moves a suspended run's `availableAt` to now, and hints the holder of a running one.
 * 3. **Exactly once out.** Children, messages and the wake-up of a parent are part of the commit that causes them.
 * 4. **Lock order.** Every operation first locks all run rows that it will touch, in order of id.
 * 5. **Driver time.** All comparisons use the driver's clock; every answer carries its `now`.
 * 6. **Bounded work.** Every sweep takes at most `limit` rows; several workers may share it.
 * 7. **Idempotence.** Repeating an operation whose answer was lost changes nothing and gives an equivalent answer.
 *
 * Life of a run, as a driver sees it (`availableAt` says when a `pending` or `suspended` run may be claimed):
 *
 * ```text
 *   enqueue ─► pending ──claim──► running ──commit: Suspend──► suspended ──due or delivered, claim──► running
 *                 ▲                  │ ├─ commit: Finish ─────► completed | failed | cancelled        (final)
 *                 │                  │ ├─ commit: Continue ───► running, next generation
 *                 │                  │ └─ commit: Diverge ────► diverged ──resume──► pending
 *                 └── commit: Release, or reap ──┘
 *   pending, suspended ◄──resume── paused ◄──pause── pending, suspended, or what Suspend, Release and reap make of a run
 *   any state that is not final ── terminate ──► terminated; reap beyond the crash ceiling ──► exhausted;
 *   not claimed before its deadline ── expire ──► expired
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { JournalError } from "../Errors.js"
import type { JournalControl } from "./Control.js"
import type { JournalFinding } from "./Finding.js"
import type {
  Answer,
  ClaimedRun,
  Committed,
  Disposition,
  Enqueued,
  Hint,
  HistoryEntry,
  Inbox,
  Json,
  Message,
  Millis,
  NewMessage,
  NewRun,
  RunCommit,
  RunRecord,
  WorkerRef
} from "./Model.js"
import type { JournalQueues } from "./Queues.js"
import type { JournalSchedules } from "./Schedules.js"
import type { JournalWorkers } from "./Workers.js"

export type * from "./Control.js"
export type * from "./Finding.js"
export type * from "./Model.js"
export type * from "./Queues.js"
export type * from "./Schedules.js"
export type * from "./Workers.js"

type Op<A> = Effect.Effect<Answer<A>, JournalError>

/**
 * A storage driver.
 *
 * @since 0.1.0
 */
export interface JournalDriver extends JournalControl, JournalFinding, JournalQueues, JournalSchedules, JournalWorkers {
  /**
   * Insert runs; idempotent by run id and by (workflow, idempotency key), also within one request. With `claim`, the
   * first `slots` new runs that are available now are inserted already `running`, epoch 1, held by that worker, unless the caller is
   * inside a transaction of its own or one of the runs has a `singleton`. Runs with one of those are looked up as all others
   * first, and then by (workflow, key of the singleton).
   */
  readonly enqueue: (request: {
    readonly runs: ReadonlyArray<NewRun>
    readonly claim: { readonly worker: WorkerRef; readonly slots: number } | null
  }) => Op<ReadonlyArray<Enqueued>>

  /**
   * Take up to `limit` runs that are available, of the given workflows and queues, as far as the queues' limits let them
   * (`JournalQueues`); none for a worker whose lease has run out, and none that is past its deadline. In order of the
   * queues' priority, then the runs'; of equals one from each queue in turn, the queues in the order of the request; within
   * a queue by readiness or turn, then id. `held` are the runs whose machines the worker keeps hot. `nextDue` is when the
   * next run that was not yet available will be (null if none). `more`: there may be runs that could be claimed now, but
   * somebody else was about to claim from their queue, or it would have been too much to look at. `limited`: there are runs
   * that are due and wait for others to end.
   */
  readonly claim: (request: {
    readonly worker: WorkerRef
    readonly workflows: ReadonlyArray<{ readonly name: string; readonly version: string }>
    readonly queues: ReadonlyArray<string>
    readonly limit: number
    readonly held: ReadonlyMap<string, number>
  }) => Op<{
    readonly runs: ReadonlyArray<ClaimedRun>
    readonly nextDue: Millis | null
    readonly more: boolean
    readonly limited: boolean
  }>

  /** Apply many runs' commits at once, each by itself whole or not at all; one statement. */
  readonly commit: (request: {
    readonly worker: WorkerRef
    readonly commits: ReadonlyArray<RunCommit>
  }) => Op<ReadonlyArray<Committed>>

  /** Put messages into inboxes and wake their runs. Answers are in the order of the request. */
  readonly deliver: (messages: ReadonlyArray<NewMessage>) => Op<ReadonlyArray<Disposition>>

  /**
   * Unconsumed messages beyond `after`, the inbox sequence that they are complete up to, and whether the run is to be paused.
   * Unknown runs are left out.
   */
  readonly inbox: (
    requests: ReadonlyArray<{ readonly run: string; readonly after: number }>
  ) => Op<ReadonlyArray<Inbox>>

  /**
   * Hand back (as `Release` does, crashes not counted) the runs that storage says this worker holds, that were claimed
   * before `claimedBefore`, and that are not in `held`: what a claim whose answer was lost leaves behind.
   */
  readonly reconcile: (request: {
    readonly worker: WorkerRef
    readonly held: ReadonlyArray<string>
    readonly claimedBefore: Millis
  }) => Op<{ readonly released: number }>

  /** Give up a worker's lease and hand back (as `Release` does, crashes not counted) all that it still holds. */
  readonly retire: (worker: WorkerRef) => Op<{ readonly released: number }>

  /**
   * Hand back up to `limit` runs of workers whose lease has run out: `pending`, available now, `crashes` one more; from
   * `maxCrashes` on `exhausted` (its parent is told).
   */
  readonly reap: (request: { readonly limit: number; readonly maxCrashes: number }) => Op<{
    readonly released: number
    readonly exhausted: number
  }>

  /** Read runs by id; unknown ids are left out. */
  readonly get: (runs: ReadonlyArray<string>) => Op<ReadonlyArray<RunRecord>>

  /** As `get`, and asks for a `Changed` hint when a run that is not final yet ends or publishes. */
  readonly await: (runs: ReadonlyArray<string>) => Op<ReadonlyArray<RunRecord>>

  /** The run of (workflow, idempotency key), if any. */
  readonly lookup: (request: { readonly workflow: string; readonly key: string }) => Op<RunRecord | null>

  /** A page of a run's journal, in order, from `from` on, at most `limit` entries. */
  readonly history: (request: { readonly run: string; readonly from: number; readonly limit: number }) => Op<
    ReadonlyArray<HistoryEntry>
  >

  /** All messages of a run's inbox from `after` on (read and unread), in order, at most `limit`. */
  readonly messages: (request: { readonly run: string; readonly after: number; readonly limit: number }) => Op<
    ReadonlyArray<Message & { readonly consumed: boolean }>
  >

  /** The published values of a run, by key. `version` counts the publications of that key. */
  readonly published: (run: string) => Op<
    ReadonlyArray<{ readonly key: string; readonly value: Json; readonly version: number; readonly at: Millis }>
  >

  /** Set a published value of a run from outside of it. False if it has ended or is unknown: nothing is stored. */
  readonly publish: (request: { readonly run: string; readonly key: string; readonly value: Json }) => Op<boolean>

  /**
   * Run an effect in one storage transaction in which this driver's operations join; rolled back unless it succeeds.
   * A failure to commit is a `JournalError` (with code `OutcomeUnknown` when it may have been committed).
   */
  readonly transaction: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | JournalError, R>

  /**
   * Whether the caller is inside a transaction, of this driver or of its own on the same storage: what it has done may yet be
   * undone. Asks storage nothing and waits for nobody.
   */
  readonly inTransaction: Effect.Effect<boolean>

  /** Hints from this process and from others. Hints are only seen by those who already run the stream. */
  readonly hints: Stream.Stream<Hint>
}

/**
 * @since 0.1.0
 * @category tags
 */
export const JournalDriver = Context.GenericTag<JournalDriver>("perdure/JournalDriver")
