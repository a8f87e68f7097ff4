/**
 * A worker's hold on one run, from its claim to its suspension or end: its execution, its step bodies and its commits.
 * Plain synchronous code driven by events; its `Host` does everything that takes time.
 *
 * | state     | meaning                                              | leaves by                                    |
 * |-----------|------------------------------------------------------|----------------------------------------------|
 * | `active`  | step bodies run, or the draft has content            | only waits left → `idle`; an end → `leaving` |
 * | `idle`    | all ops wait for times or messages; uses no capacity | event → `active`; linger over → `leaving`    |
 * | `leaving` | the last commit is on its way; events are kept       | applied → `gone`; unseen → `active`          |
 * | `gone`    | suspended (its machine may be hot), ended or lost    | claimed again → `active`                     |
 *
 * Speculation: the machine gets the exit of a finished op immediately. A step body starts only when everything that it
 * follows from is durable; a message or a child leaves in the same commit as what it follows from, or in a later one.
 */
import * as Either from "effect/Either"
import type * as Exit from "effect/Exit"
import type * as FiberRefs from "effect/FiberRefs"
import type { ClaimedRun, CommitResult, HolderNews, Inbox, Transition } from "../../driver/JournalDriver.js"
import type { ReadableEnding } from "../codec/endings.js"
import { successWire, type WireExit } from "../codec/exits.js"
import type { Op, StepData } from "../machine/Op.js"
import type { WorkflowRegistration } from "../process/Registration.js"
import { runForkWith } from "../util/runtime.js"
import { shown } from "../util/show.js"
import type { DraftCommit } from "./Draft.js"
import { Contention } from "./Contention.js"
import { cancelled, Execution } from "./Execution.js"
import type { Host } from "./Host.js"
import { PendingWork } from "./PendingWork.js"
import { attemptReport, endReport } from "./reports.js"
import { Alarm } from "./TimerQueue.js"

export type HoldState = "active" | "idle" | "leaving" | "gone"

export class Hold {
  state: HoldState = "active"
  /** Set by the worker, only while the run is held. */
  readonly alarm = new Alarm(() => this.advance())
  private execution: Execution
  private readonly work = new PendingWork()
  private idleSince = 0
  /** The claim in which the run has committed: since then it is no suspect of a crash. */
  private cleared: ClaimedRun | undefined
  /** The run is to be paused: no body starts; bodies that run are finished and committed. */
  private pausing = false
  readonly contention = new Contention()
  private readonly events: Array<() => void> = []
  private isAdvancing = false

  constructor(
    /** The run as of its last claim. */
    public run: ClaimedRun,
    private readonly registration: WorkflowRegistration,
    private readonly host: Host<Hold>
  ) {
    this.execution = this.execute(run)
  }

  get id(): string {
    return this.run.id
  }

  /** The time limit that the workflow sets for its steps. `Infinity`: none. */
  get stepMillis(): number {
    return this.registration.stepMillis
  }

  /** The sequence number after the last durable entry, while no commit is on its way. */
  get nextSeq(): number {
    return this.execution.draft.nextSeq
  }

  /** The inbox sequence up to which the messages are complete. */
  get seen(): number {
    return this.execution.mailbox.seen
  }

  /** The fiber refs for a step body, from the refs of the fiber that requested the step. */
  outsideRefs(inside: FiberRefs.FiberRefs): FiberRefs.FiberRefs {
    return this.execution.outsideRefs(inside)
  }

  // --- events ---

  /** Make the machine and replay the journal. */
  start(): void {
    this.safely(() => this.execution.open())
    this.advance()
  }

  /** Continue with the machine that was kept when the run was suspended. */
  resume(run: ClaimedRun): void {
    this.run = run
    this.pausing = false
    this.execution.mailbox.reset(run.inbox, run.seen)
    this.become("active")
    this.advance()
  }

  /**
   * New messages, complete up to `seen`, and whether the run is to be paused; read while the run was held as `readFor`.
   */
  receive({ messages, pausing, seen }: Omit<Inbox, "run">, readFor: ClaimedRun): void {
    if (this.state === "gone") return
    // The read belongs to another claim or generation: it may have consumed messages, and lack unread ones.
    if (readFor !== this.run) return this.host.readInbox(this)
    this.pausing = pausing
    this.execution.mailbox.add(messages, seen)
    this.advance()
  }

  bodyDone(op: Op, exit: Exit.Exit<unknown, unknown>): void {
    if (this.state === "gone" || !this.work.finish(op)) return
    this.finishStep(op, exit)
  }

  /** Do everything that can be done now: a time has come, or the permissions of the worker have changed. */
  advance(): void {
    if (this.isAdvancing || this.state === "gone") return
    this.isAdvancing = true
    this.safely(() => this.process())
    this.isAdvancing = false
    if (this.canCommit) this.host.commit(this)
    else if (this.contention.until > this.host.now()) this.host.wakeAt(this, this.contention.until)
  }

  // --- commits ---

  get canCommit(): boolean {
    const { draft } = this.execution
    return this.state !== "gone" && draft.inFlight === undefined && this.work.transaction === undefined &&
      !draft.isEmpty && (this.contention.until === 0 || this.host.now() >= this.contention.until)
  }

  /** The size of the commit that is taken next, in characters. */
  get commitSize(): number {
    return this.execution.draft.nextSize
  }

  takeCommit(): DraftCommit {
    return this.execution.draft.take({ id: this.run.id, epoch: this.run.epoch, seen: this.seen })
  }

  /** The result of the commit that was taken last. */
  committed(result: CommitResult): void {
    const { draft } = this.execution
    const { inFlight } = draft
    if (inFlight === undefined || this.state === "gone") return
    switch (result._tag) {
      case "Lost":
        return this.drop()
      case "Unseen":
        return this.unseen(inFlight)
      case "Locked":
        draft.restoreWithTransition()
        this.contention.met(this.host.now())
        return this.host.wakeAt(this, this.contention.until)
      case "Applied":
        draft.applied()
        this.cleared = this.run
        this.contention.over()
        this.host.progressed(this)
        if (inFlight.commit.transition !== null) return this.left(inFlight, inFlight.commit.transition)
        this.heard(result.news)
        this.enqueue(() => {
          inFlight.messages.forEach(({ op }, index) => {
            const disposition = result.dispositions[index]
            if (op === null || disposition === undefined) return
            this.execution.settle(op, successWire(disposition, JSON.stringify(disposition)))
          })
        })
    }
  }

  /** The commit was not written. It is to be tried again, alone. */
  notWritten(): void {
    this.execution.draft.restoreWithTransition()
  }

  /** Storage will never accept the commit: park the run with what is durable. */
  refused(detail: string): void {
    if (this.state === "gone") return
    // Storage refuses to park it, too.
    if (this.execution.draft.inFlight?.commit.transition?._tag === "Diverge") return this.giveUp()
    this.discardDraft()
    this.park({ reason: "refused", detail })
  }

  /** Leave the run to a later claim: its state in storage is not certain. */
  giveUp(): void {
    this.host.suspect()
    this.drop()
  }

  /** What storage has of the run cannot be read: park the run when the commit on its way has a result. */
  unreadable(detail: string): void {
    this.execution.parking ??= { reason: "unreadable", detail }
    this.advance()
  }

  /** Inside the transaction of a step: deliver the exit of its body. Returns the commit to write in the transaction. */
  transactionDone(op: Op, exit: Exit.Exit<unknown, unknown>): DraftCommit | undefined {
    if (this.state === "gone" || !this.work.finish(op)) return undefined
    this.finishStep(op, exit)
    this.execution.draft.join()
    return this.takeCommit()
  }

  /**
   * Inside the transaction of a step: the commit of its entry without what the program decided after it. It releases
   * the run, because the program has continued.
   */
  transactionAlone(op: Op, exit: Exit.Exit<unknown, unknown>): DraftCommit | undefined {
    return this.settleAlone(op, exit) ? this.takeCommit() : undefined
  }

  /** The database rolled the transaction of a step back and always will: the step ends with `exit`. */
  transactionRefused(op: Op, exit: Exit.Exit<unknown, unknown>): void {
    this.settleAlone(op, exit)
  }

  /** The transaction of a step is over: other commits can be written. */
  transactionOver(op: Op): void {
    if (this.work.transaction === op) this.work.transaction = undefined
  }

  // --- ends ---

  /** Suspend the run now, if it is idle. */
  suspendNow(): void {
    if (this.state === "idle" && this.execution.draft.inFlight === undefined) this.leave(this.execution.suspension())
  }

  /** Release the run, so that it can be claimed again with its whole inbox, after a pause. */
  handBack(pauseMillis: number): void {
    if (this.state === "gone" || this.state === "leaving") return
    this.work.stop()
    this.leave({ _tag: "Release", at: this.host.now() + pauseMillis })
  }

  /** As `handBack`, without the commit on its way: it was not written, and the program has continued from it. */
  handBackDurable(pauseMillis = 0): void {
    if (this.state === "gone") return
    this.discardDraft()
    this.leave({ _tag: "Release", at: this.host.now() + pauseMillis })
  }

  /** Forget the run: another worker holds it, or it will be claimed again. */
  drop(): void {
    if (this.state !== "gone") this.over(null)
  }

  /** Interrupt the bodies that run. Their ops stay open for the next claim of the run. */
  stopBodies(): void {
    this.work.stop()
  }

  /** Drop the machine. */
  forget(): void {
    this.execution.forget()
  }

  // --- private: the loop ---

  private execute(run: ClaimedRun): Execution {
    return new Execution(run, this.registration, {
      now: () => this.host.now(),
      work: (op, mark) => this.work.add({ op, mark }),
      cancelled: (op) => this.work.cancel(op),
      stray: (stray) => {
        // A run that is suspended or was released gets a message to itself.
        if (this.state === "leaving" || this.state === "gone") this.host.stray(this, stray)
        else this.advance()
      }
    })
  }

  private finishStep(op: Op, exit: Exit.Exit<unknown, unknown>): void {
    const { data } = op
    if (data._tag === "Step") this.enqueue(() => this.execution.settle(op, this.encode(op, data, exit)))
  }

  /** The exit as it is stored. A failure is logged. */
  private encode(op: Op, data: StepData, exit: Exit.Exit<unknown, unknown>): WireExit {
    const wire = data.encode(exit)
    const report = attemptReport(this.run, op, exit, wire)
    if (report !== undefined) runForkWith(report, data.context, this.outsideRefs(data.fiberRefs))
    return wire
  }

  private enqueue(event: () => void): void {
    this.events.push(event)
    this.advance()
  }

  /** Parks this run if the code of its program throws outside of a fiber, so that no other run is harmed. */
  private safely<A>(run: () => A): A | undefined {
    const done = Either.try({ try: run, catch: shown })
    if (Either.isRight(done)) return done.right
    this.park({ reason: "broken", detail: done.left })
    return undefined
  }

  /** In this order: events, the end of the program, new entries, new work, rest. */
  private process(): void {
    const { execution } = this
    // A commit that ends the hold must stay the last one.
    while (this.state === "active" || this.state === "idle") {
      if (execution.parking !== undefined) return this.park(execution.parking)
      const event = this.events.shift()
      if (event !== undefined) {
        event()
        continue
      }
      if (execution.hasEnded) return this.programEnded()
      if (execution.nextEntry()) continue
      this.startWork()
      if (this.events.length === 0) return this.rest()
    }
  }

  private startWork(): void {
    const { execution, work } = this
    for (let item = work.next; item !== undefined; item = work.next) {
      const { mark, op } = item
      const isReady = execution.draft.isDurable(mark) && work.transaction === undefined
      if (op.data._tag === "Send") {
        // A message goes with the next commit. A message to a child of that commit waits until the child is durable.
        if (!isReady && execution.draft.hasChild(op.data.to)) return
        work.takeNext()
        execution.send(op)
        continue
      }
      if (!isReady || this.pausing || !this.host.mayStart()) return
      const isTransaction = op.data._tag === "Step" && op.data.transaction
      // The commit of a transaction is the only one of its run until the transaction is over.
      if (isTransaction && (execution.draft.inFlight !== undefined || !execution.draft.isEmpty)) return
      work.takeNext()
      this.become("active")
      if (isTransaction) work.transaction = op
      work.starting(op)
      const fiber = isTransaction
        ? this.host.runTransaction(this, op)
        : this.host.runBody(this, op, (exit) => this.bodyDone(op, exit))
      work.started(op, fiber)
    }
  }

  /** Nothing can be done now: suspend or release the run, or keep holding it. */
  private rest(): void {
    const { draft, isWaiting } = this.execution
    const isSettled = draft.inFlight === undefined && this.work.transaction === undefined
    if (isWaiting) {
      if (this.state !== "idle") this.idleSince = this.host.now()
      if (isSettled && this.isTimeToSuspend()) return this.leave(this.execution.suspension())
    } else if (isSettled && this.isLettingGo && !this.work.isRunning) {
      // Another worker, or a later claim, does the remaining work.
      return this.leave({ _tag: "Release", at: this.host.now() })
    }
    const { wakeTime } = this.execution
    if (wakeTime < Infinity) this.host.wakeAt(this, wakeTime)
    this.become(isWaiting && isSettled && draft.isEmpty ? "idle" : "active")
  }

  /** What runs is finished and committed, and nothing more starts. */
  private get isLettingGo(): boolean {
    return this.pausing || this.host.isDraining()
  }

  private isTimeToSuspend(): boolean {
    // A suspect of a crash that only waits is cleared by the commit that suspends it.
    if (this.isLettingGo || (this.run.crashes > 0 && this.cleared !== this.run)) return true
    const { lingerMillis } = this.host
    if (this.execution.wakeTime - this.host.now() <= lingerMillis) return false
    const suspendAt = this.idleSince + lingerMillis
    if (!this.execution.mailbox.isAwaiting || this.host.now() >= suspendAt) return true
    this.host.wakeAt(this, suspendAt)
    return false
  }

  // --- private: the end of the hold ---

  /**
   * The result of a commit reported the inbox, and a pause. A result without a pause can be older than the pause, so it
   * is checked.
   */
  private heard(news: HolderNews | null): void {
    if (news?.pausing === true) this.pausing = true
    else if (this.pausing) return this.host.readInbox(this)
    if (news !== null && news.inboxSeq > this.seen) this.host.readInbox(this)
  }

  /**
   * | before the end is durable   | the run is                                                                 |
   * |-----------------------------|----------------------------------------------------------------------------|
   * | nothing came                | ended                                                                      |
   * | a pause                     | released with the last entries, and paused; once it is resumed, it ends    |
   * | a cancel                    | released without the last entries: claimed again, its program gets the cancel |
   * | a cancel, and there are no such entries | ended: cancelled if nothing was journaled, else as its journal says |
   */
  private programEnded(): void {
    const { draft, missedCancel } = this.execution
    this.work.stop()
    if (missedCancel && draft.inFlight === undefined) {
      if (draft.hasEntries) return this.handBackDurable()
      if (draft.nextSeq === 0) {
        this.discardDraft()
        return this.leave(cancelled)
      }
    }
    const end = this.pausing ? { _tag: "Release", at: this.host.now() } as const : this.execution.end()
    if (end !== undefined) this.leave(end)
  }

  /** Messages arrived before the commit, so it was not written. */
  private unseen({ commit }: DraftCommit): void {
    // A message may have arrived before its window closed. It must be received, but the program has continued without
    // it.
    if (commit.closes.length > 0) return this.handBackDurable()
    this.execution.draft.restore()
    if (this.state === "leaving") this.become("active")
    this.host.readInbox(this)
  }

  /** Replace all that is not durable by the exit of one step, and release the run. Returns whether the run is held. */
  private settleAlone(op: Op, exit: Exit.Exit<unknown, unknown>): boolean {
    if (this.state === "gone" || op.data._tag !== "Step") return false
    this.discardDraft()
    // A success was delivered before.
    this.execution.record(op, exit._tag === "Success" ? op.data.encode(exit) : this.encode(op, op.data, exit))
    this.leave({ _tag: "Release", at: this.host.now() })
    return true
  }

  /** Discard everything that is not durable. */
  private discardDraft(): void {
    this.work.stop()
    this.execution.draft = this.execution.draft.discarded()
  }

  private park(detail: unknown): void {
    this.work.stop()
    this.leave({ _tag: "Diverge", detail: JSON.stringify(detail) })
  }

  /** The next commit ends the hold. */
  private leave(transition: Transition): void {
    const { draft } = this.execution
    draft.transition = transition
    // Valid only if the inbox has no later message (of a run that ends: no cancel), even one that is read before the
    // commit.
    if (transition._tag === "Suspend" || transition._tag === "Finish") draft.decide(this.seen)
    this.become("leaving")
    if (this.canCommit) this.host.commit(this)
  }

  /** The commit that ends the hold was applied. */
  private left({ commit }: DraftCommit, transition: Transition): void {
    const line = endReport(this.run, transition, this.execution.failure)
    if (line !== undefined) this.registration.log?.(line)
    switch (transition._tag) {
      case "Suspend":
        this.become("gone")
        return this.host.suspended(this)
      case "Continue":
        return this.continueAsNew(transition.payload, transition.at, commit.from + commit.entries.length)
      case "Finish":
        return this.over({ status: transition.status, exit: transition.exit, detail: null })
      case "Diverge":
      case "Release":
        return this.over(null)
    }
  }

  private over(ending: ReadableEnding | null): void {
    this.work.stop()
    this.forget()
    this.become("gone")
    this.host.ended(this, ending)
  }

  private continueAsNew(payload: string, startedAt: number, nextSeq: number): void {
    this.forget()
    this.events.length = 0
    this.work.stop()
    const generation = this.run.generation + 1
    // Unread signals stay in storage; they are read again from the start.
    this.run = { ...this.run, payload, startedAt, nextSeq, generation, journal: [], inbox: [], seen: 0 }
    this.execution = this.execute(this.run)
    this.become("active")
    this.host.readInbox(this)
    this.start()
  }

  private become(state: HoldState): void {
    if (this.state === state) return
    this.state = state
    this.host.changed(this)
  }
}
