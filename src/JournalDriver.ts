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
 *   any state that is not final ── terminate ──► terminated; reap beyond the crash ceiling ──► exhausted
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { JournalError } from "./Errors.js"

/**
 * JSON text. A driver stores it and gives back the same text.
 *
 * @since 0.1.0
 */
export type Json = string

/**
 * An instant of the driver's clock: milliseconds since the Unix epoch. `Infinity` means never.
 *
 * @since 0.1.0
 */
export type Millis = number

/**
 * The states of a run.
 *
 * @since 0.1.0
 */
export type RunStatus =
  | "pending"
  | "running"
  | "suspended"
  | "paused"
  | "completed"
  | "failed"
  | "cancelled"
  | "terminated"
  | "expired"
  | "exhausted"
  | "diverged"

/**
 * The states that a run never leaves.
 *
 * @since 0.1.0
 */
export type FinalStatus = "completed" | "failed" | "cancelled" | "terminated" | "expired" | "exhausted"

/**
 * How an op or a run ended. `value` is the encoded success, failure or defect; null for `interrupt` and for void.
 *
 * @since 0.1.0
 */
export interface EncodedExit {
  readonly kind: "success" | "failure" | "defect" | "interrupt"
  readonly value: Json | null
}

/**
 * One finished op of a run: a row of its journal. Entries of one run have consecutive `seq`.
 *
 * @since 0.1.0
 */
export interface Entry {
  readonly seq: number
  /** The op that it finishes, numbered by request order within a generation; -1 for entries of the run itself. */
  readonly op: number
  readonly kind: string
  readonly name: string
  readonly exit: EncodedExit
  readonly at: Millis
}

/**
 * Who a run reports its end to. `token` is opaque: it becomes the `name` of the message of kind `child`.
 *
 * @since 0.1.0
 */
export interface ParentLink {
  readonly id: string
  readonly token: string
  /** Attached children end with their parent: terminating a run terminates its attached descendants. */
  readonly attached: boolean
}

/**
 * A run to be inserted.
 *
 * @since 0.1.0
 */
export interface NewRun {
  readonly id: string
  readonly workflow: string
  readonly version: string
  readonly queue: string
  /** Lower is claimed first. */
  readonly priority: number
  readonly payload: Json
  /** Unique within the workflow; null for none. */
  readonly idempotencyKey: string | null
  /** Earliest instant of the first claim; null for now. */
  readonly availableAt: Millis | null
  readonly parent: ParentLink | null
  /** The topmost ancestor's id (its own id for a run without parent). */
  readonly root: string
  /** 0 for a run without parent. */
  readonly depth: number
}

/**
 * A worker process. `incarnation` is new with every start of the process, so that two of one id are told apart.
 *
 * @since 0.1.0
 */
export interface WorkerRef {
  readonly id: string
  readonly incarnation: string
}

/**
 * What became of one new run. Answers are in the order of the request.
 *
 * @since 0.1.0
 */
export type Enqueued =
  /** `epoch` is the claim's epoch if the insert claimed the run for the given worker, else null. */
  | { readonly _tag: "Started"; readonly id: string; readonly epoch: number | null }
  /** The workflow already has a run of that idempotency key, or a run of that id exists. */
  | { readonly _tag: "Existing"; readonly id: string; readonly payload: Json; readonly status: RunStatus }

/**
 * A message in a run's inbox. `ordinal` grows within a run, with gaps allowed.
 *
 * @since 0.1.0
 */
export interface Message {
  readonly run: string
  readonly ordinal: number
  readonly kind: MessageKind
  readonly name: string
  readonly payload: Json
  readonly at: Millis
}

/**
 * - `signal`: `name` is the signal's, `payload` its encoded value.
 * - `child`: `name` is the parent link's token, `payload` is `{"run": id, "status": FinalStatus, "exit": EncodedExit | null}`.
 * - `callback`: `name` is the token's op, `payload` an encoded `EncodedExit`.
 * - `cancel`: `payload` is `{"by": string | null, "reason": string | null}`.
 * - `defect`: `payload` is an encoded defect: the run was seen to do what cannot be durable.
 *
 * @since 0.1.0
 */
export type MessageKind = "signal" | "child" | "callback" | "cancel" | "defect"

/**
 * A message to be delivered.
 *
 * @since 0.1.0
 */
export interface NewMessage {
  readonly to: string
  readonly kind: MessageKind
  readonly name: string
  /** A second message of the same id to the same run changes nothing (`Duplicate`). */
  readonly id: string
  readonly payload: Json
}

/**
 * What became of a message.
 *
 * - `Delivered`: stored; the run was suspended and waiting for a message of that kind and name (or `pending`, and the
 *   message is of kind `cancel`), and is now claimable.
 * - `Buffered`: stored; the run (pending, running, or waiting for something else) will find it.
 * - `Duplicate`: a message of that id is already in the run's inbox.
 * - `Expired`: the run is final, or has closed its window for that signal. Nothing is stored.
 * - `NoSuchRun`: nothing is stored.
 *
 * @since 0.1.0
 */
export type Disposition = "Delivered" | "Buffered" | "Duplicate" | "Expired" | "NoSuchRun"

/**
 * A run as it is given to the worker that claimed it.
 *
 * @since 0.1.0
 */
export interface ClaimedRun {
  readonly id: string
  readonly workflow: string
  readonly version: string
  readonly queue: string
  readonly priority: number
  readonly payload: Json
  readonly idempotencyKey: string | null
  readonly parent: ParentLink | null
  readonly root: string
  readonly depth: number
  /** The fencing number: one more than at the claim before. */
  readonly epoch: number
  /** 0, and one more with each `Continue`. */
  readonly generation: number
  /** The `seq` that the next entry must have. */
  readonly nextSeq: number
  readonly createdAt: Millis
  /** When this generation was first claimed (or continued into): the first "now" of its clock. */
  readonly startedAt: Millis
  /** The inbox sequence that `inbox` is complete up to. */
  readonly seen: number
  /** Times in a row that a worker died (or its lease ran out) holding this run, without a commit between. */
  readonly crashes: number
  /** Entries of this generation in order. Left empty for runs that the worker said it holds at the same `nextSeq`. */
  readonly journal: ReadonlyArray<Entry>
  /** Unconsumed messages, in order. */
  readonly inbox: ReadonlyArray<Message>
}

/**
 * How a commit changes its run's state; null in a commit that leaves it `running`.
 *
 * @since 0.1.0
 */
export type Transition =
  /** Claimable again at `until` (`Infinity`: only a message wakes it). `waiting` are the awaited `kind:name`s. */
  | { readonly _tag: "Suspend"; readonly until: Millis; readonly waiting: ReadonlyArray<string> }
  /** The end. The parent, if there is one, is told by a message of kind `child` that the driver makes. */
  | { readonly _tag: "Finish"; readonly status: "completed" | "failed" | "cancelled"; readonly exit: EncodedExit }
  /**
   * A new generation with this payload, still `running` at the same epoch: entries of the old one are deleted, as are
   * its consumed messages and unconsumed ones of kind `child`, `callback` and `defect`; `seq` goes on counting; closed windows
   * open again; `startedAt` becomes `at`.
   */
  | { readonly _tag: "Continue"; readonly payload: Json; readonly at: Millis }
  /** Parked until `resume`; `detail` says what the program and the journal disagree about. */
  | { readonly _tag: "Diverge"; readonly detail: Json }
  /** Handed back: `pending`, claimable at `at`. */
  | { readonly _tag: "Release"; readonly at: Millis }

/**
 * All that one run wants written since its last commit, as one atomic value.
 *
 * @since 0.1.0
 */
export interface RunCommit {
  readonly run: string
  readonly epoch: number
  /** The `seq` of the first entry; the run's next sequence number even when there are no entries. */
  readonly from: number
  readonly entries: ReadonlyArray<Entry>
  /** Ordinals of inbox messages that became entries. */
  readonly consumed: ReadonlyArray<number>
  readonly children: ReadonlyArray<NewRun>
  readonly messages: ReadonlyArray<NewMessage>
  readonly published: ReadonlyArray<{ readonly key: string; readonly value: Json }>
  /** Signals whose window closes: later deliveries of that name answer `Expired`. */
  readonly closes: ReadonlyArray<string>
  /** The highest inbox sequence that the worker has read. */
  readonly seen: number
  readonly transition: Transition | null
}

/**
 * What became of one commit. Answers are in the order of the request.
 *
 * @since 0.1.0
 */
export type Committed =
  /** `dispositions` in the order of the commit's `messages`. */
  | { readonly _tag: "Applied"; readonly dispositions: ReadonlyArray<Disposition> }
  /** The run is not held at this epoch any more, or is at another sequence number: drop the machine. */
  | { readonly _tag: "Lost" }
  /** Rule 2: messages came meanwhile. Nothing was written; read the inbox, then commit again. */
  | { readonly _tag: "Unseen" }

/**
 * A run as it is shown to people.
 *
 * @since 0.1.0
 */
export interface RunRecord {
  readonly id: string
  readonly workflow: string
  readonly version: string
  readonly status: RunStatus
  readonly queue: string
  readonly priority: number
  readonly payload: Json
  readonly idempotencyKey: string | null
  readonly parent: ParentLink | null
  readonly root: string
  readonly depth: number
  readonly epoch: number
  readonly generation: number
  readonly nextSeq: number
  readonly crashes: number
  readonly createdAt: Millis
  readonly startedAt: Millis | null
  readonly finishedAt: Millis | null
  readonly availableAt: Millis
  /** The worker that holds it. */
  readonly worker: string | null
  /** Set in final states except `terminated`, `expired` and `exhausted`, which have none. */
  readonly exit: EncodedExit | null
  /** What a diverged, exhausted or terminated run has to say for itself. */
  readonly detail: Json | null
}

/**
 * An entry with who wrote it, as shown in a run's history.
 *
 * @since 0.1.0
 */
export interface HistoryEntry extends Entry {
  readonly worker: string
  readonly epoch: number
}

/**
 * A hint that something may have changed. Hints may be lost or repeated: polling alone is correct.
 *
 * @since 0.1.0
 */
export type Hint =
  /** Some run of this queue may be claimable. */
  | { readonly _tag: "Ready"; readonly queue: string }
  /** A message came for a run that this worker holds. */
  | { readonly _tag: "Inbox"; readonly worker: string; readonly run: string }
  /** A run on which somebody called `await` is final, or published a value. */
  | { readonly _tag: "Changed"; readonly run: string }

/**
 * Every answer tells the driver's time.
 *
 * @since 0.1.0
 */
export interface Answer<A> {
  readonly now: Millis
  readonly value: A
}

type Op<A> = Effect.Effect<Answer<A>, JournalError>

/**
 * A storage driver.
 *
 * @since 0.1.0
 */
export interface JournalDriver {
  /**
   * Insert runs; idempotent by run id and by (workflow, idempotency key), also within one request. With `claim`, the
   * first `slots` new runs that are available now are inserted already `running`, epoch 1, held by that worker, unless the caller is
   * inside a transaction of its own.
   */
  readonly enqueue: (request: {
    readonly runs: ReadonlyArray<NewRun>
    readonly claim: { readonly worker: WorkerRef; readonly slots: number } | null
  }) => Op<ReadonlyArray<Enqueued>>

  /**
   * Take up to `limit` runs that are available, of the given workflows and queues, in order of priority, then
   * readiness, then id; none for a worker whose lease has run out. `held` are the runs whose machines the worker keeps hot. `nextDue` is when the next run that
   * was not yet available will be (null if none).
   */
  readonly claim: (request: {
    readonly worker: WorkerRef
    readonly workflows: ReadonlyArray<{ readonly name: string; readonly version: string }>
    readonly queues: ReadonlyArray<string>
    readonly limit: number
    readonly held: ReadonlyMap<string, number>
  }) => Op<{ readonly runs: ReadonlyArray<ClaimedRun>; readonly nextDue: Millis | null }>

  /** Apply many runs' commits at once, each by itself whole or not at all; one statement. */
  readonly commit: (request: {
    readonly worker: WorkerRef
    readonly commits: ReadonlyArray<RunCommit>
  }) => Op<ReadonlyArray<Committed>>

  /** Put messages into inboxes and wake their runs. Answers are in the order of the request. */
  readonly deliver: (messages: ReadonlyArray<NewMessage>) => Op<ReadonlyArray<Disposition>>

  /** Unconsumed messages beyond `after`, and the inbox sequence that they are complete up to. Unknown runs are left out. */
  readonly inbox: (
    requests: ReadonlyArray<{ readonly run: string; readonly after: number }>
  ) => Op<ReadonlyArray<{ readonly run: string; readonly seen: number; readonly messages: ReadonlyArray<Message> }>>

  /**
   * Register a worker or renew its lease. `Taken`: another incarnation of that id holds a lease that has not run out.
   * `lapsed`: the lease had run out before this beat, so runs may have been given to others.
   */
  readonly heartbeat: (request: {
    readonly worker: WorkerRef
    readonly leaseMillis: number
  }) => Op<{ readonly _tag: "Held"; readonly lapsed: boolean } | { readonly _tag: "Taken" }>

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

  /** End a run and its attached descendants at once, without finalizers. False if it was final already or unknown. */
  readonly terminate: (request: { readonly run: string; readonly detail: Json }) => Op<boolean>

  /** Make diverged runs claimable again. Answers how many were. */
  readonly resume: (runs: ReadonlyArray<string>) => Op<number>

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

  /**
   * Run an effect in one storage transaction in which this driver's operations join; rolled back unless it succeeds.
   * A failure to commit is a `JournalError` (with code `OutcomeUnknown` when it may have been committed).
   */
  readonly transaction: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | JournalError, R>

  /** Hints from this process and from others. Hints are only seen by those who already run the stream. */
  readonly hints: Stream.Stream<Hint>
}

/**
 * @since 0.1.0
 * @category tags
 */
export const JournalDriver = Context.GenericTag<JournalDriver>("perdure/JournalDriver")
