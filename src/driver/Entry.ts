/**
 * The entries of a run's journal.
 *
 * @since 0.1.0
 */
import type { Json, Millis } from "./Answer.js"
import type { FinalStatus } from "./RunStatus.js"

/**
 * How an op or a run ended. `value` is the encoded success, failure or defect; null for `interrupt` and for void.
 *
 * @since 0.1.0
 * @category models
 */
export interface EncodedExit {
  readonly kind: "success" | "failure" | "defect" | "interrupt"
  readonly value: Json | null
}

/**
 * What ended a run from outside of its program.
 *
 * @since 0.2.0
 * @category models
 */
export type EndCause =
  /** A `terminate`: who asked for it, and why. */
  | { readonly _tag: "Terminated"; readonly by: string | null; readonly reason: string | null }
  /** A `reap`: how many workers in a row died while they held the run, and the id of the last one. */
  | { readonly _tag: "Exhausted"; readonly crashes: number; readonly worker: string | null }

/**
 * How a run ended: `exit` if its program ended it, `endCause` if it is `terminated` or `exhausted`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Ending {
  readonly status: FinalStatus
  readonly exit: EncodedExit | null
  readonly endCause: EndCause | null
}

/**
 * One finished op of a run. Entries of one run have consecutive `seq`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Entry {
  readonly seq: number
  /** The op that finished, numbered by order of request within a generation; -1 for an entry of the run itself. */
  readonly op: number
  readonly kind: string
  readonly name: string
  readonly exit: EncodedExit
  readonly at: Millis
}

/**
 * An entry with the worker and epoch that wrote it.
 *
 * @since 0.1.0
 * @category models
 */
export interface HistoryEntry extends Entry {
  readonly worker: string
  readonly epoch: number
}
