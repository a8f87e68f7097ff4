/**
 * The part of the storage contract that is about queues and about workflows that are paused. The rules of
 * `JournalDriver` hold; these come with them:
 *
 * - **Limits are exact.** No claim leaves a queue with more running runs than its `concurrency`, with more live ones (begun
 *   and not ended) than its `admission`, a key with more live ones than `keyConcurrency`, or starts more than its `rate`
 *   allows, whoever else claims, and whoever dies. What a run occupies follows from its state alone, so nothing leaks.
 * - **Starting is limited, going on is not**, but by `concurrency`: a run that has begun is claimed again whatever
 *   `admission`, `rate` and `keyConcurrency` say.
 * - **Turns.** Runs of one key start in order of priority, then readiness, then id. Keys that can start a run take turns:
 *   whose turn it is, is decided by when its next run became ready, or the key was last served, whichever is later.
 * - A change holds for all claims that begin after it; what runs already is not taken back.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { JournalError } from "../Errors.js"
import type { Answer, Json, Millis } from "./Model.js"

type Op<A> = Effect.Effect<Answer<A>, JournalError>

/**
 * A token bucket: `limit` tokens come in `millis`, at most `burst` are kept. Each first claim takes one, so that in any
 * stretch of time `t` at most `burst + limit * t / millis` runs start.
 *
 * @since 0.1.0
 * @category models
 */
export interface Rate {
  readonly limit: number
  readonly millis: Millis
  readonly burst: number
}

/**
 * What may be said of a queue. Null means without limit.
 *
 * @since 0.1.0
 * @category models
 */
export interface QueueSettings {
  /** Among the queues of one worker, lower is claimed first. */
  readonly priority: number
  /** Most runs that are `running` at a time, cluster-wide. 0: none is claimed. */
  readonly concurrency: number | null
  /** Most runs that have begun and not ended, cluster-wide. */
  readonly admission: number | null
  /** Most runs of one key that have begun and not ended. */
  readonly keyConcurrency: number | null
  readonly rate: Rate | null
  readonly paused: boolean
}

/**
 * By whom, why and when something was paused, or may go on.
 *
 * @since 0.1.0
 * @category models
 */
export interface Pause {
  readonly at: Millis
  readonly by: string | null
  readonly reason: string | null
}

/**
 * A workflow that is paused.
 *
 * @since 0.1.0
 * @category models
 */
export interface PausedWorkflow extends Pause {
  readonly name: string
}

/**
 * A queue as it is stored.
 *
 * @since 0.1.0
 * @category models
 */
export interface QueueRecord extends QueueSettings {
  readonly name: string
  /** What its definition said when it was last applied; null if it has none. */
  readonly definition: Json | null
  /** When `paused` was changed last; null if it never was. */
  readonly pause: Pause | null
}

/**
 * How many runs of a queue there are.
 *
 * @since 0.1.0
 * @category models
 */
export interface QueueCounts {
  readonly name: string
  /** Never claimed, and due. */
  readonly ready: number
  /** Never claimed, and not due yet. */
  readonly delayed: number
  readonly running: number
  /** Begun, and waiting: for a time, a message, or to be claimed again. */
  readonly suspended: number
  /** Paused or diverged. */
  readonly parked: number
}

/**
 * What a driver does about queues.
 *
 * @since 0.1.0
 * @category models
 */
export interface JournalQueues {
  /** Queues that have a row, of these names or all, in order of name. */
  readonly queues: (names: ReadonlyArray<string> | null) => Op<ReadonlyArray<QueueRecord>>

  /** How many runs there are; counts stop at `most` each. */
  readonly queueCounts: (request: { readonly names: ReadonlyArray<string>; readonly most: number }) => Op<
    ReadonlyArray<QueueCounts>
  >

  /** Make rows, without limits, for those that have none. Answers the names that are new. */
  readonly ensureQueues: (names: ReadonlyArray<string>) => Op<ReadonlyArray<string>>

  /**
   * Apply a definition: all settings but `paused`, if it differs from the one applied last. What was changed by hand since
   * then stays until the definition changes.
   */
  readonly defineQueue: (request: {
    readonly name: string
    readonly definition: Json
    readonly settings: Omit<QueueSettings, "paused">
  }) => Op<QueueRecord>

  /**
   * Change some settings. Null if there is no such queue. By whom and why is kept if `paused` becomes what it was not.
   */
  readonly changeQueue: (request: {
    readonly name: string
    readonly change: Partial<QueueSettings>
    readonly by?: string | null
    readonly reason?: string | null
  }) => Op<QueueRecord | null>

  /**
   * Pause workflows: no run of them is claimed. Returns the names that were not paused before. A workflow that is already
   * paused keeps who paused it, when and why.
   */
  readonly pauseWorkflows: (request: {
    readonly workflows: ReadonlyArray<string>
    readonly by: string | null
    readonly reason: string | null
  }) => Op<ReadonlyArray<string>>

  /** Undo `pauseWorkflows`. Returns the names that were paused before. */
  readonly resumeWorkflows: (workflows: ReadonlyArray<string>) => Op<ReadonlyArray<string>>

  /** The workflows that are paused, in order of name. */
  readonly pausedWorkflows: () => Op<ReadonlyArray<PausedWorkflow>>
}
