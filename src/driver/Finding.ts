/**
 * The part of the storage contract that finds runs by what they are, counts them, and deletes those that are kept no
 * longer.
 *
 * A filter is a conjunction: a run matches if every condition that is present holds. What is absent says nothing.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { JournalError } from "../Errors.js"
import type { Answer, Attributes, FinalStatus, Millis, RunRecord, RunStatus } from "./Model.js"

/**
 * Conditions on runs.
 *
 * @since 0.1.0
 */
export interface RunFilter {
  /** Of one of these workflows. */
  readonly workflows?: ReadonlyArray<string>
  readonly version?: string
  readonly statuses?: ReadonlyArray<RunStatus>
  readonly queues?: ReadonlyArray<string>
  /** The key within its queue. */
  readonly key?: string
  /** It has all of these. */
  readonly tags?: ReadonlyArray<string>
  /** It has all of these, with these values. */
  readonly attributes?: Attributes
  readonly parent?: string
  readonly root?: string
  readonly idempotencyKey?: string
  /** Forks of this run. */
  readonly source?: string
  readonly createdFrom?: Millis
  /** Not at this instant any more. */
  readonly createdBefore?: Millis
  readonly finishedFrom?: Millis
  readonly finishedBefore?: Millis
  /** The `_tag` of its failure, the `_tag` of the runtime's error that it died of, or the name of its defect. */
  readonly errorCode?: string
  /** In the JSON text of its failure, its defect or its detail; the letters A to Z match those from a to z. */
  readonly text?: string
}

/**
 * A place in the order in which runs are found: newest first, then by id, from the last one to the first.
 *
 * @since 0.1.0
 */
export interface RunCursor {
  readonly createdAt: Millis
  readonly id: string
}

/**
 * How many runs there are, by state. States of no run are left out.
 *
 * @since 0.1.0
 */
export type RunCounts = Partial<Readonly<Record<RunStatus, number>>>

/**
 * How long finished runs are kept.
 *
 * @since 0.1.0
 */
export interface RetentionRule {
  /** Null for all workflows that no other rule names. */
  readonly workflow: string | null
  readonly statuses: ReadonlyArray<FinalStatus>
  /** Since its end. `Infinity`: kept for ever. */
  readonly olderThanMillis: Millis
}

type Op<A> = Effect.Effect<Answer<A>, JournalError>

/**
 * Finding runs, counting them, and deleting those that are kept no longer.
 *
 * @since 0.1.0
 */
export interface JournalFinding {
  /** A page of the runs that match, beyond `after`. `next` is null if there are no more. */
  readonly find: (request: {
    readonly filter: RunFilter
    readonly after: RunCursor | null
    readonly limit: number
  }) => Op<{ readonly runs: ReadonlyArray<RunRecord>; readonly next: RunCursor | null }>

  /** How many runs match, by state. */
  readonly count: (filter: RunFilter) => Op<RunCounts>

  /**
   * Delete up to `limit` (at most 1,000) finished runs whole, with all that belongs to them, that ended longer ago than a rule allows, in
   * the order of the rules, workflows, states and ends. A child stays as long as its parent goes on, whose
   * replay starts its children again, and must find them. Runs that somebody is working on are passed over. Answers how many were deleted.
   */
  readonly retain: (request: {
    readonly rules: ReadonlyArray<RetentionRule>
    readonly limit: number
  }) => Op<number>
}
