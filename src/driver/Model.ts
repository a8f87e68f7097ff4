/**
 * The values that the core and its storage drivers speak in: runs, journals, messages, commits and their answers, all of
 * them encoded already. `JournalDriver` says what is done with them.
 *
 * @since 0.1.0
 */
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
 * Typed values that runs are found by.
 *
 * @since 0.1.0
 */
export type Attributes = Readonly<Record<string, string | number | boolean>>

/**
 * Of a workflow, one run at a time is live for a key: while that is not final, a start with the same key joins it.
 *
 * @since 0.1.0
 */
export interface Singleton {
  readonly key: string
  /**
   * Not null: a start is available when it has been `quiet` for so many milliseconds; until the run that has the key is
   * claimed first, another start replaces what it is to do (payload, priority, tags, attributes) and begins the time anew,
   * at most until `most` milliseconds after the run was made. When it was claimed, is to be cancelled, or is of another
   * queue, version or key of the queue, the start is a new run, which has the key from then on.
   */
  readonly debounce: { readonly quiet: number; readonly most: number | null } | null
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
  /** The key within its queue; null for none. Its first claim waits for the key's turn. */
  readonly key: string | null
  /** The run is `expired` unless its first claim comes before this instant; null for no deadline. */
  readonly expiresAt: Millis | null
  readonly tags: ReadonlyArray<string>
  /** What the run may be found by. */
  readonly attributes: Attributes
  /** Null: any number of runs at a time. Of children it is ignored. */
  readonly singleton: Singleton | null
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
  /** Nothing was started: this run is live for the key of its singleton, and does what is asked by now if it is debounced. */
  | { readonly _tag: "Joined"; readonly id: string }

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
 * What there is to read about a run that is held.
 *
 * @since 0.1.0
 */
export interface Inbox {
  readonly run: string
  /** The inbox sequence that `messages` is complete up to. */
  readonly seen: number
  /** Its holder is to write down what it is doing, so that it is paused. */
  readonly pausing: boolean
  readonly messages: ReadonlyArray<Message>
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
 * - `Delivered`: stored; the run was suspended and waiting for a message of that kind and name (or `pending` or `paused`,
 *   and the message is of kind `cancel`, which lifts the pause), and is now claimable.
 * - `Buffered`: stored; the run (pending, running, paused, or waiting for something else) will find it.
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
  readonly key: string | null
  /** What the run's random numbers follow from: its own id, or for a fork that of the run whose journal it began with. */
  readonly seed: string
  /** Entries with a `seq` below it were taken over from another run; 0 for none. */
  readonly inherited: number
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
  readonly key: string | null
  readonly expiresAt: Millis | null
  readonly tags: ReadonlyArray<string>
  readonly attributes: Attributes
  /** The run whose journal this one began with, and the `seq` of its first entry of its own; null if it is no fork. */
  readonly source: { readonly run: string; readonly seq: number } | null
  /** It is to be paused as soon as its holder has written down what it is doing. */
  readonly pausing: boolean
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
 * What is done to a run by whoever operates it.
 *
 * @since 0.1.0
 */
export type ControlAction = "pause" | "resume" | "cancel" | "terminate" | "retry" | "fork"

/**
 * One thing that was done to a run.
 *
 * @since 0.1.0
 */
export interface Control {
  readonly action: ControlAction
  readonly by: string | null
  readonly reason: string | null
  readonly at: Millis
  /**
   * The other run that it is about: for a descendant the run that was named; of `retry` and `fork` the new run, and for
   * the new run the one that it began with. Null for none.
   */
  readonly related: string | null
}

/**
 * A fork to be made.
 *
 * @since 0.1.0
 */
export interface ForkRequest {
  readonly source: string
  /** Entries before this one are taken over; from the source's first to its next. */
  readonly seq: number
  /** Of the new run. */
  readonly id: string
  /** Null: the source's. */
  readonly queue: string | null
  /** Null: the source's. */
  readonly priority: number | null
  readonly action: "retry" | "fork"
  readonly by: string | null
  readonly reason: string | null
}

/**
 * What became of a fork.
 *
 * @since 0.1.0
 */
export type Forked =
  | { readonly _tag: "Forked" }
  /** There is a run of that id; nothing was changed. */
  | { readonly _tag: "Existing" }
  /** The source is not there. */
  | { readonly _tag: "NoSuchRun" }
  /** `seq` must be from `first` to `next`. */
  | { readonly _tag: "OutOfRange"; readonly first: number; readonly next: number }

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
  /** Somebody asks whether this worker answers. */
  | { readonly _tag: "Ping"; readonly worker: string; readonly nonce: string }
  /** A schedule with these needs was changed: it may be due earlier than was known. */
  | { readonly _tag: "Scheduled"; readonly needs: string }

/**
 * Every answer tells the driver's time.
 *
 * @since 0.1.0
 */
export interface Answer<A> {
  readonly now: Millis
  readonly value: A
}
