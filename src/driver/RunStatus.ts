/**
 * The statuses of a run, listed once: every other list of statuses is derived from this one, also in SQL.
 * `JournalDriver` has the table of transitions.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * The statuses of a run.
 *
 * @since 0.1.0
 * @category models
 */
export const RunStatus = Schema.Literal(
  "pending",
  "running",
  "suspended",
  "paused",
  "diverged",
  "completed",
  "failed",
  "cancelled",
  "terminated",
  "expired",
  "exhausted"
)

/**
 * The status of a run.
 *
 * @since 0.1.0
 * @category models
 */
export type RunStatus = typeof RunStatus.Type

/**
 * The statuses that a run's own program ends with. Such a run has an exit.
 *
 * @since 0.2.0
 * @category models
 */
export const FinishStatus = RunStatus.pipe(Schema.pickLiteral("completed", "failed", "cancelled"))

/**
 * The status that a run's own program ends with.
 *
 * @since 0.2.0
 * @category models
 */
export type FinishStatus = typeof FinishStatus.Type

/**
 * The statuses that a run never leaves.
 *
 * @since 0.1.0
 * @category models
 */
export const FinalStatus = RunStatus.pipe(
  Schema.pickLiteral(...FinishStatus.literals, "terminated", "expired", "exhausted")
)

/**
 * A status that a run never leaves.
 *
 * @since 0.1.0
 * @category models
 */
export type FinalStatus = typeof FinalStatus.Type

/**
 * Whether a run never leaves this status.
 *
 * @since 0.1.0
 * @category models
 */
export const isFinal = (status: RunStatus): status is FinalStatus => finalStatuses.has(status)

const finalStatuses: ReadonlySet<RunStatus> = new Set(FinalStatus.literals)

/**
 * The statuses of runs that have not ended.
 *
 * @since 0.2.0
 * @category models
 */
export const liveStatuses: ReadonlyArray<RunStatus> = RunStatus.literals.filter((status) => !isFinal(status))
