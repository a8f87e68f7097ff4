/**
 * A worker's hold on one run, from claim to suspension or end: its execution, its step bodies and its commits. Plain
 * synchronous code driven by events; it asks its `Host` for everything that takes time.
 *
 * | state     | meaning                                                        | leaves by                     |
 * |-----------|----------------------------------------------------------------|-------------------------------|
 * | `active`  | step bodies run, or something waits to be written              | nothing left to do → `idle`   |
 * | `idle`    | all ops wait for time or messages; held, but costs no slot     | event → `active`; linger over → `leaving` |
 * | `leaving` | a commit that ends the hold is on its way; events are kept back | applied → `gone`; unseen → `active` |
 * | `gone`    | suspended (the machine may be kept), ended, handed back or lost | claimed again → `active`      |
 *
 * The rule of speculation: the machine is given a finished op's exit at once, but no step body starts and no message or
 * child leaves before everything that it follows from is durable or in the same commit.
 */
import * as Either from "effect/Either"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type * as FiberRefs from "effect/FiberRefs"
import type { ClaimedRun, CommitResult, Inbox, Transition } from "../../driver/JournalDriver.js"
import type { Stray } from "../machine/Machine.js"
import type { Op } from "../machine/Op.js"
import type { WorkflowRegistration } from "../process/Registration.js"
import type { Ending } from "../process/RunWatch.js"
import { shown } from "../util/show.js"
import type { TakenDraft } from "./Draft.js"
import { Draft } from "./Draft.js"
import { Execution } from "./Execution.js"
import { Alarm } from "./TimerQueue.js"

type BodyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** What a hold asks of its worker. */
export interface Host {
  /** The driver's time as estimated, in milliseconds. */
  readonly now: () => number
  /** How long an idle run that waits for a message is held before it is written down as suspended. */
  readonly lingerMillis: number
  /** Whether step bodies may start: the lease is good and the worker is not stopping. */
  readonly mayStart: () => boolean
  readonly isDraining: () => boolean
  /** Run a body; `done` is told its exit, unless it was interrupted through what this returns. */
  readonly runBody: (hold: Hold, op: Op, done: (exit: Exit.Exit<unknown, unknown>) => void) => BodyFiber
  /** Run a body and its entry in one storage transaction. */
  readonly runTransaction: (hold: Hold, op: Op) => BodyFiber
  /** The hold has something to write. */
  readonly commit: (hold: Hold) => void
  readonly readInbox: (hold: Hold) => void
  /** The run woke outside of its machine while it is not held. */
  readonly stray: (hold: Hold, stray: Stray) => void
  /** Poke the hold at this time or earlier, whereupon it asks again. */
  readonly wakeAt: (hold: Hold, due: number) => void
  /** Storage may say that runs are held here which are not: they are to be handed back. */
  readonly suspect: () => void
  /** The state changed. */
  readonly changed: (hold: Hold) => void
  /** A commit is durable. */
  readonly progressed: (hold: Hold) => void
  readonly suspended: (hold: Hold) => void
  readonly ended: (hold: Hold, ending: Ending | null) => void
}

export type HoldState = "active" | "idle" | "leaving" | "gone"

interface WaitingWork {
  readonly op: Op
  /** It may begin when everything up to this mark of the draft is durable. */
  readonly mark: number
}

export class Hold {
  state: HoldState = "active"
  /** For its worker: rings when the hold is to be poked. It is set only while the run is held. */
  readonly alarm = new Alarm(() => this.poke())
  private execution: Execution
  private inFlight: TakenDraft | undefined
  private durableMark = 0
  private waitingWork: Array<WaitingWork> = []
  private readonly bodies = new Map<Op, BodyFiber | undefined>()
  private transactionOp: Op | undefined
  private idleSince = 0
  /** The run is to be paused: no body begins, and what runs is finished and written down. */
  private pausing = false
  private readonly events: Array<() => void> = []
  private pumping = false

  constructor(
    /** The run as claimed last. */
    public run: ClaimedRun,
    private readonly registered: WorkflowRegistration,
    private readonly host: Host
  ) {
    this.execution = this.execute(run)
  }

  get id(): string {
    return this.run.id
  }

  /** The sequence number after the last durable entry, when nothing is in flight. */
  get nextSeq(): number {
    return this.execution.draft.nextSeq
  }

  /** The inbox sequence up to which messages are known. */
  get seen(): number {
    return this.execution.mailbox.seen
  }

  /** The refs of a fiber of the run, for what runs outside of the machine. */
  outsideRefs(inside: FiberRefs.FiberRefs): FiberRefs.FiberRefs {
    return this.execution.outsideRefs(inside)
  }

  // --- events ---

  /** Build the machine and replay the journal. */
  begin(): void {
    const transition = this.safely(() => this.execution.open())
    if (transition !== undefined) return this.leave(transition)
    this.pump()
  }

  /** Go on with the machine that was kept when this run was suspended. */
  resume(run: ClaimedRun): void {
    this.run = run
    this.pausing = false
    this.execution.mailbox.reset(run.inbox, run.seen)
    this.become("active")
    this.pump()
  }

  /**
   * What was not known when the run was held as `asked`: messages, which with those that were known are complete up to
   * `seen`, and whether the run is to be paused.
   */
  receive({ messages, pausing, seen }: Omit<Inbox, "run">, asked: ClaimedRun): void {
    if (this.state === "gone") return
    // The read was sent in another claim or generation: it may bring what was consumed since, and lack what is unread now.
    if (asked !== this.run) return this.host.readInbox(this)
    this.pausing = pausing
    this.execution.mailbox.add(messages, seen)
    this.pump()
  }

  /** A time that was asked for has come, or what the worker allows has changed. */
  poke(): void {
    this.pump()
  }

  /** A step body ended. */
  bodyDone(op: Op, exit: Exit.Exit<unknown, unknown>): void {
    if (this.state === "gone" || op.data._tag !== "Step" || !this.bodies.delete(op)) return
    const { encode } = op.data
    this.enqueue(() => this.execution.settle(op, encode(exit)))
  }

  /** A commit has been answered. */
  committed(answer: CommitResult): void {
    const taken = this.inFlight
    if (taken === undefined || this.state === "gone") return
    this.inFlight = undefined
    switch (answer._tag) {
      case "Lost":
        return this.drop()
      case "Unseen":
        return this.unseen(taken)
      case "Applied":
        this.durableMark = taken.mark
        this.host.progressed(this)
        if (taken.commit.transition !== null) return this.left(taken, taken.commit.transition)
        this.enqueue(() => {
          taken.messages.forEach(({ op }, index) => {
            const value = answer.dispositions[index]
            if (op === null || value === undefined) return
            this.execution.settle(op, { kind: "success", data: value, text: JSON.stringify(value) })
          })
        })
    }
  }

  /** The commit was not written: it is to be tried again, alone. */
  notWritten(): void {
    const taken = this.inFlight
    if (taken === undefined) return
    this.inFlight = undefined
    const { draft } = this.execution
    draft.restore(taken)
    const { seen, transition } = taken.commit
    if (draft.transition !== null || transition === null) return
    draft.transition = transition
    if (transition._tag === "Suspend") draft.decide(seen)
  }

  /** The commit cannot be written, ever: park the run, with what is durable. */
  refused(detail: string): void {
    if (this.state === "gone") return
    if (this.inFlight?.commit.transition?._tag === "Diverge") {
      // Not even that can be written: leave the run to a later claim instead of asking again and again.
      this.host.suspect()
      return this.drop()
    }
    this.giveUpDraft(this.inFlight)
    this.park({ reason: "refused", detail })
  }

  /** Forget the run: it is held by another, or will be claimed anew. */
  drop(): void {
    if (this.state !== "gone") this.over(null)
  }

  /** Interrupt the bodies that still run. Their ops stay open: they are for whoever claims the run next. */
  stopBodies(): void {
    for (const fiber of this.bodies.values()) fiber?.unsafeInterruptAsFork(FiberId.none)
    this.bodies.clear()
    this.waitingWork = []
  }

  /** Let go of the machine. */
  forget(): void {
    this.execution.forget()
  }

  /**
   * Let the run be claimed anew, at once and with its whole inbox. If a commit is given, nothing of it was written, and the
   * program has gone on as if it were: only what is durable counts.
   */
  handBack(unwritten: TakenDraft | undefined): void {
    if (this.state === "gone" || (this.state === "leaving" && unwritten === undefined)) return
    if (unwritten === undefined) this.stopBodies()
    else this.giveUpDraft(unwritten)
    this.leave({ _tag: "Release", at: this.host.now() })
  }

  /** Write the run down as suspended now, if it is idle. */
  suspendNow(): void {
    if (this.state === "idle" && this.inFlight === undefined) this.leave(this.execution.suspension())
  }

  // --- commits ---

  get canCommit(): boolean {
    return this.state !== "gone" && this.inFlight === undefined && this.transactionOp === undefined &&
      !this.execution.draft.isEmpty
  }

  takeCommit(): TakenDraft {
    const taken = this.execution.draft.take({ id: this.run.id, epoch: this.run.epoch, seen: this.seen })
    this.inFlight = taken
    return taken
  }

  /** Inside the transaction of a step: deliver its exit, and give the commit that belongs to it. */
  transactionDone(op: Op, exit: Exit.Exit<unknown, unknown>): TakenDraft | undefined {
    if (this.state === "gone" || op.data._tag !== "Step" || !this.bodies.delete(op)) return undefined
    const { encode } = op.data
    this.enqueue(() => this.execution.settle(op, encode(exit)))
    return this.takeCommit()
  }

  /** The transaction of a step is over: other commits may go on. */
  transactionOver(op: Op): void {
    if (this.transactionOp === op) this.transactionOp = undefined
  }

  // --- inside ---

  private execute(run: ClaimedRun): Execution {
    return new Execution(run, this.registered, {
      now: () => this.host.now(),
      work: (op, mark) => this.waitingWork.push({ op, mark }),
      cancelled: (op) => this.cancelled(op),
      stray: (stray) => {
        // A run that is written down as suspended, or was given up, is told by a message to itself.
        if (this.state === "leaving" || this.state === "gone") this.host.stray(this, stray)
        else this.pump()
      }
    })
  }

  private enqueue(event: () => void): void {
    this.events.push(event)
    this.pump()
  }

  /** Do all that can be done now. */
  private pump(): void {
    if (this.pumping || this.state === "gone") return
    this.pumping = true
    this.safely(() => this.work())
    this.pumping = false
    if (this.canCommit) this.host.commit(this)
  }

  /** Nothing that a program's code throws where no fiber catches it may harm another run: this one is parked. */
  private safely<A>(run: () => A): A | undefined {
    const done = Either.try({ try: run, catch: shown })
    if (Either.isRight(done)) return done.right
    this.park({ reason: "broken", detail: done.left })
    return undefined
  }

  private work(): void {
    const { execution } = this
    // Once a commit that ends the hold is on its way, nothing may be added to it.
    while (this.state === "active" || this.state === "idle") {
      if (execution.parking !== undefined) return this.park(execution.parking)
      const event = this.events.shift()
      if (event !== undefined) {
        event()
        continue
      }
      const end = execution.end()
      if (end !== undefined) {
        this.stopBodies()
        return this.leave(end)
      }
      if (execution.nextEntry()) continue
      this.startWork()
      if (this.events.length === 0) return this.rest()
    }
  }

  private startWork(): void {
    for (let next = this.waitingWork[0]; next !== undefined; next = this.waitingWork[0]) {
      const { mark, op } = next
      const isReady = mark <= this.durableMark && this.transactionOp === undefined
      if (op.data._tag === "Send") {
        // A message goes with the next commit, and only to a child that leaves with that same commit has it to wait.
        if (!isReady && this.execution.draft.hasChild(op.data.to)) return
        this.waitingWork.shift()
        this.execution.send(op)
        continue
      }
      if (!isReady || this.pausing || !this.host.mayStart()) return
      const isTransaction = op.data._tag === "Step" && op.data.transaction
      // The commit of a transaction is the only one of its run until it is over.
      if (isTransaction && (this.inFlight !== undefined || !this.execution.draft.isEmpty)) return
      this.waitingWork.shift()
      this.become("active")
      if (isTransaction) this.transactionOp = op
      // It may be done before its fiber is known here.
      this.bodies.set(op, undefined)
      const fiber = isTransaction
        ? this.host.runTransaction(this, op)
        : this.host.runBody(this, op, (exit) => this.bodyDone(op, exit))
      if (this.bodies.has(op)) this.bodies.set(op, fiber)
    }
  }

  private cancelled(op: Op): void {
    this.waitingWork = this.waitingWork.filter((waiting) => waiting.op !== op)
    this.bodies.get(op)?.unsafeInterruptAsFork(FiberId.none)
    this.bodies.delete(op)
  }

  /** Nothing can be done now: decide whether to keep holding the run. */
  private rest(): void {
    const { draft, isWaiting } = this.execution
    const settled = this.inFlight === undefined && this.transactionOp === undefined
    if (isWaiting) {
      if (this.state !== "idle") this.idleSince = this.host.now()
      if (settled && this.isTimeToSuspend()) return this.leave(this.execution.suspension())
    } else if (settled && this.isLettingGo && this.bodies.size === 0) {
      // What is left to do is for another worker, or for later.
      return this.leave({ _tag: "Release", at: this.host.now() })
    }
    const { wakeTime } = this.execution
    if (wakeTime < Infinity) this.host.wakeAt(this, wakeTime)
    this.become(isWaiting && settled && draft.isEmpty ? "idle" : "active")
  }

  /** As much as is going on is written down, and then no more is done. */
  private get isLettingGo(): boolean {
    return this.pausing || this.host.isDraining()
  }

  private isTimeToSuspend(): boolean {
    if (this.isLettingGo) return true
    const now = this.host.now()
    const { lingerMillis } = this.host
    if (this.execution.wakeTime - now <= lingerMillis) return false
    if (!this.execution.mailbox.isAwaiting) return true
    const leaveAt = this.idleSince + lingerMillis
    if (now >= leaveAt) return true
    this.host.wakeAt(this, leaveAt)
    return false
  }

  /** Messages came meanwhile, so nothing was written. */
  private unseen(taken: TakenDraft): void {
    if (taken.commit.closes.length > 0) {
      // One may have come while its window was about to close. It must be received, and the program has gone on without
      // it.
      return this.handBack(taken)
    }
    this.execution.draft.restore(taken)
    if (this.state === "leaving") this.become("active")
    this.host.readInbox(this)
  }

  /** Give up all that is not durable. */
  private giveUpDraft(taken: TakenDraft | undefined): void {
    this.inFlight = undefined
    this.stopBodies()
    this.execution.draft = new Draft(taken?.commit.from ?? this.nextSeq)
  }

  private park(detail: unknown): void {
    this.stopBodies()
    this.leave({ _tag: "Diverge", detail: JSON.stringify(detail) })
  }

  /** The draft ends the hold. */
  private leave(transition: Transition): void {
    const { draft } = this.execution
    draft.transition = transition
    // A message that is read between now and the commit must not pass for one that was considered.
    if (transition._tag === "Suspend") draft.decide(this.seen)
    this.become("leaving")
    if (this.canCommit) this.host.commit(this)
  }

  /** The commit that ended the hold was applied. */
  private left({ commit }: TakenDraft, transition: Transition): void {
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

  private over(ending: Ending | null): void {
    this.stopBodies()
    this.forget()
    this.become("gone")
    this.host.ended(this, ending)
  }

  private continueAsNew(payload: string, startedAt: number, nextSeq: number): void {
    this.forget()
    this.events.length = 0
    this.waitingWork = []
    this.durableMark = 0
    const generation = this.run.generation + 1
    // Unread signals stay in storage; they are read again from the beginning.
    this.run = { ...this.run, payload, startedAt, nextSeq, generation, journal: [], inbox: [], seen: 0 }
    this.execution = this.execute(this.run)
    this.become("active")
    this.host.readInbox(this)
    this.begin()
  }

  private become(state: HoldState): void {
    if (this.state === state) return
    this.state = state
    this.host.changed(this)
  }
}
