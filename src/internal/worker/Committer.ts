/**
 * Group commit: the commits of many holds are written by one statement, with no added delay. While a statement is on
 * its way, the next batch gathers. A statement is bounded in runs and in size; a commit that is larger goes alone.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { JournalService } from "../../Journal.js"
import type { CommitResult, WorkerRef } from "../../driver/JournalDriver.js"
import { shown } from "../util/show.js"
import { logFailure, orGiveBack, retryWhileAway } from "./faults.js"
import type { Hold } from "./Hold.js"
import { Latch } from "./Latch.js"

/** How often a commit is written, alone, while the driver dies of it. */
const MAX_ATTEMPTS = 3

const DEFECT_PAUSE = "1 second"

/** The result of a statement. */
type Outcome =
  | { readonly _tag: "Written"; readonly results: ReadonlyArray<CommitResult> }
  | { readonly _tag: "Refused"; readonly detail: string }
  | { readonly _tag: "Broken"; readonly detail: string }

export class Committer {
  /** Holds with a commit to write. */
  private readonly waiting = new Set<Hold>()
  private readonly work = new Latch()
  /** Commits on their way to storage. */
  inFlight = 0

  constructor(
    private readonly journal: JournalService,
    private readonly worker: WorkerRef,
    /** Most runs in one statement. */
    private readonly batch: number,
    /** The size of one statement, in characters. */
    private readonly statementSize: number
  ) {}

  add(hold: Hold): void {
    this.waiting.add(hold)
    this.work.open()
  }

  get isIdle(): boolean {
    return this.waiting.size === 0 && this.inFlight === 0
  }

  /** Write one batch. Returns the number of its commits. */
  readonly runOnce: Effect.Effect<number> = Effect.suspend(() => {
    const holds = this.takeBatch()
    return holds.length === 0 ? Effect.succeed(0) : Effect.as(this.write(holds), holds.length)
  })

  /** Writes batches forever. Several of these loops can run concurrently. */
  readonly run: Effect.Effect<never> = Effect.forever(
    Effect.flatMap(this.runOnce, (count) => count > 0 ? Effect.void : this.work.await)
  )

  private takeBatch(): ReadonlyArray<Hold> {
    const holds: Array<Hold> = []
    let size = 0
    for (const hold of this.waiting) {
      if (holds.length >= this.batch) break
      if (hold.canCommit) {
        // Runs whose rows were locked are written without others, which would wait with them.
        if (hold.contention.isPresent !== (holds[0] ?? hold).contention.isPresent) continue
        size += hold.commitSize
        if (size > this.statementSize && holds.length > 0) break
        holds.push(hold)
      }
      this.waiting.delete(hold)
    }
    return holds
  }

  private write(holds: ReadonlyArray<Hold>, attempt = 1): Effect.Effect<void> {
    if (holds.length === 0) return Effect.void
    return Effect.uninterruptibleMask((restore) => {
      const commits = holds.map((hold) => hold.takeCommit().commit)
      this.inFlight += holds.length
      return restore(this.journal.commit({ worker: this.worker, commits })).pipe(
        Effect.tapError(logFailure(Effect.logWarning, "a commit failed")),
        // A repeated commit is harmless: the fence shows whether it was applied before.
        retryWhileAway,
        Effect.matchEffect({
          onSuccess: (results) => Effect.succeed<Outcome>({ _tag: "Written", results }),
          onFailure: ({ message }) => Effect.succeed<Outcome>({ _tag: "Refused", detail: message })
        }),
        Effect.catchAllDefect((defect) => Effect.succeed<Outcome>({ _tag: "Broken", detail: shown(defect) })),
        Effect.ensuring(Effect.sync(() => {
          this.inFlight -= holds.length
        })),
        orGiveBack(() => this.giveBack(holds)),
        Effect.flatMap((outcome) => {
          switch (outcome._tag) {
            case "Written":
              return this.settle(holds, outcome.results)
            case "Refused":
              return restore(this.refused(holds, outcome.detail))
            case "Broken":
              return restore(this.broken(holds, outcome.detail, attempt))
          }
        })
      )
    })
  }

  /** The statement has no result: write the same commits again. */
  private giveBack(holds: ReadonlyArray<Hold>): void {
    for (const hold of holds) {
      hold.notWritten()
      if (hold.canCommit) this.add(hold)
    }
  }

  /** Give each hold its result. A hold that cannot take its result is given up, and harms no other. */
  private settle(holds: ReadonlyArray<Hold>, results: ReadonlyArray<CommitResult>): Effect.Effect<void> {
    const broken = holds.flatMap((hold, index) => {
      const result = results[index]
      const taken = result === undefined
        ? Either.left("storage returned no result")
        : Either.try({ try: () => hold.committed(result), catch: shown })
      return Either.isLeft(taken) ? [{ hold, error: taken.left }] : []
    })
    return broken.length === 0 ? Effect.void : Effect.forEach(broken, ({ error, hold }) => {
      hold.giveUp()
      return Effect.annotateLogs(Effect.logError("the result of a commit could not be used"), { run: hold.id, error })
    }, { discard: true })
  }

  /** Storage refused the statement, perhaps because of one commit: write them one by one, and park the culprit. */
  private refused(holds: ReadonlyArray<Hold>, detail: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (holds.length > 1) return this.writeEach(holds)
      for (const hold of holds) hold.refused(detail)
      return Effect.annotateLogs(Effect.logError("the commit of a run was refused"), {
        run: holds[0]?.id,
        error: detail
      })
    })
  }

  /** The driver died. A defect may pass, so a commit that was alone is written again before its run is parked. */
  private broken(holds: ReadonlyArray<Hold>, detail: string, attempt: number): Effect.Effect<void> {
    const log = Effect.annotateLogs(Effect.logError("the driver died while it wrote commits"), {
      runs: holds.length,
      error: detail
    })
    const again = Effect.suspend(() => {
      if (holds.length > 1) return this.writeEach(holds)
      if (attempt >= MAX_ATTEMPTS) return this.refused(holds, detail)
      return Effect.zipRight(
        orGiveBack(() => this.giveBack(holds))(Effect.sleep(DEFECT_PAUSE)),
        Effect.suspend(() => {
          for (const hold of holds) hold.notWritten()
          return this.write(holds.filter((hold) => hold.canCommit), attempt + 1)
        })
      )
    })
    return Effect.zipRight(log, again)
  }

  private writeEach(holds: ReadonlyArray<Hold>): Effect.Effect<void> {
    for (const hold of holds) hold.notWritten()
    return Effect.forEach(holds, (hold) => hold.canCommit ? this.write([hold]) : Effect.void, { discard: true })
  }
}
