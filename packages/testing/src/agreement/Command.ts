/**
 * Commands: operations to execute on a driver, as plain data over a small pool of runs, workers, queues, keys and
 * signals, so that operations often meet. Epochs, sequence numbers and ordinals, which depend on the results of a
 * driver, are relative to what the player has read.
 */
import type { FinalStatus, MessageKind, QueueSettings, RunStatus } from "perdure/JournalDriver"
import type { ScheduleOperation } from "./ScheduleCommand.js"

/** The number of a member of the pool. */
export type Index = number

export interface RunSpec {
  readonly run: Index
  readonly delay: number | null
}

/** A message. Its kind, name and content are derived from its id, because an id identifies one message. */
export interface MessageSpec {
  readonly to: Index
  readonly id: Index
}

export interface AwaitedMessage {
  readonly kind: MessageKind
  readonly name: Index
}

export type TransitionSpec =
  | { readonly _tag: "Stay" }
  | { readonly _tag: "Suspend"; readonly delay: number; readonly waiting: ReadonlyArray<AwaitedMessage> }
  | { readonly _tag: "SuspendForChildren"; readonly delay: number }
  | {
    readonly _tag: "Finish"
    readonly status: "completed" | "failed" | "cancelled"
    /** For `failed`: a defect, not a failure. */
    readonly isDefect: boolean
    readonly value: string | null
    readonly errorCode: string | null
  }
  | { readonly _tag: "Continue"; readonly payload: Index }
  | { readonly _tag: "Diverge" }
  | { readonly _tag: "Release"; readonly delay: number }

/** A commit of a run that the player holds or has held. */
export interface CommitSpec {
  readonly target: Index
  readonly epochSkew: number
  readonly seqSkew: number
  readonly entries: number
  /** The number of messages that it consumes, from the first unread one that the player has read. */
  readonly consumed: number
  readonly children: ReadonlyArray<RunSpec & { readonly attached: boolean }>
  readonly messages: ReadonlyArray<MessageSpec>
  readonly published: ReadonlyArray<Index>
  readonly closes: ReadonlyArray<Index>
  /** Whether the player reads the inbox before the commit. */
  readonly readsInbox: boolean
  readonly transition: TransitionSpec
}

/** A filter: workflows, and other conditions. Times are milliseconds before now. */
export interface FilterSpec extends Partial<Conditions> {
  readonly workflows: ReadonlyArray<Index>
}

export interface Conditions {
  readonly version: string
  readonly statuses: ReadonlyArray<RunStatus>
  readonly queues: ReadonlyArray<Index>
  readonly key: Index
  readonly tags: ReadonlyArray<Index>
  readonly attribute: { readonly n: Index } | { readonly even: boolean }
  readonly parent: Index
  readonly root: Index
  readonly idempotencyKey: Index
  readonly source: Index
  readonly createdFrom: number
  readonly createdBefore: number
  readonly finishedFrom: number
  readonly finishedBefore: number
  readonly errorCode: string
  readonly text: string
}

export interface WorkerSpec {
  readonly worker: Index
  readonly incarnation: Index
}

/** A single request to a driver. */
export type Operation =
  | ScheduleOperation
  | {
    readonly _tag: "Enqueue"
    readonly runs: ReadonlyArray<RunSpec>
    readonly claim: (WorkerSpec & { readonly capacity: number }) | null
  }
  | {
    readonly _tag: "Claim"
    readonly who: WorkerSpec
    readonly workflows: ReadonlyArray<Index>
    readonly queues: ReadonlyArray<Index>
    readonly limit: number
    /** The hot machines of the request: none, at the current sequence numbers, or at one less. */
    readonly hot: "none" | "current" | "stale"
  }
  | { readonly _tag: "Commit"; readonly who: WorkerSpec; readonly commits: ReadonlyArray<CommitSpec> }
  | { readonly _tag: "Deliver"; readonly messages: ReadonlyArray<MessageSpec> }
  | { readonly _tag: "Heartbeat"; readonly who: WorkerSpec; readonly lease: number; readonly info: Index | null }
  | { readonly _tag: "Ping"; readonly worker: Index; readonly nonce: Index }
  | { readonly _tag: "Pong"; readonly who: WorkerSpec; readonly nonce: Index }
  | {
    readonly _tag: "Reconcile"
    readonly who: WorkerSpec
    readonly held: ReadonlyArray<Index>
    readonly before: number
  }
  | { readonly _tag: "Retire"; readonly who: WorkerSpec }
  | { readonly _tag: "Reap"; readonly maxCrashes: number }
  | { readonly _tag: "ChangeQueue"; readonly queue: Index; readonly change: Partial<QueueSettings> }
  | { readonly _tag: "DefineQueue"; readonly queue: Index; readonly settings: Omit<QueueSettings, "paused"> }
  | { readonly _tag: "PauseWorkflow"; readonly workflow: Index; readonly paused: boolean }
  | { readonly _tag: "Terminate" | "Pause" | "Resume"; readonly runs: ReadonlyArray<Index> }
  | { readonly _tag: "Expire"; readonly limit: number }
  | {
    readonly _tag: "Fork"
    readonly source: Index
    readonly fork: Index
    readonly seq: number
    readonly queue: Index | null
    readonly priority: number | null
  }
  | { readonly _tag: "Read"; readonly runs: ReadonlyArray<Index>; readonly from: number; readonly limit: number }
  | { readonly _tag: "Find"; readonly sought: FilterSpec; readonly limit: number }
  | {
    readonly _tag: "Retain"
    readonly rules: ReadonlyArray<{
      readonly workflow: Index
      readonly statuses: ReadonlyArray<FinalStatus>
      readonly older: number
    }>
    readonly limit: number
  }

export type Command =
  | Operation
  | { readonly _tag: "Pass"; readonly millis: number }
  /** The last request again, unchanged. */
  | { readonly _tag: "Repeat" }
  | { readonly _tag: "Transaction"; readonly operations: ReadonlyArray<Operation>; readonly fails: boolean }
