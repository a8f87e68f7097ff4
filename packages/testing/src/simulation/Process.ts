/**
 * A process of a simulation: a worker over the shared storage, which dies, freezes or loses an answer at a chosen
 * storage operation. When it dies, nothing in it is interrupted and no finalizer runs: it is just not there any more.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"
import * as HashSet from "effect/HashSet"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { JournalError } from "perdure/Errors"
import { Journal, type JournalService } from "perdure/Journal"
import type { Answer } from "perdure/JournalDriver"
import { JournalDriver } from "perdure/JournalDriver"
import * as Worker from "perdure/Worker"
import { between, type Dice, dice, seedOf } from "./Dice.js"
import { simLive } from "./interpret.js"
import type { Ledger } from "./Ledger.js"
import { forEver, type Sleeper, type SimTime } from "./SimTime.js"
import { type Probe, watchMachines } from "./watchMachines.js"
import type { World } from "./World.js"

/** What happens to a process at its `at`th operation that writes (`before`), or that has changed something (`after`). */
export interface Fate {
  readonly how: "kill" | "freeze" | "fault" | "stop"
  readonly when: "before" | "after"
  readonly at: number
}

/** What processes of a simulation share. */
export interface Shared {
  readonly time: SimTime
  readonly world: World
  readonly ledger: Ledger
  /** The storage, which no process takes down. */
  readonly driver: JournalDriver
  readonly queue: string
  readonly options: Worker.WorkerOptions
  /** Most milliseconds between a call and its being applied, and between that and its answer. */
  readonly latency: number
  readonly isReal: boolean
  /** Changes what a worker is told or does, to see whether the oracles notice. */
  readonly mutate?: (driver: JournalDriver, process: Process) => JournalDriver
  readonly probe: Probe
  /** A process needs a successor, or thaws after a while. */
  readonly onFate: (process: Process, fate: Fate) => void
  /** A run may have become final otherwise than by its own commit. */
  readonly recheck: () => void
}

const roots = (): Set<unknown> =>
  globalValue(Symbol.for("effect/FiberScope/Global"), () => ({ roots: new Set() })).roots

/** Effect keeps root fibers that wait: those that came during a simulation are let go after it. */
export const letGoOfFibersSince = (before: ReadonlySet<unknown>): void => {
  const all = roots()
  for (const fiber of all) if (!before.has(fiber)) all.delete(fiber)
}

export const presentFibers = (): ReadonlySet<unknown> => new Set(roots())

/** What was acknowledged inside a transaction counts when that is committed. */
const unsettled = FiberRef.unsafeMake<Array<() => void> | undefined>(undefined)

/** Most milliseconds that a call which dawdles takes each way, so that much has happened meanwhile; and how many do. */
const DAWDLE = 200
const DAWDLERS = 0.05

type Call = <A>(
  operation: string,
  run: Effect.Effect<Answer<A>, JournalError>,
  options: { readonly writes?: boolean; readonly changed?: (value: A) => boolean; readonly note?: (value: A) => void }
) => Effect.Effect<Answer<A>, JournalError>

export class Process implements Sleeper {
  isDead = false
  isFrozen = false
  /** Operations that write, and operations that have changed something. */
  readonly counts = { before: 0, after: 0 }
  met = false
  private readonly roll: Dice
  private readonly thawing: Array<() => void> = []
  private fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined
  private readonly machines: Array<{ readonly forget: () => void }> = []
  private readonly dying: Array<() => void> = []

  constructor(readonly id: string, readonly fate: Fate | undefined, readonly shared: Shared) {
    this.roll = dice(seedOf(id))
  }

  start(): void {
    const { queue, mutate, options, time, world } = this.shared
    const driver = this.wrap(this.shared.driver)
    const journal = Journal.layer({ pollInterval: "10 days" }).pipe(
      Layer.tap((context) => Effect.sync(() => this.watch(context.unsafeMap.get(Journal.key)))),
      Layer.provide(Layer.succeed(JournalDriver, mutate === undefined ? driver : mutate(driver, this)))
    )
    const worker = Worker.layer({ ...options, id: this.id, queues: [queue] })
    const main = Layer.provide(Layer.mergeAll(simLive(world, this.id), worker), journal)
    this.fiber = Effect.runFork(
      Effect.scoped(Effect.zipRight(Layer.build(main), forEver)).pipe(
        Effect.withClock(time.clockOf(this)),
        Effect.withRandom(Random.make(this.id)),
        Effect.locally(FiberRef.currentLoggers, HashSet.empty()),
        Effect.onError((cause) =>
          Effect.sync(() =>
            this.isDead || this.fate?.how === "stop" ? undefined : world.wrong.push(`a worker failed: ${String(cause)}`)
          )
        )
      )
    )
  }

  /** It is not there any more. */
  die(): void {
    this.isDead = true
    for (const machine of this.machines) machine.forget()
    for (const abort of this.dying) abort()
  }

  /** It stands still until `thaw`: a paused process, a long collection of garbage. */
  freeze(): void {
    this.isFrozen = true
  }

  thaw(): void {
    this.isFrozen = false
    for (const resume of this.thawing.splice(0)) resume()
  }

  /** It is asked to stop: it drains. */
  stop(): void {
    const { fiber } = this
    if (fiber !== undefined) Effect.runFork(Fiber.interruptFork(fiber))
  }

  private watch(journal: JournalService | undefined): void {
    if (journal === undefined) return
    const { ledger, probe, world } = this.shared
    watchMachines(journal, { ledger, world, probe, opened: (machine) => void this.machines.push(machine) })
  }

  /** Some time of at most so many milliseconds. */
  private pause(most: number): Effect.Effect<void> {
    return most === 0 ? Effect.void : Effect.suspend(() => {
      const millis = between(this.roll, 0, most)
      return millis === 0 ? Effect.void : Effect.sleep(millis).pipe(Effect.withClock(this.shared.time.clockOf(this)))
    })
  }

  private meet(when: "before" | "after", operation: string): Effect.Effect<void, JournalError> {
    const { fate } = this
    this.counts[when]++
    if (fate === undefined || fate.when !== when || this.counts[when] !== fate.at || this.met) return Effect.void
    this.met = true
    switch (fate.how) {
      case "kill":
        this.die()
        this.shared.onFate(this, fate)
        return Effect.void
      case "freeze":
        this.freeze()
        this.shared.onFate(this, fate)
        return Effect.void
      case "stop":
        this.stop()
        this.shared.onFate(this, fate)
        return Effect.void
      case "fault":
        return new JournalError({
          code: when === "before" ? "Unavailable" : "OutcomeUnknown",
          operation,
          detail: "simulated",
          retryable: true
        })
    }
  }

  /** Whoever is dead hears nothing any more, whoever is frozen hears it later. */
  private readonly gate: Effect.Effect<void> = Effect.suspend(() =>
    this.isDead
      ? forEver
      : this.isFrozen
      ? Effect.zipRight(Effect.async<void>((resume) => void this.thawing.push(() => resume(Effect.void))), this.gate)
      : Effect.void
  )

  private readonly call: Call = (operation, run, { changed = () => true, note, writes = false }) => {
    const { isReal, latency, ledger, time } = this.shared
    const noted = Effect.tap(
      run,
      ({ value }) =>
        note === undefined
          ? Effect.void
          : Effect.map(FiberRef.get(unsettled), (later) =>
            later === undefined ? note(value) : later.push(() => note(value)))
    )
    const settled = writes ? ledger.duringWrite(noted) : noted
    const applied = isReal ? time.waitFor(settled) : settled
    return Effect.gen(this, function*() {
      yield* this.gate
      if (writes) yield* this.meet("before", operation)
      yield* this.gate
      const most = this.roll() < DAWDLERS ? DAWDLE : latency
      yield* this.pause(most)
      yield* this.gate
      const answer = yield* applied
      if (changed(answer.value)) yield* this.meet("after", operation)
      yield* this.gate
      yield* this.pause(most)
      yield* this.gate
      return answer
    })
  }

  private wrap(driver: JournalDriver): JournalDriver {
    const { call, shared } = this
    const { ledger, recheck } = shared
    const read = { changed: () => false }
    return {
      queues: (names) => call("queues", driver.queues(names), read),
      queueCounts: (request) => call("queueCounts", driver.queueCounts(request), read),
      ensureQueues: (names) => call("ensureQueues", driver.ensureQueues(names), read),
      defineQueue: (request) => call("defineQueue", driver.defineQueue(request), { writes: true }),
      changeQueue: (request) => call("changeQueue", driver.changeQueue(request), { writes: true }),
      holdWorkflows: (request) => call("holdWorkflows", driver.holdWorkflows(request), { writes: true }),
      heldWorkflows: call("heldWorkflows", driver.heldWorkflows, read),
      schedules: (request) => call("schedules", driver.schedules(request), read),
      dueSchedules: (request) => call("dueSchedules", driver.dueSchedules(request), read),
      writeSchedules: (request) => call("writeSchedules", driver.writeSchedules(request), { writes: true }),
      removeSchedules: (request) => call("removeSchedules", driver.removeSchedules(request), { writes: true }),
      seeSchedules: (names) => call("seeSchedules", driver.seeSchedules(names), read),
      enqueue: (request) =>
        call("enqueue", driver.enqueue(request), {
          writes: true,
          note: () => {
            for (const run of request.runs) ledger.enqueued(run)
          }
        }),
      claim: (request) =>
        call("claim", Effect.tap(driver.claim(request), ({ value }) => ledger.caughtUp(value.runs)), {
          changed: ({ runs }) => runs.length > 0
        }),
      commit: (request) =>
        call("commit", driver.commit(request), {
          writes: true,
          note: (answers) => {
            answers.forEach((answer, index) => {
              const commit = request.commits[index]
              if (commit !== undefined) ledger.committed(commit, answer, this.id)
            })
          }
        }),
      deliver: (messages) => call("deliver", driver.deliver(messages), { writes: true }),
      inbox: (requests) =>
        call("inbox", driver.inbox(requests), { changed: ([first]) => (first?.messages.length ?? 0) > 0 }),
      heartbeat: (request) => call("heartbeat", driver.heartbeat(request), read),
      workers: (request) => call("workers", driver.workers(request), read),
      samples: (request) => call("samples", driver.samples(request), read),
      ping: (request) => call("ping", driver.ping(request), read),
      pong: (request) => call("pong", driver.pong(request), read),
      reconcile: (request) => call("reconcile", driver.reconcile(request), { changed: ({ released }) => released > 0 }),
      retire: (worker) => call("retire", driver.retire(worker), read),
      reap: (request) =>
        call("reap", driver.reap(request), {
          changed: ({ released }) => released > 0,
          note: ({ exhausted }) => {
            if (exhausted > 0) recheck()
          }
        }),
      pause: (request) => call("pause", driver.pause(request), { writes: true }),
      expire: (request) => call("expire", driver.expire(request), { writes: true }),
      fork: (request) => call("fork", driver.fork(request), { writes: true }),
      controls: (run) => call("controls", driver.controls(run), { writes: false }),
      terminate: (request) => call("terminate", driver.terminate(request), { writes: true, note: recheck }),
      resume: (runs) => call("resume", driver.resume(runs), { writes: true }),
      get: (runs) => call("get", driver.get(runs), read),
      await: (runs) => call("await", driver.await(runs), read),
      lookup: (request) => call("lookup", driver.lookup(request), read),
      history: (request) => call("history", driver.history(request), read),
      messages: (request) => call("messages", driver.messages(request), read),
      publish: (request) => call("publish", driver.publish(request), { writes: true }),
      published: (run) => call("published", driver.published(run), read),
      find: (request) => call("find", driver.find(request), read),
      count: (filter) => call("count", driver.count(filter), read),
      retain: (request) => call("retain", driver.retain(request), { writes: true }),
      inTransaction: driver.inTransaction,
      // The connection of a process that dies is closed, and its transaction rolled back.
      transaction: (self) =>
        Effect.suspend(() => {
          const aborted = Effect.async<never, JournalError>((resume) => {
            const abort = () =>
              resume(
                new JournalError({ code: "OutcomeUnknown", operation: "transaction", detail: "gone", retryable: false })
              )
            if (this.isDead) abort()
            else this.dying.push(abort)
          })
          const notes: Array<() => void> = []
          const { isReal, time } = this.shared
          const whole = Effect.tap(
            driver.transaction(Effect.raceFirst(Effect.locally(self, unsettled, notes), aborted)),
            () => Effect.sync(() => notes.forEach((note) => note()))
          )
          const settled = ledger.duringWrite(whole)
          return Effect.flatMap(
            Effect.exit(isReal ? time.duringTransaction(settled) : settled),
            (exit) => this.isDead ? forEver : exit
          )
        }),
      // Whoever is dead must not stay among those who are told.
      hints: Stream.interruptWhen(
        driver.hints,
        Effect.async<void>((resume) => void this.dying.push(() => resume(Effect.void)))
      )
    }
  }
}
