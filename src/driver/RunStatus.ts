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

/**
 * The statuses in which a run waits for a claim.
 *
 * @since 0.2.0
 * @category models
 */
export const ClaimableStatus = RunStatus.pipe(Schema.pickLiteral("pending", "suspended"))

/**
 * The statuses in which a run waits for a user.
 *
 * @since 0.2.0
 * @category models
 */
export const HaltedStatus = RunStatus.pipe(Schema.pickLiteral("paused", "diverged"))

/**
 * The statuses of runs that a pause can stop: they continue without a user.
 *
 * @since 0.2.0
 * @category models
 */
export const PausableStatus = RunStatus.pipe(Schema.pickLiteral(...ClaimableStatus.literals, "running"))

/**
 * The final statuses of runs that have no success.
 *
 * @since 0.2.0
 * @category models
 */
export const UnsuccessfulStatus = RunStatus.pipe(
  Schema.pickLiteral("failed", "cancelled", "terminated", "expired", "exhausted")
)

/**
 * The final statuses of runs that can be retried. A run that was cancelled cannot: its finalizers have compensated its
 * steps.
 *
 * @since 0.2.0
 * @category models
 */
export const RetryableStatus = RunStatus.pipe(Schema.pickLiteral("failed", "terminated", "expired", "exhausted"))

/**
 * A status of runs that can be retried.
 *
 * @since 0.2.0
 * @category models
 */
export type RetryableStatus = typeof RetryableStatus.Type

/**
 * Whether a run of this status can be retried.
 *
 * @since 0.2.0
 * @category models
 */
export const isRetryable: (status: RunStatus) => status is RetryableStatus = Schema.is(RetryableStatus)
