/**
 * Commits: what one run writes, as one atomic value.
 *
 * @since 0.1.0
 */
import type { Json, Millis } from "./Answer.js"
import type { EncodedExit, Entry } from "./Entry.js"
import type { Disposition, NewMessage } from "./Message.js"
import type { NewRun } from "./Run.js"
import type { FinishStatus } from "./RunStatus.js"

/**
 * How a commit changes the state of its run.
 *
 * @since 0.1.0
 * @category models
 */
export type Transition =
  /**
   * The run can be claimed again at `until` (`Infinity`: only after a message). `waiting` has the `kind:name` of each
   * message that wakes it.
   */
  | { readonly _tag: "Suspend"; readonly until: Millis; readonly waiting: ReadonlyArray<string> }
  /**
   * The run ends. The driver sends the parent, if it has one, a message of kind `child`. By `errorCode` a run that
   * failed can be found; null for other runs.
   */
  | {
    readonly _tag: "Finish"
    readonly status: FinishStatus
    readonly exit: EncodedExit
    readonly errorCode: string | null
  }
  /**
   * A new generation starts with this payload, still `running` at the same epoch. Deleted are the entries of the old
   * generation, its consumed messages, and its unconsumed messages of kind `child`, `callback` and `defect`. `seq`
   * continues, closed windows open again, and `startedAt` becomes `at`.
   */
  | { readonly _tag: "Continue"; readonly payload: Json; readonly at: Millis }
  /** The run is parked until `resume`. `detail` shows the op of the program and the entry of the journal. */
  | { readonly _tag: "Diverge"; readonly detail: Json }
  /** The run becomes `pending` and can be claimed at `at`. */
  | { readonly _tag: "Release"; readonly at: Millis }

/**
 * Everything that one run writes since its last commit. It is applied whole or not at all.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunCommit {
  readonly run: string
  readonly epoch: number
  /** The run's next sequence number: the `seq` of the first entry, if there are entries. */
  readonly from: number
  readonly entries: ReadonlyArray<Entry>
  /** The ordinals of the messages that became entries. */
  readonly consumed: ReadonlyArray<number>
  readonly children: ReadonlyArray<NewRun>
  readonly messages: ReadonlyArray<NewMessage>
  readonly published: ReadonlyArray<{ readonly key: string; readonly value: Json }>
  /** The signals whose windows close: later deliveries of these names are `Expired`. */
  readonly closes: ReadonlyArray<string>
  /** The highest inbox sequence that the worker has read. */
  readonly seen: number
  /** Null: the run stays `running`. */
  readonly transition: Transition | null
}

/**
 * What the holder of a run may not know: the inbox sequence, and whether the run is to be paused.
 *
 * @since 0.1.0
 * @category models
 */
export interface HolderNews {
  readonly inboxSeq: number
  readonly pausing: boolean
}

/**
 * The result of one commit.
 *
 * @since 0.2.0
 * @category models
 */
export type CommitResult =
  /**
   * Everything is written. `dispositions` are in the order of the commit's `messages`. `news` is for a run that is
   * still held, if its inbox has messages beyond `seen` or it is to be paused; else null. It may be null if the commit
   * was applied before, and need not count messages of the same request.
   */
  | {
    readonly _tag: "Applied"
    readonly dispositions: ReadonlyArray<Disposition>
    readonly news: HolderNews | null
  }
  /** Nothing is written: the worker does not hold the run at this epoch, or the run is at another sequence number. */
  | { readonly _tag: "Lost" }
  /** Nothing is written: another transaction has locked a row of the commit. Commit again later. */
  | { readonly _tag: "Locked" }
  /**
   * Nothing is written: the inbox has messages beyond `seen`, or a run to be paused must not end (rule 2). Read the
   * inbox, then commit again.
   */
  | { readonly _tag: "Unseen" }
