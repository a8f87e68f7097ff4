/**
 * Reads the inboxes of held runs that hints named, and reports stray wake-ups of suspended runs to their own inboxes.
 */
import * as Effect from "effect/Effect"
import type { JournalError } from "../../Errors.js"
import { NotDurable } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import { mayLackMessages } from "../../driver/JournalDriver.js"
import { notDurableWire } from "../codec/exits.js"
import type { Stray } from "../machine/Machine.js"
import { isolateCorrupt } from "../util/isolate.js"
import { orGiveBack, pauseAfter, retryWhileAway } from "./faults.js"
import type { HeldRuns } from "./HeldRuns.js"
import type { Hold } from "./Hold.js"
import { Latch } from "./Latch.js"

/** Most runs whose inboxes one statement reads. */
const PAGE_RUN_COUNT = 1000

/** Most runs whose stray wake-ups wait to be reported. More are dropped. */
const STRAY_RUN_COUNT = 1000

export class InboxReader {
  private readonly unread = new Set<Hold>()
  private readonly strays = new Map<string, Stray>()
  private readonly work = new Latch()

  constructor(private readonly journal: JournalService, private readonly runs: HeldRuns) {}

  add(hold: Hold): void {
    this.unread.add(hold)
    this.work.open()
  }

  addAll(): void {
    for (const hold of this.runs.all) this.unread.add(hold)
    if (this.unread.size > 0) this.work.open()
  }

  addStray(run: string, stray: Stray): void {
    if (this.strays.size >= STRAY_RUN_COUNT || this.strays.has(run)) return
    this.strays.set(run, stray)
    this.work.open()
  }

  /** Report all stray wake-ups and read a page of inboxes. */
  readonly runOnce: Effect.Effect<void, JournalError> = Effect.suspend(() =>
    Effect.zipRight(this.reportStrays, this.readInboxes)
  )

  readonly run: Effect.Effect<never> = Effect.forever(
    Effect.suspend(() =>
      this.unread.size === 0 && this.strays.size === 0
        ? this.work.await
        : pauseAfter(retryWhileAway(this.runOnce), "inboxes cannot be read")
    )
  )

  private readonly readInboxes: Effect.Effect<void, JournalError> = Effect.suspend(() => {
    const page = [...this.unread].slice(0, PAGE_RUN_COUNT)
    for (const hold of page) this.unread.delete(hold)
    const holds = page.filter((hold) => hold.state !== "gone")
    if (holds.length === 0) return Effect.void
    return isolateCorrupt(holds, (part) => this.read(part), (hold, error) => this.park(hold, error)).pipe(
      orGiveBack(() => {
        for (const hold of page) this.unread.add(hold)
      })
    )
  })

  private read(holds: ReadonlyArray<Hold>): Effect.Effect<void, JournalError> {
    const readFor = new Map(holds.map(({ id, run }) => [id, run]))
    return this.journal.inbox(holds.map(({ id, seen }) => ({ run: id, after: seen }))).pipe(
      Effect.map((inboxes) => {
        for (const { run, ...inbox } of inboxes) {
          const before = readFor.get(run)
          if (before !== undefined) this.runs.get(run)?.receive(inbox, before)
        }
        // The answer ended at its bound: the next one continues from what each run has seen.
        if (mayLackMessages(inboxes.flatMap(({ messages }) => messages))) {
          for (const hold of holds) this.unread.add(hold)
        }
      })
    )
  }

  private park(hold: Hold, error: JournalError): Effect.Effect<void> {
    return Effect.suspend(() => {
      hold.unreadable(error.message)
      return Effect.annotateLogs(Effect.logError("the inbox of a run cannot be read: the run is parked"), {
        run: hold.id,
        error: error.message
      })
    })
  }

  private readonly reportStrays: Effect.Effect<void, JournalError> = Effect.suspend(() => {
    if (this.strays.size === 0) return Effect.void
    const reports = Array.from(this.strays, ([run, { fiber, place }]) => {
      return { run, defect: notDurableWire(new NotDurable({ problem: "StrayWakeUp", place }), fiber).text ?? "null" }
    })
    return Effect.map(this.journal.reportStrays(reports), () => {
      for (const { run } of reports) this.strays.delete(run)
    })
  })
}
