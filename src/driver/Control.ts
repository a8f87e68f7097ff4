/**
 * The part of the storage contract by which runs are controlled from outside: pause, resume, terminate, expire, fork.
 *
 * - Each request names whom it comes from and why. What it did to a run is recorded for that run by the same statement;
 *   what changed nothing is not recorded.
 * - Attached descendants follow: they are paused, resumed and terminated with the runs that are named, whether or not a
 *   descendant is started by a holder at the same moment.
 * - A run that is held is paused by its holder's next `Suspend` or `Release` (or when it is released by others); until
 *   then it is `pausing`. Attached children that it starts meanwhile are `paused` from the start.
 * - A run that was cancelled is not paused any more: it is on its way to its end, and a cancel lifts a pause.
 * - A final state is never left: what is done again is done by a new run, a fork.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { JournalError } from "../Errors.js"
import type { Answer, Control, Forked, ForkRequest } from "./Model.js"

type Op<A> = Effect.Effect<Answer<A>, JournalError>

/**
 * Runs to be controlled, by whom and why.
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
 * The controls of a storage driver.
 *
 * @since 0.1.0
 * @category models
 */
export interface JournalControl {
  /**
   * Pause runs and their attached descendants: `pending` and `suspended` ones are `paused` at once, running ones when their
   * holder writes down what it is doing (its `Inbox` hint says so), diverged ones stay diverged. Answers how many of the
   * named runs it changed.
   */
  readonly pause: (request: ControlRequest) => Op<number>

  /**
   * Undo a pause: `paused` runs, and attached descendants that are, come back to the state that they had; those that were
   * to be paused go on. Named runs that are `diverged` become claimable again. Answers how many of the named runs it changed.
   */
  readonly resume: (request: ControlRequest) => Op<number>

  /**
   * End runs and their attached descendants at once, without finalizers; `detail` becomes `{"by":…,"reason":…}`. Answers
   * how many of the named runs it ended.
   */
  readonly terminate: (request: ControlRequest) => Op<number>

  /**
   * End up to `limit` runs that were never claimed and whose deadline has passed: `expired`, and the parent is told.
   */
  readonly expire: (request: { readonly limit: number }) => Op<{ readonly expired: number }>

  /**
   * A new run that begins with another one's journal up to `seq`; all or nothing. It has the source's payload, workflow,
   * version, tags, attributes, key, generation and first instant, no parent and no idempotency key. Signals of the source
   * that those entries have not received are in its inbox, unread. Idempotent by `id`.
   */
  readonly fork: (request: ForkRequest) => Op<Forked>

  /** What was done to a run, in order of time: what is recorded, and the `cancel` messages in its inbox. */
  readonly controls: (run: string) => Op<ReadonlyArray<Control>>
}
