/**
 * Search: verbs that find runs by a filter, count them, and delete those whose retention has passed.
 *
 * A filter is a conjunction: a run matches if every condition holds. A condition that is absent always holds.
 *
 * @since 0.1.0
 */
import type { Call, Millis } from "./Answer.js"
import type { Attributes, RunRecord } from "./Run.js"
import type { FinalStatus, RunStatus } from "./RunStatus.js"

/**
 * Conditions on runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunFilter {
  /** Runs of one of these workflows. */
  readonly workflows?: ReadonlyArray<string>
  readonly version?: string
  readonly statuses?: ReadonlyArray<RunStatus>
  readonly queues?: ReadonlyArray<string>
  /** The key within the queue. */
  readonly key?: string
  /** The run has all of these. */
  readonly tags?: ReadonlyArray<string>
  /** The run has all of these, with these values. */
  readonly attributes?: Attributes
  readonly parent?: string
  readonly root?: string
  readonly idempotencyKey?: string
  /** Forks of this run. */
  readonly source?: string
  /** Inclusive. */
  readonly createdFrom?: Millis
  /** Exclusive. */
  readonly createdBefore?: Millis
  /** Inclusive. */
  readonly finishedFrom?: Millis
  /** Exclusive. */
  readonly finishedBefore?: Millis
  /** The `errorCode` with which the run finished. */
  readonly errorCode?: string
  /**
   * A part of the JSON text of the failure, the defect or the detail, or of a string of `endCause`. ASCII letters match
   * case-insensitively.
   */
  readonly text?: string
}

/**
 * A place in the order of search results: newest first, then by id, descending.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunCursor {
  readonly createdAt: Millis
  readonly id: string
}

/**
 * The number of runs in each state. States without runs are left out.
 *
 * @since 0.1.0
 * @category models
 */
export type RunCounts = Partial<Readonly<Record<RunStatus, number>>>

/**
 * How long final runs are kept.
 *
 * @since 0.1.0
 * @category models
 */
export interface RetentionRule {
  /** Null: all workflows that no other rule names. */
  readonly workflow: string | null
  readonly statuses: ReadonlyArray<FinalStatus>
  /** The time since the run ended. `Infinity`: runs are kept forever. */
  readonly olderThanMillis: Millis
}

/**
 * The verbs for search and retention.
 *
 * @since 0.2.0
 * @category verbs
 */
export interface SearchVerbs {
  /**
   * Reads a page of the runs that match, beyond `after`, at most `limit` and up to `AnswerBounds`. `next` is null on
   * the last page.
   */
  readonly find: (request: {
    readonly filter: RunFilter
    readonly after: RunCursor | null
    readonly limit: number
  }) => Call<{ readonly runs: ReadonlyArray<RunRecord>; readonly next: RunCursor | null }>

  /** Counts the runs that match, by state. */
  readonly count: (filter: RunFilter) => Call<RunCounts>

  /**
   * Deletes up to `limit` (at most 1,000) final runs that ended longer ago than a rule allows, with everything that
   * belongs to them, in the order of the rules, workflows, states and ends. A child is kept while its parent is live,
   * because the parent's replay starts the child again and must find it. Runs that another transaction has locked are
   * skipped. Returns the number of deleted runs.
   */
  readonly retain: (request: {
    readonly rules: ReadonlyArray<RetentionRule>
    readonly limit: number
  }) => Call<number>
}
