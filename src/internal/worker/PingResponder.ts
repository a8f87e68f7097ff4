/** Answers the pings that a worker hears: by hint at once, with its next heartbeat at the latest. */
import * as Effect from "effect/Effect"
import type { JournalError } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import type { WorkerRef } from "../../driver/JournalDriver.js"
import { Latch } from "./Latch.js"

export class PingResponder {
  private readonly nonces = new Set<string>()
  private readonly work = new Latch()

  constructor(private readonly journal: JournalService, private readonly worker: WorkerRef) {}

  add(nonce: string): void {
    this.nonces.add(nonce)
    this.work.open()
  }

  /** Answer what was heard. Answers how many pings that were. */
  readonly runOnce: Effect.Effect<number, JournalError> = Effect.suspend(() => {
    const heard = [...this.nonces]
    this.nonces.clear()
    return Effect.as(
      Effect.forEach(heard, (nonce) => this.journal.pong({ worker: this.worker, nonce })),
      heard.length
    )
  })

  readonly run: Effect.Effect<never> = Effect.forever(
    Effect.zipRight(
      this.work.await,
      // A heartbeat says again what is open.
      Effect.catchAll(
        this.runOnce,
        (error) => Effect.logDebug("a ping was not answered").pipe(Effect.annotateLogs({ error: error.message }))
      )
    )
  )
}
