/**
 * Controls: verbs by which runs are paused, resumed, terminated, expired and forked from outside.
 *
 * - Each request says who asked (`by`) and why (`reason`). The statement that changes a run also records the control. A
 *   control that changes nothing is not recorded.
 * - Attached descendants follow: they are paused, resumed and terminated with the runs that the request names, even if
 *   a worker starts a descendant at the same moment.
 * - A running run is paused by the next `Suspend` or `Release` of its holder, or when it is released by another caller.
 *   Until then it is `pausing`: it cannot finish, and attached children that it starts are `paused` from the start.
 * - A cancel lifts a pause, and a cancelled run cannot be paused.
 * - A final state is never left. `retry` and `fork` insert a new run.
 *
 * @since 0.1.0
 */
import type { Call, Millis } from "./Answer.js"

/**
 * The name of a control.
 *
 * @since 0.1.0
 * @category models
 */
export type ControlAction = "pause" | "resume" | "cancel" | "terminate" | "retry" | "fork"

/**
 * The record of a control.
 *
 * @since 0.1.0
 * @category models
 */
export interface Control {
  readonly action: ControlAction
  readonly by: string | null
  readonly reason: string | null
  readonly at: Millis
  /**
   * The other run of the control. For an attached descendant: the run that the request named. For `retry` and `fork`:
   * on the source the new run, on the new run the source. Else null.
   */
  readonly related: string | null
}

/**
 * The runs to control, with who asked and why.
 *
 * @since 0.1.0
 * @category models
 */
export interface ControlRequest {
  readonly runs: ReadonlyArray<string>
  readonly by: string | null
  readonly reason: string | null
}

/**
 * A fork to insert.
 *
 * @since 0.1.0
 * @category models
 */
export interface ForkRequest {
  readonly source: string
  /** Entries with a lower `seq` are copied. */
  readonly seq: number
  /** The id of the new run. */
  readonly id: string
  /** Null: the queue of the source. */
  readonly queue: string | null
  /** Null: the priority of the source. */
  readonly priority: number | null
  readonly action: "retry" | "fork"
  readonly by: string | null
  readonly reason: string | null
}

/**
 * The result of a fork.
 *
 * @since 0.2.0
 * @category models
 */
export type ForkResult =
  | { readonly _tag: "Forked" }
  /** A run of that id exists. Nothing was changed. */
  | { readonly _tag: "Existing" }
  /** The source does not exist. */
  | { readonly _tag: "NoSuchRun" }
  /** `seq` must be at least `first` and at most `next`, the source's next sequence number. */
  | { readonly _tag: "OutOfRange"; readonly first: number; readonly next: number }

/**
 * The verbs for controls.
 *
 * @since 0.2.0
 * @category verbs
 */
export interface ControlVerbs {
  /**
   * Pauses runs and their attached descendants. `pending` and `suspended` runs become `paused` immediately. A running
   * run becomes `pausing`, with an `Inbox` hint for its holder. A diverged run stays diverged. Returns the number of
   * named runs that changed.
   */
  readonly pause: (request: ControlRequest) => Call<number>

  /**
   * Returns `paused` runs and their paused attached descendants to the state that they had, and clears `pausing`. Named
   * runs that are `diverged` become claimable. Returns the number of named runs that changed.
   */
  readonly resume: (request: ControlRequest) => Call<number>

  /**
   * Ends runs and their attached descendants immediately, without finalizers. Their `endCause` has `by` and `reason`.
   * Returns the number of named runs that ended.
   */
  readonly terminate: (request: ControlRequest) => Call<number>

  /**
   * Ends up to `limit` runs that were never claimed and whose deadline has passed: `expired`, with a message to the
   * parent.
   */
  readonly expire: (request: { readonly limit: number }) => Call<{ readonly expired: number }>

  /**
   * Inserts a run with the entries of the source below `seq`, and with its payload, workflow, version, tags,
   * attributes, key, generation and first instant. The new run has no parent and no idempotency key. Its inbox has,
   * unconsumed, the signals of the source that the copied entries have not received. Idempotent by `id`.
   */
  readonly fork: (request: ForkRequest) => Call<ForkResult>

  /**
   * Reads the controls of a run, in order of time: those recorded, and the `cancel` messages in its inbox. Those of one
   * instant are in the order in which they were recorded, with the cancels last.
   */
  readonly controls: (run: string) => Call<ReadonlyArray<Control>>
}
