/**
 * Runs as the core gives them to a driver, and as a driver returns them: to the worker that claims them, and to
 * readers.
 *
 * @since 0.1.0
 */
import type { Json, Millis } from "./Answer.js"
import type { EncodedExit, EndCause, Entry } from "./Entry.js"
import type { Message } from "./Message.js"
import type { RunStatus } from "./RunStatus.js"

/**
 * The parent of a run, which receives a message when the run ends. `token` is opaque to the driver: it is the `name` of
 * the message of kind `child`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ParentLink {
  readonly id: string
  readonly token: string
  /** Controls of the parent apply to attached children: when it is terminated, they are. */
  readonly attached: boolean
}

/**
 * Typed values by which a run can be found.
 *
 * @since 0.1.0
 * @category models
 */
export type Attributes = Readonly<Record<string, string | number | boolean>>

/**
 * A singleton key of a workflow. While a live run has the key, a start with the same key joins that run.
 *
 * @since 0.1.0
 * @category models
 */
export interface Singleton {
  readonly key: string
  /**
   * Null: a start with a taken key joins the live run and changes nothing.
   *
   * Otherwise the first claim of a run waits until `quietMillis` have passed without another start. Until that claim,
   * another start replaces the run's payload, priority, tags and attributes and restarts the wait, at most until
   * `maxWaitMillis` after the run was inserted (null: without limit). After the first claim, after a cancel, and if the
   * start names another queue, version or key of the queue, the start inserts a new run, which takes the key.
   */
  readonly debounce: { readonly quietMillis: Millis; readonly maxWaitMillis: Millis | null } | null
}

/**
 * A run to insert.
 *
 * @since 0.1.0
 * @category models
 */
export interface NewRun {
  readonly id: string
  readonly workflow: string
  readonly version: string
  readonly queue: string
  /** The lower priority is claimed first. */
  readonly priority: number
  readonly payload: Json
  /** Unique within the workflow; null for none. */
  readonly idempotencyKey: string | null
  /** The earliest instant of the first claim; null for now. */
  readonly availableAt: Millis | null
  readonly parent: ParentLink | null
  /** The id of the topmost ancestor; the run's own id if it has no parent. */
  readonly root: string
  /** The number of ancestors. */
  readonly depth: number
  /** The key within the queue, which orders first claims; null for none. */
  readonly key: string | null
  /** The run is `expired` unless it is claimed before this instant; null for no deadline. */
  readonly expiresAt: Millis | null
  readonly tags: ReadonlyArray<string>
  readonly attributes: Attributes
  /** Null: any number of runs can be live. Ignored for children. */
  readonly singleton: Singleton | null
}

/**
 * The result of the insert of one run.
 *
 * @since 0.2.0
 * @category models
 */
export type EnqueueResult =
  /**
   * The run was inserted. `epoch` is the claim's epoch if the insert also claimed it for the given worker, else null.
   */
  | { readonly _tag: "Started"; readonly id: string; readonly epoch: number | null }
  /** A run of that id, or of that workflow and idempotency key, exists. */
  | { readonly _tag: "Existing"; readonly id: string; readonly payload: Json; readonly status: RunStatus }
  /** A live run has the singleton key. A debounced one has taken over the fields of the start. */
  | { readonly _tag: "Joined"; readonly id: string }

/**
 * A run as the worker that claimed it receives it.
 *
 * @since 0.1.0
 * @category models
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
  /** The seed of the run's random numbers: its own id, or for a fork the seed of its source. */
  readonly seed: string
  /** Entries with a lower `seq` were copied from the source of the fork; 0 if the run is no fork. */
  readonly inherited: number
  /** The fencing number, which each claim increments. */
  readonly epoch: number
  /** 0 at first; each `Continue` increments it. */
  readonly generation: number
  /** The `seq` of the next entry. */
  readonly nextSeq: number
  readonly createdAt: Millis
  /** When this generation was claimed first, or continued into: the first "now" of the run's clock. */
  readonly startedAt: Millis
  /** The inbox sequence up to which `inbox` is complete. */
  readonly seen: number
  /** How many workers in a row died, or lost their lease, while they held the run, without a commit in between. */
  readonly crashes: number
  /** The entries of this generation, in order. Empty if the worker has a hot machine at this `nextSeq`. */
  readonly journal: ReadonlyArray<Entry>
  /** The unconsumed messages, in order. */
  readonly inbox: ReadonlyArray<Message>
}

/**
 * A claimed run that the driver cannot read, because its row, an entry or a message was written by newer code or by
 * hand. The worker parks it.
 *
 * @since 0.1.0
 * @category models
 */
export interface UnreadableRun {
  readonly id: string
  readonly epoch: number
  /** The `seq` of the next entry. */
  readonly nextSeq: number
  /** The field that cannot be read, and its value. */
  readonly detail: string
}

/**
 * A run as those who wait for it see it: its payload is not read.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunStanding extends Pick<RunRecord, "id" | "status" | "finishedAt" | "exit" | "endCause" | "detail"> {
  /** The run is final, but how it ended is beyond the bound of the answer. Absent: it is not. */
  readonly isPartial?: true
}

/**
 * A run as readers see it.
 *
 * @since 0.1.0
 * @category models
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
  /** For a fork: the run whose first entries it copied, and the `seq` of the first entry of its own. Else null. */
  readonly source: { readonly run: string; readonly seq: number } | null
  /** The run becomes `paused` when its holder suspends or releases it. */
  readonly pausing: boolean
  readonly epoch: number
  readonly generation: number
  readonly nextSeq: number
  readonly crashes: number
  readonly createdAt: Millis
  readonly startedAt: Millis | null
  readonly finishedAt: Millis | null
  /** When a `pending` or `suspended` run can be claimed. */
  readonly availableAt: Millis
  /** The id of the worker that holds the run. */
  readonly worker: string | null
  /** Set if the run is `completed`, `failed` or `cancelled`. */
  readonly exit: EncodedExit | null
  /** What ended a `terminated` or `exhausted` run. */
  readonly endCause: EndCause | null
  /**
   * Why the run is `diverged`, `exhausted` or `terminated`. A driver returns that of a `Diverge`, and `Journal` adds
   * that of an `endCause`.
   */
  readonly detail: Json | null
}
