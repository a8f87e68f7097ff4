/**
 * The deterministic machine: runs a workflow's Effect, driven by its journal, one entry at a time.
 *
 * A machine does no I/O. It is started, then given entries in order; each `deliver` runs the program until nothing is
 * runnable. What the program asked for meanwhile is taken with `takeOutbox`. Same program, same entries: same requests in
 * the same order. Between deliveries a machine does nothing, so it may be dropped at any time (`forget`) and rebuilt by
 * delivering its journal to a new one.
 *
 * | situation after a delivery        | what it means                                     |
 * |-----------------------------------|---------------------------------------------------|
 * | `exit` is set                     | the run is at its end                             |
 * | `pending` is not empty            | the run waits for one of these ops                |
 * | neither                           | the program waits for something that no entry can bring: `stuck` |
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
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Random from "effect/Random"
import { dueAt } from "../util/time.js"
import type { Decode } from "../codec/exits.js"
import { decodeDefect } from "../codec/exits.js"
import { runForkWith } from "../util/runtime.js"
import type { Divergence } from "./Divergence.js"
import { RunFibers } from "./fibers.js"
import { Inheritance } from "./Inheritance.js"
import type { AwaitedOnce, ChildSpec, MachineEntry, Op, OpData } from "./Op.js"
import { kindOf, RUN_ENTRY } from "./Op.js"
import { emptyOutbox, type MutableOutbox, noOutbox, type Outbox } from "./Outbox.js"
import { uuidOf } from "./uuid.js"
import { RunScheduler, TASKS_PER_ACTIVATION } from "./RunScheduler.js"
import type { RunState } from "./services.js"
import { actingAs, insideRefs, outsideRefs } from "./services.js"

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** What comes once, and those who wait for it. */
interface Wait {
  /** What came. */
  settled: Effect.Effect<unknown, unknown> | undefined
  op: Op | undefined
  readonly waiters: Map<Op["resume"], AnyFiber>
}

/** A fiber that something outside of the journal has woken. */
export interface Stray {
  /** Where, as well as it can be told. */
  readonly place: string
  /** Its number among the run's fibers: how a replay finds the same fiber. */
  readonly fiber: number
}

export interface MachineOptions {
  /** For messages: the workflow and run. */
  readonly label: string
  /** The first "now", in milliseconds since the epoch. */
  readonly startedAt: number
  /** Decides the run's random numbers. */
  readonly seed: string
  /** Fiber refs of the handler. */
  readonly fiberRefs: FiberRefs.FiberRefs
  /** How many of the entries to be replayed were taken over from another run. Default 0. */
  readonly inherited?: number
  /** Called when a fiber of the run wakes outside a delivery. */
  readonly onStray: (stray: Stray) => void
}

export class Machine implements RunState {
  now: number
  replaying = false
  /** Ops that wait to be finished, by number. */
  readonly pending = new Map<number, Op>()
  /** Attached children that were started and have not been heard of. */
  readonly liveChildren = new Set<string>()
  /** How many children were ever started in this generation. */
  childrenStarted = 0
  /** Set by `continueAsNew`: the next generation's payload. */
  continuation: string | undefined
  delivered = 0

  private readonly scheduler: RunScheduler
  private readonly fibers = new RunFibers((fiber) => this.seen(fiber))
  /** The numbers of the run's fibers, by id: the order in which they were first scheduled, or began as roots. */
  private readonly numbers = new Map<number, number>()
  /** Fibers that the entries to be replayed speak of, by number. */
  private readonly spokenOf = new Map<number, AnyFiber | undefined>()
  private strays: Array<{ readonly fiber: AnyFiber; readonly task: () => void }> = []
  private lastEntry: MachineEntry | undefined
  private readonly tokens = new Map<string, string>()
  private readonly known = new Map<string, boolean>()
  private ownRandom: Random.Random | undefined
  private ids: Random.Random | undefined
  private lastRefs: { readonly inside: FiberRefs.FiberRefs; readonly outside: FiberRefs.FiberRefs } | undefined
  private root: AnyFiber | undefined
  private rootExit: Exit.Exit<unknown, unknown> | undefined
  private doom: unknown
  private doomed = false
  private forgotten = false
  private nextOp = 0
  private nextKey = 0
  private readonly waits = new Map<string, Wait>()
  /** Signals that this generation receives no more. */
  private readonly closed = new Set<string>()

  private outbox: MutableOutbox = noOutbox
  private inheritance = new Inheritance([], 0)

  constructor(readonly options: MachineOptions) {
    this.now = options.startedAt
    this.scheduler = new RunScheduler(
      (fiber) => this.seen(fiber),
      (fiber, task) => {
        if (this.doomed || this.rootExit !== undefined) return
        if (!this.forgotten && fiber !== undefined) this.strays.push({ fiber, task })
        options.onStray({
          place: this.placeOf(fiber),
          fiber: (fiber === undefined ? undefined : this.numbers.get(idOf(fiber))) ?? -1
        })
      }
    )
  }

  /** Begin the program. With `replay`, the entries that follow are known already and are delivered silently. */
  start(
    program: Effect.Effect<unknown, unknown>,
    context: Context.Context<never>,
    replay: ReadonlyArray<MachineEntry>
  ): Divergence | undefined {
    const begin = () => {
      this.activate(() => {
        const root = runForkWith(program, context, insideRefs(this.options.fiberRefs), this.scheduler)
        this.root = root
        root.addObserver((exit) => {
          this.rootExit = exit
        })
      })
    }
    if (replay.length === 0) {
      begin()
      return undefined
    }
    let divergence: Divergence | undefined
    this.replaying = true
    this.inheritance = new Inheritance(replay, this.options.inherited ?? 0)
    for (const entry of replay) {
      if (entry.kind === "patch") this.known.set(entry.name, true)
      if (entry.kind === "defect") this.spokenOf.set(strayFiber(entry), undefined)
    }
    begin()
    for (const [index, entry] of replay.entries()) {
      this.inheritance.before(index)
      divergence = this.deliver(entry)
      if (divergence !== undefined) break
      if (this.inheritance.after(index)) { for (const { data } of this.pending.values()) this.startWanted(data) }
    }
    this.replaying = false
    // What the replayed entries set off was committed with them; only what is still pending is to be done. What a run has
    // taken over from another one was committed for that one.
    const { children, closes, patches, published } = this.inheritance.isAtCut ? this.out : emptyOutbox()
    this.outbox = { ...emptyOutbox(), children, closes, patches, published, requested: [...this.pending.values()] }
    this.inheritance.isAtCut = false
    return divergence
  }

  /** Apply one entry and run the program until nothing is runnable. */
  deliver(entry: MachineEntry): Divergence | undefined {
    if (entry.op === RUN_ENTRY) {
      this.now = Math.max(this.now, entry.at)
      this.delivered++
      if (entry.kind === "patch") return undefined
      const culprits: Array<AnyFiber> = []
      if (entry.kind === "defect" && !this.doomed) {
        this.doomed = true
        this.doom = decodeDefect(entry.exit.data)
        const culprit = this.spokenOf.get(strayFiber(entry))
        if (culprit !== undefined) culprits.push(culprit)
      }
      if (this.scheduler.isHalted) culprits.push(...this.scheduler.spinners)
      this.scheduler.goOn()
      this.interrupt(culprits)
      return undefined
    }
    const op = this.pending.get(entry.op)
    if (op === undefined || op.kind !== entry.kind || op.name !== entry.name) return this.divergence(entry, op)
    const decoded = op.decode(entry.exit)
    if (Either.isLeft(decoded)) return this.divergence(entry, op, decoded.left)
    this.pending.delete(entry.op)
    if (op.data._tag === "Child") this.liveChildren.delete(op.data.id)
    this.now = Math.max(this.now, entry.at)
    this.delivered++
    this.lastEntry = entry
    this.activate(() => op.resume(decoded.right))
    return undefined
  }

  /** How the run ended, once it has. A run with a defect of its own ends with that, whatever its finalizers made of it. */
  get exit(): Exit.Exit<unknown, unknown> | undefined {
    // Finalizers that spin as well are not waited for.
    if (this.doomed && (this.pending.size === 0 || this.scheduler.isHalted)) return Exit.die(this.doom)
    if (this.rootExit === undefined || this.isFinalizing) return undefined
    return this.doomed ? Exit.die(this.doom) : this.rootExit
  }

  /**
   * Fibers that were interrupted still have something to do that cannot be interrupted: compensation. The root may have
   * ended before (a bounded `forEach` that fails early does not wait for all of them, nor does `Effect.disconnect`).
   */
  private get isFinalizing(): boolean {
    for (const { waiters } of this.pending.values()) {
      for (const fiber of waiters()) if (!Cause.isEmpty(fiber.getFiberRef(FiberRef.interruptedCause))) return true
    }
    return false
  }

  /** The program waits for something that no entry can bring, or spins. Names the place. */
  get stuck(): string | undefined {
    if (this.exit !== undefined) return undefined
    if (this.scheduler.isHalted) {
      return `${this.placeOf(this.scheduler.spinners[0] ?? this.root)}, where it spins (after a budget of ` +
        `${TASKS_PER_ACTIVATION} tasks it still did not wait: wait by a Deferred, a Queue, a Signal or a sleep, not by yielding)`
    }
    return this.pending.size === 0 ? this.placeOf(this.root) : undefined
  }

  /** The run's random numbers: they follow from its id. */
  get random(): Random.Random {
    return this.ownRandom ??= Random.make(this.options.seed)
  }

  /** The refs of one of the run's fibers, for what runs outside of the machine. */
  outsideRefs(inside: FiberRefs.FiberRefs): FiberRefs.FiberRefs {
    // Most ops come from fibers with the same refs as the op before.
    if (this.lastRefs?.inside !== inside)
      this.lastRefs = { inside, outside: outsideRefs(inside, this.options.fiberRefs) }
    return this.lastRefs.outside
  }

  takeOutbox(): Outbox {
    const outbox = this.outbox
    this.outbox = noOutbox
    return outbox
  }

  /** Drop the program without interrupting it: no finalizer runs, and its fibers can be collected. */
  forget(): void {
    this.forgotten = true
    this.fibers.forget()
    this.root = undefined
  }

  // --- what the authoring modules call from inside the program ---

  /** Ask for an op and wait for its entry. `decode` sees to it that the entry gives an `A` or an `E`. */
  request<A, E>(data: OpData, name: string, decode: Decode): Effect.Effect<A, E> {
    const wait = Effect.withFiberRuntime<unknown, unknown>((fiber) =>
      Effect.async((resume) => {
        const op = this.ask(data, name, decode, resume, () => [fiber])
        return Effect.sync(() => this.cancel(op))
      })
    )
    return wait as Effect.Effect<A, E>
  }

  /**
   * As `request`, for what comes once in a generation, by its token. Those who wait at the same time share one op, which
   * is cancelled when the last of them gives up; those who come later are answered from memory.
   */
  requestOnce<A, E>(data: AwaitedOnce, name: string, decode: Decode): Effect.Effect<A, E> {
    const once = Effect.withFiberRuntime<unknown, unknown>((fiber) =>
      Effect.async((resume) => {
        const wait = this.waitFor(`${data._tag} ${data.token}`)
        if (wait.settled !== undefined) return resume(wait.settled)
        wait.waiters.set(resume, fiber)
        const settle = (effect: Effect.Effect<unknown, unknown>) => {
          wait.settled = effect
          for (const waiter of wait.waiters.keys()) waiter(effect)
          wait.waiters.clear()
        }
        wait.op ??= this.ask(data, name, decode, settle, () => wait.waiters.values())
        return Effect.sync(() => {
          wait.waiters.delete(resume)
          if (wait.settled !== undefined || wait.op === undefined || wait.waiters.size > 0) return
          this.cancel(wait.op)
          wait.op = undefined
        })
      })
    )
    return once as Effect.Effect<A, E>
  }

  /** Start a child with the next commit; its number is an op's number, so that ids never meet. */
  startChild(make: (op: number) => ChildSpec): ChildSpec {
    const { child, now } = this.inheritance.start(make(this.nextOp++))
    this.childrenStarted++
    this.tokens.set(child.id, child.token)
    if (now) this.startNow(child)
    return child
  }

  /** What the end of a child that this generation started is addressed to. */
  tokenOfChild(id: string): string | undefined {
    return this.tokens.get(id)
  }

  publish(key: string, value: string): void {
    const earlier = this.out.published.findIndex((each) => each.key === key)
    if (earlier >= 0) this.out.published.splice(earlier, 1)
    this.out.published.push({ key, value })
  }

  /** Later messages of that signal are to be refused. Whoever waits for one without a limit would wait for ever. */
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

  /** Whether this run takes the new code of a patch: true unless the journal shows that it went this way before. */
  patched(id: string): boolean {
    const answer = this.known.get(id)
    if (answer !== undefined) return answer
    // A patch is committed together with the entry that it follows, so a replayed stretch without one went the old way.
    const fresh = !this.replaying || this.inheritance.isAtCut
    this.known.set(id, fresh)
    if (fresh) {
      this.out.patches.push({
        op: RUN_ENTRY,
        kind: "patch",
        name: id,
        exit: { kind: "success", data: undefined, text: null },
        at: this.now
      })
    }
    return fresh
  }

  /** A number that is new in this generation: the part of a step's idempotency key that its attempts share. */
  takeKey(): number {
    return this.nextKey++
  }

  /** A random UUID (version 4, RFC 9562) that is the same whenever the run is replayed. */
  uuid(): Effect.Effect<string> {
    const ids = this.ids ??= Random.make(`${this.options.seed}/ids`)
    return uuidOf(ids)
  }

  // --- inside ---

  sleepUntil(due: number): Effect.Effect<void> {
    return this.request<void, never>({ _tag: "Timer", due: dueAt(due) }, "sleep", () => Either.right(Effect.void))
  }

  private ask(data: OpData, name: string, decode: Decode, resume: Op["resume"], waiters: Op["waiters"]): Op {
    this.startWanted(data)
    const op: Op = { id: this.nextOp++, kind: kindOf(data), name, data, decode, resume, waiters }
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

  private waitFor(token: string): Wait {
    const known = this.waits.get(token)
    if (known !== undefined) return known
    const wait: Wait = { settled: undefined, op: undefined, waiters: new Map() }
    this.waits.set(token, wait)
    return wait
  }

  private seen(fiber: AnyFiber): void {
    const id = idOf(fiber)
    if (this.numbers.has(id)) return
    const number = this.numbers.size
    this.numbers.set(id, number)
    if (this.spokenOf.has(number)) this.spokenOf.set(number, fiber)
  }

  /**
   * Interrupt the program: first the fibers that were woken by what the journal does not know, then the root. A stray
   * fiber's task runs with the interruption already in its mailbox, so it does nothing with what woke it.
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

  private activate(begin: () => void): void {
    if (this.forgotten) return
    actingAs(this, () => this.fibers.watch(() => this.scheduler.activate(begin)))
  }

  private cancel(op: Op): void {
    if (!this.pending.delete(op.id)) return
    const asked = this.out.requested.indexOf(op)
    if (asked >= 0) this.out.requested.splice(asked, 1)
    else this.out.cancelled.push(op)
    if (op.data._tag !== "Child" || !op.data.cancels) return
    const { id } = op.data
    this.liveChildren.delete(id)
    if (this.inheritance.dropped(id)) return
    const started = this.out.children.findIndex((child) => child.id === id)
    if (started >= 0) this.out.children.splice(started, 1)
    else this.out.cancelledChildren.push(id)
  }

  /** The outbox to put something into. */
  private get out(): MutableOutbox {
    if (this.outbox === noOutbox) this.outbox = emptyOutbox()
    return this.outbox
  }

  private divergence(entry: MachineEntry, op: Op | undefined, undecodable?: string): Divergence {
    const ended = this.exit
    return {
      reason: undecodable !== undefined ? "undecodable" : ended !== undefined ? "ended" : "mismatch",
      delivered: this.delivered,
      journal: { op: entry.op, kind: entry.kind, name: entry.name },
      program: op === undefined ? null : { op: op.id, kind: op.kind, name: op.name },
      detail: undecodable ?? (ended !== undefined
        ? `the program has ended: ${Exit.isSuccess(ended) ? "success" : Cause.pretty(ended.cause)}`
        : `the program waits for ${
          [...this.pending.values()].map((each) => `${each.kind} "${each.name}" (op ${each.id})`).join(", ") ||
          "nothing"
        }`)
    }
  }

  /** Where a fiber is, as well as it can be told: its spans, and the durable op that it did last. */
  private placeOf(fiber: AnyFiber | undefined): string {
    const parts: Array<string> = [this.options.label]
    const spans: Array<string> = []
    let span = fiber?.currentSpan
    while (span !== undefined && span._tag === "Span" && spans.length < 5) {
      spans.push(span.name)
      span = Option.getOrUndefined(span.parent)
    }
    if (spans.length > 0) parts.push(`in span ${spans.map((name) => `"${name}"`).join(" of ")}`)
    const last = this.lastEntry
    parts.push(last === undefined ? "before its first entry" : `after ${last.kind} "${last.name}" (op ${last.op})`)
    return parts.join(", ")
  }
}

/** The number of the fiber that a defect entry speaks of; -1 if none. */
const strayFiber = ({ exit }: MachineEntry): number =>
  Predicate.hasProperty(exit.data, "fiber") && Predicate.isNumber(exit.data.fiber) ? exit.data.fiber : -1

const idOf = (fiber: AnyFiber): number => {
  const id = fiber.id()
  return id.id
}
