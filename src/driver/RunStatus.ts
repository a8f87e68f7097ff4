/**
 * The states of a run. `JournalDriver` has the table of transitions.
 *
 * @since 0.1.0
 */

/**
 * The state of a run.
 *
 * @since 0.1.0
 * @category models
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
 * @category models
 */
export type FinalStatus = "completed" | "failed" | "cancelled" | "terminated" | "expired" | "exhausted"
