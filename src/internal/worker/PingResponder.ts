/** Answers pings: immediately after a hint, or after the next heartbeat at the latest. */
import * as Effect from "effect/Effect"
import type { JournalError } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import type { WorkerRef } from "../../driver/JournalDriver.js"
import { logFailure } from "./faults.js"
import { Latch } from "./Latch.js"

export class PingResponder {
  /** The nonces of unanswered pings. */
  private readonly nonces = new Set<string>()
  private readonly work = new Latch()

  constructor(private readonly journal: JournalService, private readonly worker: WorkerRef) {}

  add(nonce: string): void {
    this.nonces.add(nonce)
    this.work.open()
  }

  /** Answer all pings. Returns their number. */
  readonly runOnce: Effect.Effect<number, JournalError> = Effect.suspend(() => {
    const nonces = [...this.nonces]
    this.nonces.clear()
    return Effect.as(
      Effect.forEach(nonces, (nonce) => this.journal.pong({ worker: this.worker, nonce })),
      nonces.length
    )
  })

  readonly run: Effect.Effect<never> = Effect.forever(
    Effect.zipRight(
      this.work.await,
      // The next heartbeat returns unanswered pings again.
      Effect.catchAll(this.runOnce, logFailure(Effect.logDebug, "a ping was not answered"))
    )
  )
}
