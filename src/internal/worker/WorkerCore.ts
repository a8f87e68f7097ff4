/**
 * A worker put together: its holds, its hot machines, and the loops that serve them. The loops are effects that a
 * caller runs (`Worker.layer` supervises them; a test calls each one's `runOnce`).
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { JournalError } from "../../Errors.js"
import { NotDurable } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import type { LocalWorker } from "../process/Process.js"
import type { ClaimedRun, Hint, WorkerRef } from "../../driver/JournalDriver.js"
import { notDurableWire } from "../codec/exits.js"
import type { Stray } from "../machine/Machine.js"
import type { Ending } from "../process/RunWatch.js"
import { runBody, runTransaction } from "./bodies.js"
import { Claimer } from "./Claimer.js"
import { Committer, transientFaults } from "./Committer.js"
import type { Host } from "./Hold.js"
import { Hold } from "./Hold.js"
import { HotCache } from "./HotCache.js"
import { Latch } from "./Latch.js"
import { Lease } from "./Lease.js"
import { PingResponder } from "./PingResponder.js"
import { ScheduleLoop } from "./ScheduleLoop.js"
import { TimerQueue } from "./TimerQueue.js"

/** A worker's options, checked, in milliseconds and counts. */
export interface WorkerSettings {
  readonly queues: ReadonlyArray<string>
  readonly concurrency: number
  readonly claimBatch: number
  readonly commitBatch: number
  readonly commitsInFlight: number
  readonly pollMillis: number
  readonly leaseMillis: number
  readonly maxCrashes: number
  readonly lingerMillis: number
  readonly hotRuns: number
  readonly hotMillis: number
  readonly drainMillis: number
}

/** Suspended runs with a stray wake-up that are kept to be reported. */
const MOST_STRAYS = 1000

/** Held runs whose inboxes are read by one statement. */
const INBOX_PAGE = 1000

export class WorkerCore implements LocalWorker, Host {
  readonly claimer: Claimer
  readonly committer: Committer
  readonly lease: Lease
  readonly pingResponder: PingResponder
  readonly scheduleLoop: ScheduleLoop
  readonly timers: TimerQueue
  readonly hot: HotCache
  readonly lingerMillis: number
  private readonly held = new Map<string, Hold>()
  private readonly idle = new Set<Hold>()
  private readonly unreadInboxes = new Set<Hold>()
  private readonly inboxWork = new Latch()
  private readonly strays = new Map<string, Stray>()
  private readonly emptied = new Latch()
  private reserved = 0
  private draining = false
  private suspectSince: number | undefined

  constructor(
    private readonly journal: JournalService,
    readonly ref: WorkerRef,
    readonly settings: WorkerSettings,
    /** What its process says of itself. */
    self: () => object = () => ({})
  ) {
    this.lingerMillis = settings.lingerMillis
    this.timers = new TimerQueue(() => this.now())
    this.hot = new HotCache(settings.hotRuns, settings.hotMillis, this.timers, () => this.now())
    this.committer = new Committer(journal, ref, settings.commitBatch)
    this.pingResponder = new PingResponder(journal, ref)
    this.scheduleLoop = new ScheduleLoop(journal, settings.pollMillis)
    this.lease = new Lease(journal, {
      worker: ref,
      leaseMillis: settings.leaseMillis,
      maxCrashes: settings.maxCrashes,
      onLapse: Effect.suspend(() => this.dropLost),
      info: () => JSON.stringify({ ...self(), ...this.counts }),
      onPing: (nonce) => this.pingResponder.add(nonce),
      onChange: () => {
        this.pokeAll()
        this.claimer.hint()
      }
    })
    this.claimer = new Claimer(journal, {
      worker: ref,
      queues: settings.queues,
      batch: settings.claimBatch,
      pollMillis: settings.pollMillis,
      concurrency: settings.concurrency,
      freeSlots: () => this.freeSlots,
      held: () => this.hot.offer(),
      claimed: () => this.hot.release(),
      adopt: (runs) => this.take(runs),
      lapses: () => this.lease.lapses,
      suspect: () => this.suspect(),
      mayClaim: () => !this.draining && this.lease.isGood
    })
  }

  // --- for those who start runs beside it ---

  reserve(
    run: { readonly workflow: string; readonly version: string; readonly queue: string },
    wanted: number
  ): number {
    if (!this.mayStart() || this.claimer.backlog || !this.settings.queues.includes(run.queue)) return 0
    if (this.journal.process.registrations.find(run.workflow, run.version) === undefined) return 0
    const slots = Math.max(0, Math.min(wanted, this.freeSlots))
    this.reserved += slots
    return slots
  }

  adopt(slots: number, runs: ReadonlyArray<ClaimedRun>): void {
    this.reserved -= slots
    // The lease may have run out while the answer was on its way: what nobody has taken since is handed back.
    if (runs.some(({ startedAt }) => startedAt < this.lease.lapsedAt)) this.suspect()
    else this.take(runs)
    this.afterRemoval()
  }

  holds(run: string): boolean {
    return this.held.has(run)
  }

  hint(hint: Hint): void {
    if (hint._tag === "Ready") {
      if (this.settings.queues.includes(hint.queue)) this.claimer.hint()
    } else if (hint._tag === "Scheduled") {
      this.scheduleLoop.hint()
    } else if (hint._tag === "Ping") {
      if (hint.worker === this.ref.id) this.pingResponder.add(hint.nonce)
    } else if (hint._tag === "Inbox" && hint.worker === this.ref.id) {
      const hold = this.held.get(hint.run)
      if (hold !== undefined) this.readInbox(hold)
    }
  }

  suspect(): void {
    this.suspectSince = this.now()
  }

  // --- for its holds ---

  now(): number {
    return this.journal.now()
  }

  mayStart(): boolean {
    return !this.draining && this.lease.isGood
  }

  isDraining(): boolean {
    return this.draining
  }

  readonly runBody: Host["runBody"] = (hold, op, done) => runBody(hold, op, done)

  readonly runTransaction: Host["runTransaction"] = (hold, op) =>
    runTransaction({
      hold,
      op,
      journal: this.journal,
      worker: this.ref,
      lost: (lost) => {
        this.suspect()
        lost.drop()
      }
    })

  commit(hold: Hold): void {
    this.committer.add(hold)
  }

  readInbox(hold: Hold): void {
    this.unreadInboxes.add(hold)
    this.inboxWork.open()
  }

  wakeAt(hold: Hold, due: number): void {
    if (due < hold.alarm.due) this.timers.set(hold.alarm, due)
  }

  stray(hold: Hold, stray: Stray): void {
    if (this.strays.size >= MOST_STRAYS || this.strays.has(hold.id)) return
    this.strays.set(hold.id, stray)
    this.inboxWork.open()
  }

  changed(hold: Hold): void {
    // A run that was given up is not to be kept alive by its timers.
    if (hold.state === "gone") this.timers.clear(hold.alarm)
    if (hold.state === "idle") {
      this.idle.add(hold)
      this.claimer.slotFreed()
      // Holding is for free only as long as there are few: the one that has been idle longest is written down.
      if (this.idle.size > this.settings.hotRuns) {
        for (const oldest of this.idle) {
          oldest.suspendNow()
          break
        }
      }
    } else this.idle.delete(hold)
  }

  progressed(hold: Hold): void {
    this.journal.process.watch.progressed(hold.id)
  }

  suspended(hold: Hold): void {
    this.held.delete(hold.id)
    if (this.draining) hold.forget()
    else this.hot.add(hold)
    this.journal.process.watch.left(hold.id)
    this.afterRemoval()
    // A message may have come between the commit's snapshot and now: storage has made the run claimable then.
  }

  ended(hold: Hold, ending: Ending | null): void {
    if (this.held.get(hold.id) === hold) this.held.delete(hold.id)
    if (ending !== null) this.journal.process.watch.ended(hold.id, ending)
    else this.journal.process.watch.left(hold.id)
    this.afterRemoval()
  }

  // --- its loops ---

  /** Read the inboxes of the holds that were hinted. */
  readonly readInboxes: Effect.Effect<number, JournalError> = Effect.suspend(() => {
    const page = [...this.unreadInboxes].slice(0, INBOX_PAGE)
    for (const hold of page) this.unreadInboxes.delete(hold)
    const held = page.filter((hold) => hold.state !== "gone")
    if (held.length === 0) return Effect.succeed(0)
    const asked = new Map(held.map(({ id, run }) => [id, run]))
    return this.journal.inbox(held.map(({ id, seen }) => ({ run: id, after: seen }))).pipe(
      Effect.map((answers) => {
        for (const { run, ...inbox } of answers) {
          const before = asked.get(run)
          if (before !== undefined) this.held.get(run)?.receive(inbox, before)
        }
        return answers.length
      }),
      Effect.tapError(() =>
        Effect.sync(() => {
          for (const hold of page) this.unreadInboxes.add(hold)
        })
      )
    )
  })

  /** Tell suspended runs that they were seen to do what cannot be durable. */
  private readonly reportStrays: Effect.Effect<void, JournalError> = Effect.suspend(() => {
    if (this.strays.size === 0) return Effect.void
    const reports = Array.from(this.strays, ([run, { fiber, place }]) => {
      return { run, defect: notDurableWire(new NotDurable({ problem: "StrayWakeUp", place }), fiber).text ?? "null" }
    })
    return Effect.map(this.journal.reportStrays(reports), () => {
      for (const { run } of reports) this.strays.delete(run)
    })
  })

  readonly inboxLoop: Effect.Effect<never> = Effect.forever(
    Effect.suspend(() =>
      this.unreadInboxes.size === 0 && this.strays.size === 0 ? this.inboxWork.await : Effect.catchAll(
        Effect.retry(Effect.zipRight(this.reportStrays, this.readInboxes), {
          schedule: transientFaults,
          while: (error) => error.retryable
        }),
        (error) => Effect.logError("inboxes cannot be read").pipe(Effect.annotateLogs({ error: error.message }))
      )
    )
  )

  /** Hints may be lost: look into every held run's inbox now and then, and make good for claims whose answers were. */
  readonly upkeepOnce: Effect.Effect<void, JournalError> = Effect.suspend(() => {
    for (const hold of this.held.values()) this.unreadInboxes.add(hold)
    if (this.unreadInboxes.size > 0) this.inboxWork.open()
    const since = this.suspectSince
    if (since === undefined || this.reserved > 0) return Effect.void
    const claimedBefore = this.now() - this.settings.leaseMillis / 3
    // Well before: the time of the suspicion is an estimate, and the statement may have gone on for a while.
    if (since > claimedBefore - this.settings.leaseMillis / 3) return Effect.void
    const held = [...this.held.keys()]
    return Effect.asVoid(Effect.tap(
      this.journal.reconcile({ worker: this.ref, held, claimedBefore }),
      () => {
        if (this.suspectSince === since) this.suspectSince = undefined
        return Effect.void
      }
    ))
  })

  readonly upkeepLoop: Effect.Effect<never> = Effect.forever(Effect.suspend(() =>
    Effect.zipRight(
      Effect.sleep(Duration.millis(this.settings.leaseMillis / 3)),
      Effect.catchAll(this.upkeepOnce, (error) =>
        Effect.logWarning("upkeep failed").pipe(Effect.annotateLogs({ error: error.message })))
    )
  ))

  /** After the lease had run out: let go of the runs that others have by now. */
  private readonly dropLost: Effect.Effect<void, JournalError> = Effect.suspend(() => {
    const held = [...this.held.values()]
    if (held.length === 0) return Effect.void
    return Effect.map(this.journal.get(held.map((hold) => hold.id)), (records) => {
      const epochs = new Map(records.map((record) => [record.id, record.status === "running" ? record.epoch : -1]))
      for (const hold of held) if (hold.state !== "gone" && hold.run.epoch !== epochs.get(hold.id)) hold.drop()
    })
  })

  /** Claim no more; finish, suspend or hand back what is held; interrupt the steps that take too long; give up the lease. */
  readonly drain: Effect.Effect<void> = Effect.suspend(() => {
    this.draining = true
    this.hot.clear()
    this.pokeAll()
    const emptying: Effect.Effect<void> = Effect.suspend(() =>
      this.held.size === 0 && this.reserved === 0 ? Effect.void : Effect.zipRight(this.emptied.await, emptying)
    )
    // A drain is a finalizer, which cannot be interrupted: without this, no time limit would have an effect.
    const empty = Effect.interruptible(emptying)
    const interruptBodies = Effect.sync(() => {
      for (const hold of this.held.values()) {
        hold.stopBodies()
        hold.poke()
      }
    })
    return empty.pipe(
      Effect.timeoutOption(Duration.millis(this.settings.drainMillis)),
      Effect.tap((done) =>
        done._tag === "Some" ? Effect.void : Effect.zipRight(interruptBodies, Effect.timeoutOption(empty, "5 seconds"))
      ),
      Effect.zipRight(Effect.timeoutOption(Effect.interruptible(this.journal.retire(this.ref)), "5 seconds")),
      Effect.catchAll((error) =>
        Effect.logWarning("the lease was not given up, its runs go to others when it runs out").pipe(
          Effect.annotateLogs({ error: error.message })
        )
      ),
      Effect.asVoid,
      Effect.ensuring(Effect.sync(() => {
        for (const hold of [...this.held.values()]) hold.drop()
      }))
    )
  })

  // --- inside ---

  private get counts() {
    const { concurrency, queues } = this.settings
    const [held, idle] = [this.held.size, this.idle.size]
    return {
      queues,
      concurrency,
      draining: this.draining,
      runs: { held, active: held - idle, idle, hot: this.hot.sequences.size }
    }
  }

  private get freeSlots(): number {
    return this.settings.concurrency - (this.held.size - this.idle.size) - this.reserved
  }

  private take(runs: ReadonlyArray<ClaimedRun>): void {
    for (const run of runs) {
      const before = this.held.get(run.id)
      // A run that is claimed again was lost by its earlier hold, which has not heard of it yet.
      before?.drop()
      const kept = this.hot.take(run)
      if (kept !== undefined) {
        this.held.set(run.id, kept)
        kept.resume(run)
        continue
      }
      const registered = this.journal.process.registrations.find(run.workflow, run.version)
      if (registered === undefined) {
        this.suspect()
        continue
      }
      const hold = new Hold(run, registered, this)
      this.held.set(run.id, hold)
      hold.begin()
    }
  }

  private pokeAll(): void {
    for (const hold of [...this.held.values()]) hold.poke()
  }

  private afterRemoval(): void {
    this.claimer.slotFreed()
    if (this.draining && this.held.size === 0 && this.reserved === 0) this.emptied.open()
  }
}
