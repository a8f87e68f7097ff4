/**
 * A run in memory: its machine, draft, mailbox and timers. It turns events (messages, times, exits of steps) into
 * entries, and the requests of the machine into the draft, waits and work. It starts nothing and has no access to
 * storage.
 *
 * | request of the machine   | becomes                                       | is finished by            |
 * |--------------------------|-----------------------------------------------|---------------------------|
 * | step, send               | work for the hold                             | `settle`                  |
 * | timer                    | a timer                                       | the driver time           |
 * | receive, child, callback | a wait in the mailbox (and a timer, if `due`) | a message (or the time)   |
 * | child, publish, close, patch | content of the draft                      | –                         |
 */
import type * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import type * as FiberRefs from "effect/FiberRefs"
import { JournalTooLarge, NotDurable } from "../../Errors.js"
import type { ClaimedRun, FinishStatus, Transition } from "../../driver/JournalDriver.js"
import type { WireExit } from "../codec/exits.js"
import {
  defectWire,
  errorCodeOf,
  failureVoidWire,
  fromEncoded,
  interruptWire,
  notDurableWire,
  toEncoded,
  voidWire
} from "../codec/exits.js"
import { cancelContent, wireOfMessage } from "../codec/messages.js"
import { byteLength } from "../codec/wire.js"
import { COMPENSATION_KEY } from "../runs/forking.js"
import { dueAt } from "../util/time.js"
import { PROBLEM_KEY } from "../workflow/continuations.js"
import type { Machine, Stray } from "../machine/Machine.js"
import type { ChildSpec, MachineEntry, Op } from "../machine/Op.js"
import { RUN_ENTRY } from "../machine/Op.js"
import type { OpenedRun, WorkflowRegistration } from "../process/Registration.js"
import { Draft } from "./Draft.js"
import { awaitedKey, Mailbox } from "./Mailbox.js"

/** The events of an execution, for its hold. */
export interface ExecutionEvents {
  /** The estimated driver time, in milliseconds since the epoch. */
  readonly now: () => number
  /** A step or a send was requested. It can start when everything up to `mark` of the draft is durable. */
  readonly work: (op: Op, mark: number) => void
  /** A requested op is no longer needed. */
  readonly cancelled: (op: Op) => void
  readonly stray: (stray: Stray) => void
}

/** The name of the entry that ends a run whose journal is too large. */
const JOURNAL_TOO_LARGE = "JournalTooLarge"

/** What an entry counts for beside its value, in bytes. */
const ENTRY_BYTES = 256

/** Values up to this length are counted by their UTF-16 units, because most are short and of ASCII. */
const SHORT_LENGTH = 256

const sizeOfEntry = (value: string | null): number =>
  ENTRY_BYTES + (value === null ? 0 : value.length <= SHORT_LENGTH ? value.length : byteLength(value))

/** The messages that wake every suspended run. */
const awaitedByAll = ["cancel:cancel", "defect:StrayWakeUp"]

export class Execution {
  draft: Draft
  readonly mailbox = new Mailbox()
  /** Requested steps and sends that have no entry. */
  readonly openWork = new Set<Op>()
  /** Why the program ended, if it did not succeed. */
  failure: Cause.Cause<unknown> | undefined
  /** The size of the journal of this generation, in bytes. */
  private journalSize = 0
  /** The journal has reached its limit. */
  private isOverLimit = false
  /** Why the run must be parked. */
  parking: unknown
  private opened: OpenedRun | undefined
  private cancelledBeforeStart = false
  /** The time of the last entry that was inherited from another run; without such entries, the run's start. */
  private readonly cutAt: number
  private readonly timers = new Map<Op, number>()
  private stray: Stray | undefined

  constructor(
    readonly run: ClaimedRun,
    private readonly registered: WorkflowRegistration,
    private readonly events: ExecutionEvents
  ) {
    this.draft = new Draft(run.nextSeq)
    this.mailbox.reset(run.inbox, run.seen)
    this.cutAt = run.journal.findLast(({ seq }) => seq < run.inherited)?.at ?? run.startedAt
  }

  /** Make the machine and replay the journal. */
  open(): void {
    const { run } = this
    const cancel = run.inbox.find(({ kind }) => kind === "cancel")
    if (cancel !== undefined && run.nextSeq === 0 && run.epoch === 1) {
      // Cancelled before its first claim: no step can have started, so no compensation is needed.
      this.draft.consume(cancel.ordinal)
      this.cancelledBeforeStart = true
      return
    }
    const opened = this.registered.open(run, (stray) => {
      this.stray ??= stray
      this.events.stray(stray)
    })
    if (Either.isLeft(opened)) {
      this.parking = { reason: "undecodable", detail: opened.left }
      return
    }
    this.opened = opened.right
    for (const { exit, kind, name } of run.journal) {
      this.journalSize += sizeOfEntry(exit.value)
      if (kind === "defect" && name === JOURNAL_TOO_LARGE) this.isOverLimit = true
    }
    this.parking = opened.right.start(run.journal.map((entry) => ({ ...entry, exit: fromEncoded(entry.exit) })))
    if (this.parking === undefined) this.absorb()
  }

  /** Drop the machine. */
  forget(): void {
    this.opened?.machine.forget()
    this.opened = undefined
    this.timers.clear()
    this.openWork.clear()
    this.mailbox.clear()
  }

  /** The fiber refs for a step body, from the refs of the fiber that requested the step. */
  outsideRefs(inside: FiberRefs.FiberRefs): FiberRefs.FiberRefs {
    return this.machine.outsideRefs(inside)
  }

  get isWaiting(): boolean {
    return this.openWork.size === 0
  }

  /** The due time of the earliest timer; `Infinity` without timers. */
  get wakeTime(): number {
    let earliest = Infinity
    for (const due of this.timers.values()) if (due < earliest) earliest = due
    return earliest
  }

  /** Turn the earliest event, a message or a time, into an entry. Returns whether there was one. */
  nextEntry(): boolean {
    if (this.opened === undefined) return false
    const toRun = this.mailbox.takeToRun()
    if (toRun !== undefined) {
      this.addEntry(RUN_ENTRY, toRun.kind, toRun.name, wireOfMessage(toRun), toRun.ordinal)
      return true
    }
    const found = this.takeNotDurable()
    if (found !== undefined) {
      this.addEntry(RUN_ENTRY, "defect", found.problem, notDurableWire(new NotDurable(found), found.fiber))
      return true
    }
    const match = this.mailbox.peek()
    const timer = this.dueTimer()
    // A window is open until its close is durable, so a message takes precedence over the time limit of its receive.
    if (match !== undefined && (timer === undefined || match.op === timer[0] || match.message.at <= timer[1])) {
      this.mailbox.take(match)
      this.settle(match.op, wireOfMessage(match.message), match.message.ordinal)
      return true
    }
    if (timer === undefined) return false
    const [op] = timer
    this.settle(op, op.data._tag === "Receive" ? failureVoidWire : voidWire)
    return true
  }

  /** Finish an op, if it is still pending. */
  settle(op: Op, exit: WireExit, consumed?: number): void {
    if (this.opened === undefined || this.machine.pending.get(op.id) !== op) return
    const bytes = this.journalSize + sizeOfEntry(exit.text)
    if (bytes > this.opened.journalBytes && !this.isOverLimit) {
      // The entry is not written: the program is interrupted, and only its finalizers write more.
      this.isOverLimit = true
      const error = new JournalTooLarge({ runId: this.run.id, bytes, limit: this.opened.journalBytes })
      this.addEntry(RUN_ENTRY, "defect", JOURNAL_TOO_LARGE, defectWire(error))
      if (this.machine.pending.get(op.id) !== op) return
    }
    this.release(op)
    this.addEntry(op.id, op.kind, op.name, exit, consumed)
  }

  /**
   * Write the exit of an op without delivering it: the program has continued from another exit. The next claim replays
   * the entry.
   */
  record(op: Op, exit: WireExit): void {
    this.draft.addEntry({
      seq: this.draft.nextSeq,
      op: op.id,
      kind: op.kind,
      name: op.name,
      exit: toEncoded(exit),
      at: this.now
    })
  }

  /** Add the message of a send to the draft. */
  send(op: Op): void {
    if (op.data._tag !== "Send") return
    const { content, id, to } = op.data
    this.draft.addMessage({ to, name: op.name, id, ...content }, op)
  }

  /** Whether the program has ended, or never starts. */
  get hasEnded(): boolean {
    return this.cancelledBeforeStart || this.opened?.machine.exit !== undefined
  }

  /** Whether a cancel was read that the program did not get, because it had ended. */
  get missedCancel(): boolean {
    return this.mailbox.hasCancel
  }

  /** The transition of a run whose program has ended. */
  end(): Transition | undefined {
    this.draft.programEnded()
    if (this.cancelledBeforeStart) return cancelled
    if (this.opened === undefined) return undefined
    const { machine } = this
    const { exit } = machine
    if (exit === undefined) return undefined
    for (const id of machine.liveChildren) this.cancelChild(id, "the parent has ended")
    if (machine.continuation !== undefined && exit._tag === "Success") {
      return { _tag: "Continue", payload: machine.continuation, at: this.now }
    }
    const wire = this.opened.encodeExit(exit)
    const end = { wire, seq: this.draft.nextSeq, now: this.now }
    if (exit._tag === "Failure") this.failure = exit.cause
    if (wire.kind !== "success" && machine.compensation !== undefined) {
      this.draft.publish(COMPENSATION_KEY, JSON.stringify(machine.compensation))
    }
    for (const next of this.opened.continuations(end)) {
      if (Either.isLeft(next)) this.draft.publish(PROBLEM_KEY, JSON.stringify(next.left))
      else if (!this.draft.hasChild(next.right.id)) this.draft.addChild(next.right)
    }
    return finish(wire.kind === "success" ? "completed" : wire.kind === "interrupt" ? "cancelled" : "failed", wire)
  }

  suspension(): Transition {
    return { _tag: "Suspend", until: this.wakeTime, waiting: [...this.mailbox.awaited, ...awaitedByAll] }
  }

  // --- private ---

  private get machine(): Machine {
    if (this.opened === undefined) throw new Error(`run ${this.run.id} has no machine`)
    return this.opened.machine
  }

  /** The time of the next entry, at least the time of the last one. */
  private get now(): number {
    return Math.max(this.machine.now, this.events.now())
  }

  /** A wait of the program for something outside the journal. */
  private takeNotDurable() {
    const { machine, stray } = this
    this.stray = undefined
    if (machine.exit !== undefined) return undefined
    if (stray !== undefined) return { problem: "StrayWakeUp", ...stray } as const
    return machine.stuck === undefined ? undefined : { problem: "Stuck", place: machine.stuck, fiber: -1 } as const
  }

  private dueTimer(): readonly [Op, number] | undefined {
    let earliest: readonly [Op, number] | undefined
    for (const timer of this.timers) if (earliest === undefined || timer[1] < earliest[1]) earliest = timer
    return earliest !== undefined && earliest[1] <= this.events.now() ? earliest : undefined
  }

  private addEntry(op: number, kind: string, name: string, exit: WireExit, consumed?: number): void {
    const at = this.now
    this.journalSize += sizeOfEntry(exit.text)
    this.draft.addEntry({ seq: this.draft.nextSeq, op, kind, name, exit: toEncoded(exit), at }, consumed)
    this.parking = this.machine.deliver({ op, kind, name, exit, at })
    if (this.parking === undefined) return this.absorb()
    this.draft.dropLastEntry(consumed)
  }

  /** Take the requests of the machine. */
  private absorb(): void {
    const outbox = this.machine.takeOutbox()
    for (const patch of outbox.patches) this.addPatch(patch)
    for (const child of outbox.children) this.draft.addChild(this.newRun(child))
    for (const id of outbox.cancelledChildren) this.cancelChild(id, "the parent no longer waits for it")
    for (const { key, value } of outbox.published) this.draft.publish(key, value)
    for (const signal of outbox.closes) this.draft.close(signal, this.mailbox.seen)
    for (const op of outbox.cancelled) this.cancelled(op)
    for (const op of outbox.requested) this.requested(op)
  }

  private addPatch(patch: MachineEntry): void {
    this.draft.addPatch({ ...patch, seq: this.draft.nextSeq, exit: toEncoded(patch.exit) })
  }

  private requested(op: Op): void {
    const { data } = op
    switch (data._tag) {
      case "Step":
      case "Send":
        this.openWork.add(op)
        return this.events.work(op, this.draft.mark)
      case "Timer":
        this.timers.set(op, this.dueOf(op, data.due))
        return
      case "Receive":
      case "Child":
      case "Callback": {
        const key = awaitedKey(op)
        if (key !== undefined) this.mailbox.wait(key, op)
        if (data._tag === "Receive" && data.due !== null) this.timers.set(op, this.dueOf(op, data.due))
        return
      }
    }
  }

  /**
   * When a timer is due. A fork continues with the clock of its source, which stopped at the last inherited entry. A
   * timer of that time that passed before the fork was made would fire before the program does anything: it continues
   * from the moment of the fork, with the time that was left at that entry, or with all of it. The timeout of the
   * workflow always starts again, as it is the fork's own.
   */
  private dueOf({ at }: Op, due: number): number {
    const { createdAt, startedAt } = this.run
    if (createdAt <= this.cutAt || at > this.cutAt) return due
    const { timeout } = this.registered.shape.options
    const isTimeout = timeout !== undefined && due === dueAt(startedAt + Duration.toMillis(timeout))
    if (isTimeout) return createdAt + due - startedAt
    return due > createdAt ? due : createdAt + due - (due <= this.cutAt ? at : this.cutAt)
  }

  private cancelled(op: Op): void {
    this.release(op)
    if (op.data._tag === "Send") this.draft.dropMessageOf(op)
    this.events.cancelled(op)
  }

  /** Remove the waits of an op. */
  private release(op: Op): void {
    this.timers.delete(op)
    this.openWork.delete(op)
    const key = awaitedKey(op)
    if (key !== undefined) this.mailbox.stopWaiting(key, op)
  }

  private newRun({ attached, token, ...child }: ChildSpec) {
    return {
      ...child,
      singleton: null,
      idempotencyKey: null,
      parent: { id: this.run.id, token, attached },
      root: this.run.root,
      depth: this.run.depth + 1
    }
  }

  private cancelChild(id: string, reason: string): void {
    // Without entries, an earlier claim may have committed the first requests of the program, this child among them.
    const isNew = this.run.epoch === 1 || this.run.journal.length > 0
    if (this.draft.dropChild(id) && isNew) return
    const content = cancelContent({ by: this.run.id, reason })
    this.draft.addMessage({ to: id, name: "cancel", id: "cancel", ...content }, null)
  }
}

/** In the same commit, storage sends the end of a child to its parent. */
const finish = (status: FinishStatus, exit: WireExit): Transition => ({
  _tag: "Finish",
  status,
  exit: toEncoded(exit),
  errorCode: errorCodeOf(exit)
})

/** The end of a run that was cancelled before its program did anything. */
export const cancelled: Transition = finish("cancelled", interruptWire)
