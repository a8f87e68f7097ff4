/** The worker of a hold, as the hold uses it. A hold is synchronous; its host does everything that takes time. */
import type * as Exit from "effect/Exit"
import type { Op } from "../machine/Op.js"
import type { Stray } from "../machine/Machine.js"
import type { ReadableEnding } from "../codec/endings.js"
import type { BodyFiber } from "./PendingWork.js"

/** `Hold` is a parameter so that this module does not import the hold. */
export interface Host<Hold> {
  /** The estimated driver time, in milliseconds since the epoch. */
  readonly now: () => number
  /** How long an idle run that waits for a message is held before it is suspended. */
  readonly lingerMillis: number
  /** Whether step bodies can start: the lease is good and the worker does not drain. */
  readonly mayStart: () => boolean
  readonly isDraining: () => boolean
  /** Run a body. `done` gets its exit, unless the body was interrupted by the returned fiber. */
  readonly runBody: (hold: Hold, op: Op, done: (exit: Exit.Exit<unknown, unknown>) => void) => BodyFiber
  /** Run a body and write its entry in one storage transaction. */
  readonly runTransaction: (hold: Hold, op: Op) => BodyFiber
  /** The hold has a commit to write. */
  readonly commit: (hold: Hold) => void
  readonly readInbox: (hold: Hold) => void
  /** A fiber of the run woke while the run is not held. */
  readonly stray: (hold: Hold, stray: Stray) => void
  /** Call `hold.advance` at this time or earlier; the hold then calls `wakeAt` again. */
  readonly wakeAt: (hold: Hold, due: number) => void
  /** Storage may count runs as held by this worker that it does not hold: hand them back. */
  readonly suspect: () => void
  /** The state of the hold changed. */
  readonly changed: (hold: Hold) => void
  /** A commit is durable. */
  readonly progressed: (hold: Hold) => void
  readonly suspended: (hold: Hold) => void
  /** The hold is over. `ending` is null if the run has not ended. */
  readonly ended: (hold: Hold, ending: ReadableEnding | null) => void
}
