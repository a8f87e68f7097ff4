/**
 * Upkeep of a worker: what hints and results did not bring is found by asking storage. It reads the inbox of every held
 * run from time to time, and hands back runs that storage counts as held by this worker although it does not hold them.
 */
import * as Effect from "effect/Effect"
import type { JournalError } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import type { WorkerRef } from "../../driver/JournalDriver.js"
import { isolateCorrupt } from "../util/isolate.js"
import { logFailure } from "./faults.js"
import type { HeldRuns } from "./HeldRuns.js"
import type { Hold } from "./Hold.js"
import type { InboxReader } from "./InboxReader.js"
import type { RunningBodies } from "./RunningBodies.js"
import { sleep } from "../util/timers.js"

/** Rounds of upkeep within the duration of a lease. */
const ROUNDS_PER_LEASE = 3

export class Upkeep {
  private suspectSince: number | undefined
  private readonly intervalMillis: number

  constructor(
    private readonly journal: JournalService,
    private readonly worker: WorkerRef,
    private readonly runs: HeldRuns,
    private readonly inboxes: InboxReader,
    private readonly bodies: RunningBodies,
    leaseMillis: number
  ) {
    this.intervalMillis = leaseMillis / ROUNDS_PER_LEASE
  }

  /** A claim may have taken runs for this worker whose result was lost. */
  suspect(): void {
    this.suspectSince = this.journal.now()
  }

  readonly runOnce: Effect.Effect<void, JournalError> = Effect.suspend(() => {
    this.inboxes.addAll()
    const since = this.suspectSince
    if (since === undefined || this.runs.isReserving) return Effect.void
    const claimedBefore = this.journal.now() - this.intervalMillis
    // The time of the suspicion is an estimate, and its statement may have taken a while: wait for another round.
    if (since > claimedBefore - this.intervalMillis) return Effect.void
    return Effect.map(this.journal.reconcile({ worker: this.worker, held: this.runs.ids, claimedBefore }), () => {
      if (this.suspectSince === since) this.suspectSince = undefined
    })
  })

  readonly run: Effect.Effect<never> = Effect.forever(Effect.suspend(() =>
    Effect.zipRight(
      sleep(this.intervalMillis),
      Effect.zipRight(
        this.bodies.runOnce,
        Effect.catchAll(this.runOnce, logFailure(Effect.logWarning, "upkeep failed"))
      )
    )
  ))

  /** After a lapse of the lease: drop the holds of runs that other workers have claimed. */
  readonly dropLost: Effect.Effect<void, JournalError> = Effect.suspend(() => {
    const holds = this.runs.all
    if (holds.length === 0) return Effect.void
    const check = (some: ReadonlyArray<Hold>) =>
      Effect.map(this.journal.get(some.map((hold) => hold.id)), (records) => {
        const epochs = new Map(records.map((record) => [record.id, record.status === "running" ? record.epoch : -1]))
        for (const hold of some) if (hold.state !== "gone" && hold.run.epoch !== epochs.get(hold.id)) hold.drop()
      })
    return isolateCorrupt(holds, check, (hold, error) => {
      hold.drop()
      return Effect.annotateLogs(Effect.logError("the row of a run cannot be read: the worker no longer holds it"), {
        run: hold.id,
        error: error.message
      })
    })
  })
}
