/**
 * The deterministic machine: executes the Effect of one run, driven by its journal, one entry at a time.
 *
 * A machine does no I/O. After `start`, its owner calls `deliver` with each entry in order; each call is an activation:
 * it runs the program until no fiber is runnable. `takeOutbox` returns what the program requested since. The same
 * program and the same entries lead to the same requests in the same order. Between activations a machine does nothing,
 * so it can be dropped at any time (`forget`) and rebuilt by a delivery of its journal to a new machine.
 *
 * | state after an activation | meaning                                                              |
 * |---------------------------|----------------------------------------------------------------------|
 * | `exit` is set             | the run has ended                                                    |
 * | `stuck` is set            | the program spins, or waits for something that no entry can deliver  |
 * | neither                   | the run waits for the ops in `pending`                               |
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import type * as FiberRefs from "effect/FiberRefs"
import * as Predicate from "effect/Predicate"
import * as Random from "effect/Random"
import * as RuntimeFlags from "effect/RuntimeFlags"
import type { Decode } from "../codec/exits.js"
import { decodeDefect, voidWire } from "../codec/exits.js"
import { runForkWith } from "../util/runtime.js"
import { dueAt } from "../util/time.js"
import type { Divergence } from "./Divergence.js"
import { divergenceOf } from "./Divergence.js"
import { FiberNumbers, NO_FIBER } from "./FiberNumbers.js"
import { RunFibers } from "./fibers.js"
import { Inheritance } from "./Inheritance.js"
import { restoreWaits } from "./interruption.js"
import type { ChildSpec, MachineEntry, Op, OpData, SharedOpData } from "./Op.js"
import { kindOf, RUN_ENTRY } from "./Op.js"
import { emptyOutbox, type MutableOutbox, noOutbox, type Outbox } from "./Outbox.js"
import { placeOf } from "./place.js"
import { ACTIVATION_BUDGET_TASKS, RunScheduler } from "./RunScheduler.js"
import type { RunState } from "./services.js"
import { actingAs, insideRefs, outsideRefs } from "./services.js"
import { SharedWait } from "./SharedWait.js"
import { uuidOf } from "./uuid.js"

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** A stray wake-up: something that is not in the journal woke a fiber. */
export interface Stray {
  /** For messages: the run, the spans of the fiber and the last entry. */
  readonly place: string
  /** The number of the fiber, by which a replay finds it. */
  readonly fiber: number
}

export interface MachineOptions {
  /** The workflow and the run, for messages. */
  readonly label: string
  /** The first "now", in milliseconds since the epoch. */
  readonly startedAt: number
  /** The seed of the run's random numbers. */
  readonly seed: string
  /** The fiber refs of the handler. */
  readonly fiberRefs: FiberRefs.FiberRefs
  /** The count of entries, at the start of the journal, that were inherited from another run. Default 0. */
  readonly inherited?: number
  /** Tasks that one activation can run, the same for every machine of a run. Default `ACTIVATION_BUDGET_TASKS`. */
  readonly budget?: number
  /** Called when a fiber of the run wakes outside of an activation. */
  readonly onStray: (stray: Stray) => void
}

export class Machine implements RunState {
  now: number
  replaying = false
  /** Ops that have no entry yet, by number. */
  readonly pending = new Map<number, Op>()
  /** Attached children whose end has not been delivered. */
  readonly liveChildren = new Set<string>()
  /** Children that this generation has started. */
  childrenStarted = 0
  /** Set by `continueAsNew`: the payload of the next generation, as JSON text. */
  continuation: string | undefined
  /** Entries that were delivered. */
  delivered = 0
  /** The name of the last step that succeeded, if it may have been compensation: it was requested uninterruptibly. */
  compensation: string | undefined

  private readonly scheduler: RunScheduler
  private readonly numbers = new FiberNumbers()
  private readonly fibers = new RunFibers((fiber) => this.numbers.add(fiber))
  private strays: Array<{ readonly fiber: AnyFiber; readonly task: () => void }> = []
  private lastEntry: MachineEntry | undefined
  private readonly tokens = new Map<string, string>()
  /** Whether the run takes the new code, by the patch. */
  private readonly patches = new Map<string, boolean>()
  private ownRandom: Random.Random | undefined
  private ids: Random.Random | undefined
  private lastRefs: { readonly inside: FiberRefs.FiberRefs; readonly outside: FiberRefs.FiberRefs } | undefined
  private root: AnyFiber | undefined
  private rootExit: Exit.Exit<unknown, unknown> | undefined
  /** The defect that a `defect` entry delivered: the run ends with it, whatever its finalizers do. */
  private defect: { readonly value: unknown } | undefined
  private forgotten = false
  private nextOp = 0
  private nextKey = 0
  private readonly sharedWaits = new Map<string, SharedWait>()
  /** Signals whose windows this generation has closed. */
  private readonly closed = new Set<string>()

  private outbox: MutableOutbox = noOutbox
  private inheritance = new Inheritance([], 0)

  constructor(readonly options: MachineOptions) {
    this.now = options.startedAt
    this.scheduler = new RunScheduler(
      (fiber) => this.numbers.add(fiber),
      (fiber, task) => {
        if (this.defect !== undefined || this.rootExit !== undefined) return
        if (!this.forgotten && fiber !== undefined) this.strays.push({ fiber, task })
        options.onStray({ place: this.placeOf(fiber), fiber: this.numbers.numberOf(fiber) })
      },
      options.budget
    )
  }

  /** Start the program and deliver the journaled entries in `replay`, during which the program's logs are silent. */
  start(
    program: Effect.Effect<unknown, unknown>,
    context: Context.Context<never>,
    replay: ReadonlyArray<MachineEntry>
  ): Divergence | undefined {
    const run = () => {
      const root = runForkWith(program, context, insideRefs(this.options.fiberRefs), this.scheduler)
      this.root = root
      root.addObserver((exit) => {
        this.rootExit = exit
      })
    }
    if (replay.length > 0) return this.replay(run, replay)
    this.activate(run)
    return undefined
  }

  /** Start the program with `run`, and deliver its journal. */
  private replay(run: () => void, replay: ReadonlyArray<MachineEntry>): Divergence | undefined {
    let divergence: Divergence | undefined
    this.replaying = true
    this.inheritance = new Inheritance(replay, this.options.inherited ?? 0)
    for (const entry of replay) {
      if (entry.kind === "patch") this.patches.set(entry.name, true)
      if (entry.kind === "defect") this.numbers.keep(fiberNumberIn(entry))
    }
    this.activate(run)
    for (const [index, entry] of replay.entries()) {
      this.inheritance.before(index)
      divergence = this.deliver(entry)
      if (divergence !== undefined) break
      if (this.inheritance.after(index)) { for (const { data } of this.pending.values()) this.startWanted(data) }
    }
    this.replaying = false
    // The effects of replayed entries were committed with them; only pending ops are still to be done. The effects of
    // the last inherited entry were committed for the other run only.
    const { children, closes, patches, published } = this.inheritance.isAtCut ? this.out : emptyOutbox()
    this.outbox = { ...emptyOutbox(), children, closes, patches, published, requested: [...this.pending.values()] }
    this.inheritance.isAtCut = false
    return divergence
  }

  /** Deliver one entry and run the program until no fiber is runnable. Nothing is delivered if it does not match. */
  deliver(entry: MachineEntry): Divergence | undefined {
    return entry.op === RUN_ENTRY ? this.deliverToRun(entry) : this.deliverToOp(entry)
  }

  private deliverToRun(entry: MachineEntry): undefined {
    this.now = Math.max(this.now, entry.at)
    this.delivered++
    if (entry.kind === "patch") return
    const culprits: Array<AnyFiber> = []
    if (entry.kind === "defect" && this.defect === undefined) {
      this.defect = { value: decodeDefect(entry.exit.data) }
      const culprit = this.numbers.fiber(fiberNumberIn(entry))
      if (culprit !== undefined) culprits.push(culprit)
    }
    if (this.scheduler.isHalted) culprits.push(...this.scheduler.spinners)
    this.scheduler.resume()
    this.interrupt(culprits)
  }

  private deliverToOp(entry: MachineEntry): Divergence | undefined {
    const op = this.pending.get(entry.op)
    if (op === undefined || op.kind !== entry.kind || op.name !== entry.name) return this.divergence(entry, op)
    const decoded = op.decode(entry.exit)
    if (Either.isLeft(decoded)) return this.divergence(entry, op, decoded.left)
    this.pending.delete(entry.op)
    if (op.data._tag === "Child") this.liveChildren.delete(op.data.id)
    this.now = Math.max(this.now, entry.at)
    this.delivered++
    this.lastEntry = entry
    if (op.data._tag === "Step" && entry.exit.kind === "success") {
      this.compensation = op.shielded ? op.name : undefined
    }
    this.activate(() => op.resume(decoded.right))
    return undefined
  }

  /** The exit of the run; undefined until it has ended. */
  get exit(): Exit.Exit<unknown, unknown> | undefined {
    const { defect } = this
    // The run does not wait for finalizers that spin.
    if (defect !== undefined && (this.pending.size === 0 || this.scheduler.isHalted)) return Exit.die(defect.value)
    if (this.rootExit === undefined || this.isFinalizing) return undefined
    return defect === undefined ? this.rootExit : Exit.die(defect.value)
  }

  /**
   * Whether interrupted fibers still execute uninterruptible regions: compensation. The root may have ended before
   * them: a bounded `forEach` that fails early does not wait for all of its fibers, and neither does
   * `Effect.disconnect`.
   */
  private get isFinalizing(): boolean {
    for (const { waiters } of this.pending.values()) {
      for (const fiber of waiters()) if (!Cause.isEmpty(fiber.getFiberRef(FiberRef.interruptedCause))) return true
    }
    return false
  }

  /** The place where the program spins, or waits for something that no entry can deliver; else undefined. */
  get stuck(): string | undefined {
    if (this.exit !== undefined) return undefined
    if (this.scheduler.isHalted) {
      return `${this.placeOf(this.scheduler.spinners[0] ?? this.root)}, where it spins (it did not wait within ` +
        `${
          this.options.budget ?? ACTIVATION_BUDGET_TASKS
        } tasks: wait by a Deferred, a Queue, a Signal or a sleep, not by yielding)`
    }
    return this.pending.size === 0 ? this.placeOf(this.root) : undefined
  }

  /** The random numbers of the run: they follow from its seed. */
  get random(): Random.Random {
    return this.ownRandom ??= Random.make(this.options.seed)
  }

  /** The fiber refs for a step body, from the refs of the fiber that requested the step. */
  outsideRefs(inside: FiberRefs.FiberRefs): FiberRefs.FiberRefs {
    // Most ops are requested by fibers with the same refs as the op before.
    if (this.lastRefs?.inside !== inside)
      this.lastRefs = { inside, outside: outsideRefs(inside, this.options.fiberRefs) }
    return this.lastRefs.outside
  }

  takeOutbox(): Outbox {
    const outbox = this.outbox
    this.outbox = noOutbox
    return outbox
  }

  /** Drop the program without interrupting it: no finalizer runs, and its fibers can be garbage collected. */
  forget(): void {
    this.forgotten = true
    this.fibers.forget()
    this.root = undefined
  }

  // --- called by durable operations, from inside the program ---

  /** Request an op and wait for its entry. `decode` guarantees that the entry is an `A` or an `E`. */
  request<A, E>(data: OpData, name: string, decode: Decode): Effect.Effect<A, E> {
    const wait = Effect.withFiberRuntime<unknown, unknown>((fiber, { runtimeFlags }) => {
      const shielded = !RuntimeFlags.interruptible(runtimeFlags)
      const finished = Effect.async<unknown, unknown>((resume) => {
        const op = this.addOp(data, name, decode, resume, () => [fiber], shielded)
        return Effect.sync(() => this.cancel(op))
      })
      return data._tag === "Step" ? finished : fiber.getFiberRef(restoreWaits)(finished)
    })
    return wait as Effect.Effect<A, E>
  }

  /**
   * As `request`, for an op that finishes at most once in a generation, by its token. Fibers that wait at the same time
   * share one op, which is cancelled when the last of them gives up. Fibers that wait later get the same result.
   */
  requestOnce<A, E>(data: SharedOpData, name: string, decode: Decode): Effect.Effect<A, E> {
    const once = Effect.withFiberRuntime<unknown, unknown>((fiber) =>
      fiber.getFiberRef(restoreWaits)(Effect.async<unknown, unknown>((resume) => {
        const wait = this.sharedWait(`${data._tag} ${data.token}`)
        if (wait.result !== undefined) return resume(wait.result)
        wait.add(resume, fiber)
        wait.op ??= this.addOp(data, name, decode, (result) => wait.settle(result), () => wait.fibers(), false)
        return Effect.sync(() => {
          const unwanted = wait.remove(resume)
          if (unwanted !== undefined) this.cancel(unwanted)
        })
      }))
    )
    return once as Effect.Effect<A, E>
  }

  /** Start a child with the next commit. It takes the number of an op, so that no two ids are equal. */
  startChild(make: (op: number) => ChildSpec): ChildSpec {
    const { child, now } = this.inheritance.start(make(this.nextOp++))
    this.childrenStarted++
    this.tokens.set(child.id, child.token)
    if (now) this.startNow(child)
    return child
  }

  /** The token of a child that this generation started. */
  tokenOfChild(id: string): string | undefined {
    return this.tokens.get(id)
  }

  publish(key: string, value: string): void {
    const earlier = this.out.published.findIndex((each) => each.key === key)
    if (earlier >= 0) this.out.published.splice(earlier, 1)
    this.out.published.push({ key, value })
  }

  /** Close the window of a signal: storage refuses later messages. Receives without a time limit end with `refused`. */
  closeWindow(signal: string, refused: Effect.Effect<never>): void {
    this.closed.add(signal)
    this.out.closes.push(signal)
    for (const op of [...this.pending.values()]) {
      if (op.data._tag !== "Receive" || op.name !== signal || op.data.due !== null) continue
      this.cancel(op)
      op.resume(refused)
    }
  }

  isClosed(signal: string): boolean {
    return this.closed.has(signal)
  }

  /** Whether this run takes the new code of a patch: true unless its journal shows that it took the old code here. */
  patched(id: string): boolean {
    const decided = this.patches.get(id)
    if (decided !== undefined) return decided
    // A patch is committed with the entry that precedes it, so a replay without it took the old code.
    const isNew = !this.replaying || this.inheritance.isAtCut
    this.patches.set(id, isNew)
    if (isNew) this.out.patches.push({ op: RUN_ENTRY, kind: "patch", name: id, exit: voidWire, at: this.now })
    return isNew
  }

  /** The next number of this generation: the part of a step's idempotency key that its attempts share. */
  takeKey(): number {
    return this.nextKey++
  }

  /** A random UUID (version 4, RFC 9562) that is the same whenever the run is replayed. */
  uuid(): Effect.Effect<string> {
    const ids = this.ids ??= Random.make(`${this.options.seed}/ids`)
    return uuidOf(ids)
  }

  // --- private ---

  sleepUntil(due: number): Effect.Effect<void> {
    return this.request<void, never>({ _tag: "Timer", due: dueAt(due) }, "sleep", () => Either.right(Effect.void))
  }

  private addOp(
    data: OpData,
    name: string,
    decode: Decode,
    resume: Op["resume"],
    waiters: Op["waiters"],
    shielded: boolean
  ): Op {
    this.startWanted(data)
    const { now: at } = this
    const op: Op = { id: this.nextOp++, kind: kindOf(data), name, data, decode, at, shielded, resume, waiters }
    this.pending.set(op.id, op)
    this.out.requested.push(op)
    return op
  }

  private startNow(child: ChildSpec): void {
    this.out.children.push(child)
    if (child.attached) this.liveChildren.add(child.id)
  }

  private startWanted(data: OpData): void {
    const child = this.inheritance.wanted(data)
    if (child !== undefined) this.startNow(child)
  }

  private sharedWait(token: string): SharedWait {
    const stored = this.sharedWaits.get(token)
    if (stored !== undefined) return stored
    const wait = new SharedWait()
    this.sharedWaits.set(token, wait)
    return wait
  }

  /**
   * Interrupt the program: first the fibers of stray wake-ups and the culprits, then the root. The task of a stray
   * fiber runs after the interruption is in the fiber's mailbox, so the fiber does not use the value that woke it.
   */
  private interrupt(culprits: ReadonlyArray<AnyFiber>): void {
    const { root, strays } = this
    if (root === undefined) return
    this.strays = []
    this.activate(() => {
      for (const { fiber, task } of strays) {
        fiber.unsafeInterruptAsFork(FiberId.none)
        this.scheduler.push(task)
      }
      for (const fiber of culprits) fiber.unsafeInterruptAsFork(FiberId.none)
      root.unsafeInterruptAsFork(FiberId.none)
    })
  }

  private activate(start: () => void): void {
    if (this.forgotten) return
    actingAs(this, () => this.fibers.watch(() => this.scheduler.activate(start)))
  }

  private cancel(op: Op): void {
    if (!this.pending.delete(op.id)) return
    const index = this.out.requested.indexOf(op)
    if (index >= 0) this.out.requested.splice(index, 1)
    else this.out.cancelled.push(op)
    if (op.data._tag !== "Child" || !op.data.cancels) return
    const { id } = op.data
    this.liveChildren.delete(id)
    if (this.inheritance.dropped(id)) return
    const started = this.out.children.findIndex((child) => child.id === id)
    if (started >= 0) this.out.children.splice(started, 1)
    else this.out.cancelledChildren.push(id)
  }

  /** The outbox, which is created when it is first written to. */
  private get out(): MutableOutbox {
    if (this.outbox === noOutbox) this.outbox = emptyOutbox()
    return this.outbox
  }

  private divergence(entry: MachineEntry, op: Op | undefined, undecodable?: string): Divergence {
    return divergenceOf({
      entry,
      op,
      pending: this.pending.values(),
      exit: this.exit,
      delivered: this.delivered,
      ...(undecodable === undefined ? {} : { undecodable })
    })
  }

  private placeOf(fiber: AnyFiber | undefined): string {
    return placeOf(this.options.label, fiber, this.lastEntry)
  }
}

/** The number of the fiber that a `defect` entry names. */
const fiberNumberIn = ({ exit }: MachineEntry): number =>
  Predicate.hasProperty(exit.data, "fiber") && Predicate.isNumber(exit.data.fiber) ? exit.data.fiber : NO_FIBER
