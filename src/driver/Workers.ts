/**
 * The storage contract for workers: who there is, what each says of itself, and whether it answers. A part of
 * `JournalDriver`.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { JournalError } from "../Errors.js"
import type { Answer, Json, Millis, WorkerRef } from "./Model.js"

type Op<A> = Effect.Effect<Answer<A>, JournalError>

/**
 * Bounds of what is kept of workers: a sample at most every `sampleMillis`, the last `samples` of each worker, none older
 * than `sampleAgeMillis`; and no worker whose lease has run out longer than `lapsedMillis` ago.
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
 * A worker as storage knows it.
 *
 * @since 0.1.0
 * @category models
 */
export interface WorkerRecord extends WorkerRef {
  /** When this incarnation came; null for one that came before this was written down. */
  readonly startedAt: Millis | null
  /** Its last heartbeat. */
  readonly beatAt: Millis | null
  readonly leaseUntil: Millis
  /** Its lease has not run out. */
  readonly live: boolean
  /** What it said of itself last. */
  readonly info: Json | null
  /** The ping that it has not answered. */
  readonly ping: string | null
}

/**
 * What a worker said of itself at an instant.
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
 * What became of a heartbeat.
 *
 * @since 0.1.0
 * @category models
 */
export type Beat =
  /** `ping` is one that the worker has not answered. */
  | { readonly _tag: "Held"; readonly lapsed: boolean; readonly ping: string | null }
  | { readonly _tag: "Taken" }

/**
 * Workers, as a storage driver keeps them.
 *
 * @since 0.1.0
 * @category models
 */
export interface JournalWorkers {
  /**
   * Register a worker or renew its lease. `Taken`: another incarnation of that id holds a lease that has not run out.
   * `lapsed`: the lease had run out before this beat, so runs may have been given to others. `info` is what the worker
   * says of itself (null: nothing new); it is kept with the worker, and now and then as a sample (`WorkerBounds`).
   */
  readonly heartbeat: (request: {
    readonly worker: WorkerRef
    readonly leaseMillis: number
    readonly info: Json | null
  }) => Op<Beat>

  /** Workers, in order of id: those beyond `after`, at most `limit`; or only the one called `id`. */
  readonly workers: (request: {
    readonly id: string | null
    readonly after: string | null
    readonly limit: number
  }) => Op<ReadonlyArray<WorkerRecord>>

  /** The latest samples of a worker id, of whatever incarnation and even if it is gone, oldest first, at most `limit`. */
  readonly samples: (request: {
    readonly worker: string
    readonly limit: number
  }) => Op<ReadonlyArray<WorkerSample>>

  /**
   * Ask a worker to answer, and hint it. Answers the ping that is open now, which is an older one if that has not been
   * answered; null if there is no such worker.
   */
  readonly ping: (request: { readonly worker: string; readonly nonce: string }) => Op<string | null>

  /** Answer a ping. False if it is not open, or another incarnation's to answer. */
  readonly pong: (request: { readonly worker: WorkerRef; readonly nonce: string }) => Op<boolean>
}
