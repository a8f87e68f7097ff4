/**
 * Queues and paused workflows. These rules come with the rules of `JournalDriver`:
 *
 * - **Exact limits.** No claim leaves a queue with more running runs than its `concurrency`, with more started and not
 *   ended runs than its `admission`, or a key with more of those than `keyConcurrency`; no claim starts more runs than
 *   `rate` allows. This holds for any number of claims at a time and after any crash, because the capacity in use
 *   follows from the states of runs alone.
 * - **Only starts are limited**, except by `concurrency`: a run that has started is claimed again whatever `admission`,
 *   `rate` and `keyConcurrency` say.
 * - **Key order.** Runs of one key start in order of priority, then of readiness, then of id. A key's place among the
 *   keys of its queue is the later of: when its next run became ready, and when the key was last served.
 * - A change of settings holds for every claim that begins after it. It does not stop runs.
 *
 * @since 0.1.0
 */
import type { Call, Json, Millis } from "./Answer.js"

/**
 * A token bucket: `limit` tokens arrive in `millis`, and at most `burst` are kept. Each first claim takes one, so at
 * most `burst + limit * t / millis` runs start in any interval of `t` milliseconds.
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
 * The settings of a queue. Null: without limit.
 *
 * @since 0.1.0
 * @category models
 */
export interface QueueSettings {
  /** Among the queues of one worker, the lower priority is claimed first. */
  readonly priority: number
  /** The most runs that are `running` at a time, in the cluster. 0: none is claimed. */
  readonly concurrency: number | null
  /** The most runs that have started and not ended, in the cluster. */
  readonly admission: number | null
  /** The most runs of one key that have started and not ended. */
  readonly keyConcurrency: number | null
  readonly rate: Rate | null
  /** No run is claimed. */
  readonly paused: boolean
}

/**
 * When a pause was made or lifted, who asked and why.
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
  /** The definition that was applied last; null if none was. */
  readonly definition: Json | null
  /** The last change of `paused`; null if it never changed. */
  readonly pause: Pause | null
}

/**
 * The number of runs of a queue in each state.
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
  /** Started, and waiting for a time, a message or the next claim. */
  readonly suspended: number
  /** Started, and paused or diverged. */
  readonly halted: number
}

/**
 * The verbs for queues.
 *
 * @since 0.2.0
 * @category verbs
 */
export interface QueueVerbs {
  /** Reads the rows of these queues, in order of name. Queues without a row are left out. */
  readonly queues: (names: ReadonlyArray<string>) => Call<ReadonlyArray<QueueRecord>>

  /** Reads up to `limit` rows of queues, in order of name: the first ones, or those after the name `after`. */
  readonly queuePage: (request: { readonly after: string | null; readonly limit: number }) => Call<
    ReadonlyArray<QueueRecord>
  >

  /** Counts the runs of queues. Each count stops at `limit`. */
  readonly queueCounts: (request: { readonly names: ReadonlyArray<string>; readonly limit: number }) => Call<
    ReadonlyArray<QueueCounts>
  >

  /** Inserts rows, without limits, for the queues that have none. Returns the names of the new rows. */
  readonly ensureQueues: (names: ReadonlyArray<string>) => Call<ReadonlyArray<string>>

  /**
   * Applies a definition if it differs from the one that was applied last: every setting but `paused`. Changes by
   * `changeQueue` last until the definition changes.
   */
  readonly defineQueue: (request: {
    readonly name: string
    readonly definition: Json
    readonly settings: Omit<QueueSettings, "paused">
  }) => Call<QueueRecord>

  /** Changes some settings. Null if the queue has no row. `by` and `reason` are stored if `paused` changes. */
  readonly changeQueue: (request: {
    readonly name: string
    readonly change: Partial<QueueSettings>
    readonly by?: string | null
    readonly reason?: string | null
  }) => Call<QueueRecord | null>

  /**
   * Pauses workflows: no run of them is claimed. Returns the names that were not paused before. A workflow that is
   * already paused keeps who paused it, when and why.
   */
  readonly pauseWorkflows: (request: {
    readonly workflows: ReadonlyArray<string>
    readonly by: string | null
    readonly reason: string | null
  }) => Call<ReadonlyArray<string>>

  /** Undoes `pauseWorkflows`. Returns the names that were paused. */
  readonly resumeWorkflows: (workflows: ReadonlyArray<string>) => Call<ReadonlyArray<string>>

  /** Reads the workflows that are paused, in order of name. */
  readonly pausedWorkflows: () => Call<ReadonlyArray<PausedWorkflow>>
}
