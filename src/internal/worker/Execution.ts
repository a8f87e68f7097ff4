/**
 * A run in memory: its machine, what it wants written, its messages and its timers. Turns what has happened into entries,
 * and what the machine asks for into the draft, waits and work. It starts nothing and knows no storage.
 */
import * as Either from "effect/Either"
import type * as FiberRefs from "effect/FiberRefs"
import { NotDurable } from "../../Errors.js"
import type { ClaimedRun, Message, Transition } from "../../driver/JournalDriver.js"
import { PROBLEM_KEY } from "../workflow/continuations.js"
import type { WireExit } from "../codec/exits.js"
import { fromEncoded, interruptWire, notDurableWire, toEncoded, voidWire } from "../codec/exits.js"
import type { Machine, Stray } from "../machine/Machine.js"
import type { ChildSpec, MachineEntry, Op } from "../machine/Op.js"
import { RUN_ENTRY } from "../machine/Op.js"
import type { OpenedRun, WorkflowRegistration } from "../process/Registration.js"
import { Draft } from "./Draft.js"
import { awaitedKey, Mailbox } from "./Mailbox.js"

/** What an execution tells its hold. */
export interface ExecutionEvents {
  /** The driver's time as estimated, in milliseconds. */
  readonly now: () => number
  /** A step or a send was asked for: it may begin when everything up to `mark` of the draft is durable. */
  readonly work: (op: Op, mark: number) => void
  /** A step or a send is wanted no more. */
  readonly cancelled: (op: Op) => void
  readonly stray: (stray: Stray) => void
}

/** What wakes every suspended run. */
const alwaysAwaited = ["cancel:cancel", "defect:StrayWakeUp"]

export class Execution {
  draft: Draft
  readonly mailbox = new Mailbox()
  /** Steps and sends that have been asked for and have no entry yet. */
  readonly openWork = new Set<Op>()
  /** Why the run is to be parked. */
  parking: unknown
  private opened: OpenedRun | undefined
  private readonly timers = new Map<Op, number>()
  private stray: Stray | undefined

  constructor(
    readonly run: ClaimedRun,
    private readonly registered: WorkflowRegistration,
    private readonly events: ExecutionEvents
  ) {
    this.draft = new Draft(run.nextSeq)
    this.mailbox.reset(run.inbox, run.seen)
  }

  /** Build the machine and replay the journal. Answers how the run is to end at once, if it is. */
  open(): Transition | undefined {
    const { run } = this
    const cancel = run.inbox.find(({ kind }) => kind === "cancel")
    if (cancel !== undefined && run.nextSeq === 0 && run.epoch === 1) {
      // Cancelled before its first claim: there is nothing to compensate. (A worker that died may have begun a step.)
      this.draft.consume(cancel.ordinal)
      return finish("cancelled", interruptWire)
    }
    const opened = this.registered.open(run, (stray) => {
      this.stray ??= stray
      this.events.stray(stray)
    })
    if (Either.isLeft(opened)) {
      this.parking = { reason: "undecodable", detail: opened.left }
      return undefined
    }
    this.opened = opened.right
    this.parking = opened.right.start(run.journal.map((entry) => ({ ...entry, exit: fromEncoded(entry.exit) })))
    if (this.parking === undefined) this.absorb()
    return undefined
  }

  /** Let go of the machine. */
  forget(): void {
    this.opened?.machine.forget()
    this.opened = undefined
    this.timers.clear()
    this.openWork.clear()
    this.mailbox.clear()
  }

  /** The refs of a fiber of the run, for what runs outside of the machine. */
  outsideRefs(inside: FiberRefs.FiberRefs): FiberRefs.FiberRefs {
    return this.machine.outsideRefs(inside)
  }

  get isWaiting(): boolean {
    return this.openWork.size === 0
  }

  /** When the earliest timer is due; `Infinity` if none is. */
  get wakeTime(): number {
    let earliest = Infinity
    for (const due of this.timers.values()) if (due < earliest) earliest = due
    return earliest
  }

  /** Turn the earliest thing that has come, a message or a time, into an entry. Answers whether there was one. */
  nextEntry(): boolean {
    if (this.opened === undefined) return false
    const toRun = this.mailbox.takeToRun()
    if (toRun !== undefined) {
      const kind = toRun.kind === "defect" ? "defect" : "success"
      this.addEntry(RUN_ENTRY, toRun.kind, toRun.name, { ...wireOfText(toRun.payload), kind }, toRun.ordinal)
      return true
    }
    const trouble = this.takeTrouble()
    if (trouble !== undefined) {
      this.addEntry(RUN_ENTRY, "defect", trouble.problem, notDurableWire(new NotDurable(trouble), trouble.fiber))
      return true
    }
    const match = this.mailbox.peek()
    const timer = this.dueTimer()
    // A window is open until its closing is durable, so a message wins over the time limit of its own receive.
    if (match !== undefined && (timer === undefined || match.op === timer[0] || match.message.at <= timer[1])) {
      this.mailbox.take(match)
      this.settle(match.op, wireOfMessage(match.message), match.message.ordinal)
      return true
    }
    if (timer === undefined) return false
    const [op] = timer
    this.settle(op, op.data._tag === "Receive" ? { kind: "failure", data: undefined, text: null } : voidWire)
    return true
  }

  /** Finish an op, if it is still wanted. */
  settle(op: Op, exit: WireExit, consumed?: number): void {
    if (this.opened === undefined || this.machine.pending.get(op.id) !== op) return
    this.release(op)
    this.addEntry(op.id, op.kind, op.name, exit, consumed)
  }

  /** Put a message that an op sends into the draft. */
  send(op: Op): void {
    if (op.data._tag !== "Send") return
    const { id, message, payload, to } = op.data
    this.draft.addMessage({ to, kind: message, name: op.name, id, payload }, op)
  }

  /** How the run leaves this hold, if its program has ended. */
  end(): Transition | undefined {
    if (this.opened === undefined) return undefined
    const { machine } = this
    const { exit } = machine
    if (exit === undefined) return undefined
    for (const id of machine.liveChildren) this.cancelChild(id, "the parent has ended")
    if (machine.continuation !== undefined && exit._tag === "Success") {
      return { _tag: "Continue", payload: machine.continuation, at: this.now }
    }
    const wire = this.opened.encodeExit(exit)
    const end = { exit, wire, seq: this.draft.nextSeq, now: this.now }
    for (const next of this.opened.continuations(end)) {
      if (Either.isLeft(next)) this.draft.publish(PROBLEM_KEY, JSON.stringify(next.left))
      else if (!this.draft.hasChild(next.right.id)) this.draft.addChild(next.right)
    }
    return finish(wire.kind === "success" ? "completed" : wire.kind === "interrupt" ? "cancelled" : "failed", wire)
  }

  suspension(): Transition {
    return { _tag: "Suspend", until: this.wakeTime, waiting: [...this.mailbox.awaited, ...alwaysAwaited] }
  }

  // --- inside ---

  private get machine(): Machine {
    if (this.opened === undefined) throw new Error(`run ${this.run.id} has no machine`)
    return this.opened.machine
  }

  /** The time of the next entry: never before that of the last one. */
  private get now(): number {
    return Math.max(this.machine.now, this.events.now())
  }

  /** What the program did that cannot be durable, if it did. */
  private takeTrouble() {
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
    this.draft.addEntry({ seq: this.draft.nextSeq, op, kind, name, exit: toEncoded(exit), at }, consumed)
    this.parking = this.machine.deliver({ op, kind, name, exit, at })
    if (this.parking === undefined) return this.absorb()
    this.draft.dropLastEntry(consumed)
  }

  /** Take what the machine asked for. */
  private absorb(): void {
    const outbox = this.machine.takeOutbox()
    for (const patch of outbox.patches) this.addPatch(patch)
    for (const child of outbox.children) this.draft.addChild(this.newRun(child))
    for (const id of outbox.cancelledChildren) this.cancelChild(id, "the parent waits for it no more")
    for (const { key, value } of outbox.published) this.draft.publish(key, value)
    for (const signal of outbox.closes) this.draft.close(signal, this.mailbox.seen)
    for (const op of outbox.cancelled) this.cancelled(op)
    for (const op of outbox.requested) this.requested(op)
  }

  private addPatch(patch: MachineEntry): void {
    this.draft.addEntry({ ...patch, seq: this.draft.nextSeq, exit: toEncoded(patch.exit) })
  }

  private requested(op: Op): void {
    const { data } = op
    switch (data._tag) {
      case "Step":
      case "Send":
        this.openWork.add(op)
        return this.events.work(op, this.draft.mark)
      case "Timer":
        this.timers.set(op, data.due)
        return
      case "Receive":
      case "Child":
      case "Callback": {
        const key = awaitedKey(op)
        if (key !== undefined) this.mailbox.wait(key, op)
        if (data._tag === "Receive" && data.due !== null) this.timers.set(op, data.due)
        return
      }
    }
  }

  private cancelled(op: Op): void {
    this.release(op)
    if (op.data._tag === "Send") this.draft.dropMessageOf(op)
    this.events.cancelled(op)
  }

  /** The op waits for nothing any more. */
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
    // Without entries there is no telling whether what the program did first was committed by an earlier claim.
    const isNew = this.run.epoch === 1 || this.run.journal.length > 0
    if (this.draft.dropChild(id) && isNew) return
    this.draft.addMessage(
      { to: id, kind: "cancel", name: "cancel", id: "cancel", payload: JSON.stringify({ by: this.run.id, reason }) },
      null
    )
  }
}

/** Storage tells the parent, with the same commit. */
const finish = (status: "completed" | "failed" | "cancelled", exit: WireExit): Transition => ({
  _tag: "Finish",
  status,
  exit: toEncoded(exit)
})

const wireOfText = (text: string): WireExit => ({ kind: "success", data: JSON.parse(text), text })

/** A message as the exit of the op that takes it. A callback's holds an exit; the others are values. */
const wireOfMessage = ({ kind, payload }: Message): WireExit => {
  if (kind !== "callback") return wireOfText(payload)
  const exit: { readonly kind: WireExit["kind"]; readonly value: string | null } = JSON.parse(payload)
  return fromEncoded(exit)
}
