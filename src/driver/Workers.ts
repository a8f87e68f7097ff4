/**
 * Workers: their leases, the runs that they return, their reports, and pings.
 *
 * @since 0.1.0
 */
import type { Call, Json, Millis } from "./Answer.js"

/**
 * A worker process. Each start of the process has another `incarnation`, which tells two processes of one id apart.
 *
 * @since 0.1.0
 * @category models
 */
export interface WorkerRef {
  readonly id: string
  readonly incarnation: string
}

/**
 * The bounds of what storage keeps about workers: one sample per `sampleMillis`, the last `samples` of each worker,
 * none older than `sampleAgeMillis`, and no worker whose lease ran out more than `lapsedMillis` ago.
 *
 * @since 0.1.0
 * @category constants
 */
export const WorkerBounds = {
  sampleMillis: 10_000,
  samples: 360,
  sampleAgeMillis: 86_400_000,
  lapsedMillis: 7 * 86_400_000
} as const

/**
 * When suspects of a crash are available again: one after another, so that few of them execute side by side and each
 * claim takes one. The pause before each is `pauseMillis`, doubled with each crash, `doublings` times at most. No run
 * waits longer than `longestMillis`.
 *
 * @since 0.2.0
 * @category constants
 * @example
 * ```ts
 * import { SuspectPauses } from "perdure/JournalDriver"
 *
 * // 32 seconds: the longest pause before one suspect.
 * const longestPause = SuspectPauses.pauseMillis * 2 ** SuspectPauses.doublings
 * ```
 */
export const SuspectPauses = { pauseMillis: 1_000, doublings: 5, longestMillis: 600_000 } as const

/**
 * A worker as storage has it.
 *
 * @since 0.1.0
 * @category models
 */
export interface WorkerRecord extends WorkerRef {
  /** When this incarnation registered; null if it registered before storage kept this. */
  readonly startedAt: Millis | null
  /** The last heartbeat. */
  readonly beatAt: Millis | null
  readonly leaseUntil: Millis
  /** Whether the lease is still valid. */
  readonly live: boolean
  /** The worker's latest report. */
  readonly info: Json | null
  /** The ping that the worker has not answered. */
  readonly ping: string | null
}

/**
 * A report of a worker at an instant.
 *
 * @since 0.1.0
 * @category models
 */
export interface WorkerSample {
  readonly at: Millis
  readonly incarnation: string
  readonly info: Json
}

/**
 * Which lease to keep. `busyMillis`: how long after the last heartbeat it may still be extended.
 *
 * @since 0.2.0
 * @category models
 */
export interface LeaseRequest {
  readonly worker: WorkerRef
  readonly leaseMillis: Millis
  readonly busyMillis: Millis
}

/**
 * Extends a valid lease while the event loop of the process is too busy to send heartbeats.
 *
 * @since 0.2.0
 * @category models
 */
export interface LeaseKeeper {
  /** A heartbeat was acknowledged now. */
  readonly beat: () => void
  /** The lease must not be extended any more, until the next `beat`. */
  readonly stop: () => void
  /** How long the lease that the keeper extended is certainly valid, in milliseconds; negative if it is not. */
  readonly remainingMillis: () => Millis
}

/**
 * The result of a heartbeat.
 *
 * @since 0.2.0
 * @category models
 */
export type HeartbeatResult =
  /**
   * The worker has a lease. `lapsed`: the lease had run out before, so other workers may have its runs. `ping` is the
   * one that the worker has not answered.
   */
  | { readonly _tag: "Renewed"; readonly lapsed: boolean; readonly ping: string | null }
  /** Another incarnation of this id has a valid lease. */
  | { readonly _tag: "Taken" }

/**
 * The verbs for workers.
 *
 * @since 0.2.0
 * @category verbs
 */
export interface WorkerVerbs {
  /**
   * Registers a worker or extends its lease. `info` is the worker's report (null: unchanged). Storage keeps the latest
   * report, and samples of it (`WorkerBounds`).
   */
  readonly heartbeat: (request: {
    readonly worker: WorkerRef
    readonly leaseMillis: Millis
    readonly info: Json | null
  }) => Call<HeartbeatResult>

  /**
   * Releases the runs that storage says this worker holds, that were claimed before `claimedBefore`, and that are not
   * in `held`: the result of a claim that never reached the worker. Crashes are not counted.
   */
  readonly reconcile: (request: {
    readonly worker: WorkerRef
    readonly held: ReadonlyArray<string>
    readonly claimedBefore: Millis
  }) => Call<{ readonly released: number }>

  /** Ends a worker's lease and releases every run that it holds. Crashes are not counted. */
  readonly retire: (worker: WorkerRef) => Call<{ readonly released: number }>

  /**
   * Releases up to `limit` runs of workers whose lease has run out, those claimed first at first: `pending`, available
   * now. A run without a crash gets its first one, and is a *suspect* until its next commit. Of the suspects that one
   * worker held, only those that were claimed last get one crash more: they had just started when it died. Released
   * suspects are available one after another (`SuspectPauses`), in order of id.
   *
   * A run that reaches `maxCrashes` becomes `exhausted` instead, with a message to its parent.
   */
  readonly reap: (request: { readonly limit: number; readonly maxCrashes: number }) => Call<{
    readonly released: number
    readonly exhausted: number
  }>

  /** Reads workers in order of id: those beyond `after`, at most `limit`; or only the one with this `id`. */
  readonly workers: (request: {
    readonly id: string | null
    readonly after: string | null
    readonly limit: number
  }) => Call<ReadonlyArray<WorkerRecord>>

  /** Reads the latest samples of a worker id, of all incarnations, oldest first, at most `limit`. */
  readonly samples: (request: {
    readonly worker: string
    readonly limit: number
  }) => Call<ReadonlyArray<WorkerSample>>

  /**
   * Sends a worker a ping, with a hint. Returns the nonce that the worker has to answer, which is an older one if that
   * is unanswered; null if no such worker exists.
   */
  readonly ping: (request: { readonly worker: string; readonly nonce: string }) => Call<string | null>

  /** Stores a worker's answer to a ping. False if this incarnation has no unanswered ping with this nonce. */
  readonly pong: (request: { readonly worker: WorkerRef; readonly nonce: string }) => Call<boolean>
}
