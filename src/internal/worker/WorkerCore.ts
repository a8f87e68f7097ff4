/**
 * A worker: its parts, wired together. The loops are effects; `Worker.layer` supervises them, and tests call `runOnce`
 * of each part.
 *
 * | part            | task                                                                  |
 * |-----------------|-----------------------------------------------------------------------|
 * | `claimer`       | claims runs while the worker has capacity                             |
 * | `runs`          | the holds, one for each claimed run                                   |
 * | `hot`           | machines of suspended runs                                            |
 * | `committer`     | writes the commits of holds                                           |
 * | `inboxReader`   | reads the inboxes of holds                                            |
 * | `timers`        | wakes holds at their times                                            |
 * | `lease`         | heartbeats; releases the runs of dead workers                         |
 * | `bodies`        | the step bodies that execute; warns of long ones                      |
 * | `upkeep`        | finds what lost hints and lost results left behind                    |
 * | `scheduleLoop`  | fires due schedules                                                   |
 * | `pingResponder` | answers pings                                                         |
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { JournalService } from "../../Journal.js"
import type { ClaimedRun, Hint, WorkerRef } from "../../driver/JournalDriver.js"
import type { ReadableEnding } from "../codec/endings.js"
import type { Stray } from "../machine/Machine.js"
import type { LocalWorker } from "../process/Process.js"
import { runBody, runTransaction } from "./bodies.js"
import { Claimer } from "./Claimer.js"
import { Committer } from "./Committer.js"
import { drain } from "./drain.js"
import { HeldRuns } from "./HeldRuns.js"
import { Hold } from "./Hold.js"
import type { Host } from "./Host.js"
import { HotCache } from "./HotCache.js"
import { InboxReader } from "./InboxReader.js"
import { Latch } from "./Latch.js"
import { Lease } from "./Lease.js"
import { parkUnreadable } from "./parking.js"
import { PingResponder } from "./PingResponder.js"
import { RunningBodies } from "./RunningBodies.js"
import { ScheduleLoop } from "./ScheduleLoop.js"
import { TimerQueue } from "./TimerQueue.js"
import { Upkeep } from "./Upkeep.js"

/** The checked options of a worker, in milliseconds and counts. */
export interface WorkerSettings {
  readonly queues: ReadonlyArray<string>
  readonly concurrency: number
  readonly claimBatch: number
  readonly commitBatch: number
  /** The size of one statement of commits, in characters. */
  readonly commitSize: number
  readonly commitsInFlight: number
  readonly pollMillis: number
  readonly leaseMillis: number
  readonly busyMillis: number
  readonly maxCrashes: number
  readonly lingerMillis: number
  readonly hotRuns: number
  readonly hotMillis: number
  readonly stepMillis: number
  readonly longStepMillis: number
  readonly interruptMillis: number
  readonly drainMillis: number
}

export class WorkerCore implements LocalWorker, Host<Hold> {
  readonly claimer: Claimer
  readonly committer: Committer
  readonly lease: Lease
  readonly pingResponder: PingResponder
  readonly scheduleLoop: ScheduleLoop
  readonly timers: TimerQueue
  readonly hot: HotCache
  readonly inboxReader: InboxReader
  readonly bodies: RunningBodies
  readonly upkeep: Upkeep
  readonly lingerMillis: number
  private readonly runs: HeldRuns
  private readonly emptied = new Latch()
  private draining = false

  constructor(
    private readonly journal: JournalService,
    readonly ref: WorkerRef,
    readonly settings: WorkerSettings,
    /** Describes the process. */
    describeProcess: () => object = () => ({})
  ) {
    this.lingerMillis = settings.lingerMillis
    this.runs = new HeldRuns(settings.concurrency)
    this.timers = new TimerQueue(() => this.now())
    this.hot = new HotCache(settings.hotRuns, settings.hotMillis, this.timers, () => this.now())
    this.committer = new Committer(journal, ref, settings.commitBatch, settings.commitSize)
    this.inboxReader = new InboxReader(journal, this.runs)
    this.bodies = new RunningBodies(() => journal.process.time.monotonic(), settings.longStepMillis)
    this.upkeep = new Upkeep(journal, ref, this.runs, this.inboxReader, this.bodies, settings.leaseMillis)
    this.pingResponder = new PingResponder(journal, ref)
    this.scheduleLoop = new ScheduleLoop(journal, settings.pollMillis)
    this.lease = new Lease(journal, {
      worker: ref,
      leaseMillis: settings.leaseMillis,
      maxCrashes: settings.maxCrashes,
      executing: () => this.bodies.names,
      onLapse: this.upkeep.dropLost,
      info: () => JSON.stringify({ ...describeProcess(), ...this.description }),
      onPing: (nonce) => this.pingResponder.add(nonce),
      onChange: () => {
        this.advanceAll()
        this.claimer.hint()
      }
    })
    this.claimer = new Claimer(journal, {
      worker: ref,
      queues: settings.queues,
      batch: settings.claimBatch,
      pollMillis: settings.pollMillis,
      concurrency: settings.concurrency,
      capacity: () => this.runs.capacity,
      hot: () => this.hot.offer(),
      claimed: () => this.hot.release(),
      adopt: (runs) => this.take(runs),
      park: (runs) => parkUnreadable(journal, ref, runs),
      lapses: () => this.lease.lapses,
      suspect: () => this.suspect(),
      mayClaim: () => this.mayStart()
    })
  }

  // --- for starts of runs in the same process ---

  reserve(
    run: { readonly workflow: string; readonly version: string; readonly queue: string },
    wanted: number
  ): number {
    if (!this.mayStart() || this.claimer.backlog || !this.settings.queues.includes(run.queue)) return 0
    if (this.journal.process.registrations.find(run.workflow, run.version) === undefined) return 0
    return this.runs.reserve(wanted)
  }

  adopt(reserved: number, runs: ReadonlyArray<ClaimedRun>): void {
    this.runs.release(reserved)
    // The lease may have run out before the result came: runs that no other worker has claimed since are handed back.
    if (runs.some(({ startedAt }) => startedAt < this.lease.lapsedAt)) this.suspect()
    else this.take(runs)
    this.capacityFreed()
  }

  holds(run: string): boolean {
    return this.runs.has(run)
  }

  hint(hint: Hint): void {
    if (hint._tag === "Ready") {
      if (this.settings.queues.includes(hint.queue)) this.claimer.hint()
    } else if (hint._tag === "Scheduled") {
      this.scheduleLoop.hint()
    } else if (hint._tag === "Ping") {
      if (hint.worker === this.ref.id) this.pingResponder.add(hint.nonce)
    } else if (hint._tag === "Inbox" && hint.worker === this.ref.id) {
      const hold = this.runs.get(hint.run)
      if (hold !== undefined) this.readInbox(hold)
    }
  }

  suspect(): void {
    this.upkeep.suspect()
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

  readonly runBody: Host<Hold>["runBody"] = (hold, op, done) =>
    runBody({ hold, op, done, bodies: this.bodies, limits: this.settings })

  readonly runTransaction: Host<Hold>["runTransaction"] = (hold, op) =>
    runTransaction({
      hold,
      op,
      journal: this.journal,
      worker: this.ref,
      bodies: this.bodies,
      limits: this.settings,
      lost: (lost) => {
        this.suspect()
        lost.drop()
      }
    })

  commit(hold: Hold): void {
    this.committer.add(hold)
  }

  readInbox(hold: Hold): void {
    this.inboxReader.add(hold)
  }

  wakeAt(hold: Hold, due: number): void {
    if (due < hold.alarm.due) this.timers.set(hold.alarm, due)
  }

  stray(hold: Hold, stray: Stray): void {
    this.inboxReader.addStray(hold.id, stray)
  }

  changed(hold: Hold): void {
    // An alarm would keep a hold that is gone in memory.
    if (hold.state === "gone") this.timers.clear(hold.alarm)
    if (hold.state !== "idle") return this.runs.setBusy(hold)
    const oldest = this.runs.setIdle(hold, this.settings.hotRuns)
    this.claimer.capacityFreed()
    // Idle runs use memory: above the bound, the longest idle one is suspended.
    oldest?.suspendNow()
  }

  progressed(hold: Hold): void {
    this.journal.process.watch.progressed(hold.id)
  }

  suspended(hold: Hold): void {
    this.runs.remove(hold)
    if (this.draining) hold.forget()
    else this.hot.add(hold)
    this.journal.process.watch.left(hold.id)
    this.capacityFreed()
    // If a message came since the commit, storage has made the run claimable.
  }

  ended(hold: Hold, ending: ReadableEnding | null): void {
    this.runs.remove(hold)
    if (ending !== null) this.journal.process.watch.ended(hold.id, ending)
    else this.journal.process.watch.left(hold.id)
    this.capacityFreed()
  }

  /** Until the scope closes, the driver keeps the lease while the event loop is busy, if it can. */
  readonly keepLease: Effect.Effect<void, never, Scope.Scope> = Effect.suspend(() => {
    const { journal: { keepLease }, ref: worker, settings: { busyMillis, leaseMillis } } = this
    if (keepLease === undefined || busyMillis <= leaseMillis) return Effect.void
    return Effect.map(keepLease({ worker, leaseMillis, busyMillis }), (keeper) => this.lease.keepWith(keeper))
  })

  // --- its end ---

  /** Finish the steps that run, release all runs and give up the lease. */
  readonly drain: Effect.Effect<void> = Effect.suspend(() => {
    this.draining = true
    this.hot.clear()
    this.advanceAll()
    const { journal, ref: worker, runs, emptied, settings: { drainMillis } } = this
    return drain({ journal, worker, runs, emptied, drainMillis })
  })

  // --- private ---

  private get description() {
    const { concurrency, queues } = this.settings
    return {
      queues,
      concurrency,
      draining: this.draining,
      runs: { ...this.runs.counts, hot: this.hot.sequences.size },
      steps: this.bodies.description
    }
  }

  private take(runs: ReadonlyArray<ClaimedRun>): void {
    for (const run of runs) {
      // The run was lost and claimed again, and its earlier hold does not know it yet.
      this.runs.get(run.id)?.drop()
      const hot = this.hot.take(run)
      if (hot !== undefined) {
        this.runs.add(hot)
        hot.resume(run)
        continue
      }
      const registration = this.journal.process.registrations.find(run.workflow, run.version)
      if (registration === undefined) {
        this.suspect()
        continue
      }
      const hold = new Hold(run, registration, this)
      this.runs.add(hold)
      hold.start()
    }
  }

  private advanceAll(): void {
    for (const hold of this.runs.all) hold.advance()
  }

  private capacityFreed(): void {
    this.claimer.capacityFreed()
    if (this.draining && this.runs.isEmpty) this.emptied.open()
  }
}
