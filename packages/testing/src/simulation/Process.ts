/**
 * A process of a simulation: a worker over the shared storage. It dies, freezes, stops or loses an answer at a chosen
 * call of a verb. When it dies, it is not interrupted and no finalizer runs.
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
import type { VerbArguments, VerbName, VerbValues } from "perdure/JournalDriver"
import { JournalDriver, verbs } from "perdure/JournalDriver"
import * as Worker from "perdure/Worker"
import { type AroundVerb, mapDriver } from "../mapDriver.js"
import { between, type Dice, dice, seedOf } from "./Dice.js"
import { simLive } from "./interpret.js"
import type { Ledger } from "./Ledger.js"
import { never, type Sleeper, type SimTime } from "./SimTime.js"
import { type Probe, watchMachines } from "./watchMachines.js"
import type { World } from "./World.js"

/** What happens to a process before its `at`th call that writes, or after its `at`th call that changed something. */
export interface Fault {
  readonly how: "kill" | "freeze" | "error" | "stop"
  readonly when: "before" | "after"
  readonly at: number
}

/** What the processes of a simulation share. */
export interface Environment {
  readonly time: SimTime
  readonly world: World
  readonly ledger: Ledger
  /** The storage, which outlives every process. */
  readonly driver: JournalDriver
  readonly queue: string
  readonly options: Worker.WorkerOptions
  /** The most milliseconds from a call to its effect, and from its effect to its answer. */
  readonly latency: number
  readonly isReal: boolean
  /** Plants a fault between a worker and its driver, to show that the oracles detect it. */
  readonly mutate?: (driver: JournalDriver, process: Process) => JournalDriver
  readonly probe: Probe
  /** Called when the fault of a process happens: the process needs a successor, or thaws later. */
  readonly onFault: (process: Process, fault: Fault) => void
  /** Called when a run may have become final without a commit of its own. */
  readonly recheck: () => void
}

const roots = (): Set<unknown> =>
  globalValue(Symbol.for("effect/FiberScope/Global"), () => ({ roots: new Set() })).roots

/** Removes the root fibers that a simulation added, which Effect would keep because they never end. */
export const forgetFibersSince = (before: ReadonlySet<unknown>): void => {
  const all = roots()
  for (const fiber of all) if (!before.has(fiber)) all.delete(fiber)
}

export const rootFibers = (): ReadonlySet<unknown> => new Set(roots())

/** What the ledger records of calls in the current transaction, once the transaction is committed. */
const transactionRecords = FiberRef.unsafeMake<Array<() => void> | undefined>(undefined)

/** Some calls are slow, so that much happens while they take place: their latency each way, and their share. */
const SLOW_CALL_MILLIS = 200
const SLOW_CALL_SHARE = 0.05

/** Verbs that processes repeat anyway, so that a fault at one of them would test nothing. */
const UPKEEP: ReadonlySet<VerbName> = new Set(["ensureQueues", "seeSchedules", "heartbeat", "ping", "pong", "retire"])

/** For verbs that often change nothing: whether the answer shows a change. A fault can happen only after a change. */
const hasChanged: { readonly [Name in VerbName]?: (value: VerbValues[Name]) => boolean } = {
  claim: ({ runs }) => runs.length > 0,
  inbox: ([first]) => (first?.messages.length ?? 0) > 0,
  reconcile: ({ released }) => released > 0,
  reap: ({ released }) => released > 0
}

/** Whether a fault can happen before and after every call of the verb. */
const isCrashPoint = (verb: VerbName): boolean =>
  verbs[verb] === "write" && hasChanged[verb] === undefined && !UPKEEP.has(verb)

export class Process implements Sleeper {
  isDead = false
  isFrozen = false
  /** The number of crash points so far: calls that write, and calls that changed something. */
  readonly counts = { before: 0, after: 0 }
  /** Whether the fault has happened. */
  faultHappened = false
  private readonly roll: Dice
  private readonly thawing: Array<() => void> = []
  private fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined
  private readonly machines: Array<{ readonly forget: () => void }> = []
  private readonly dying: Array<() => void> = []

  constructor(readonly id: string, readonly fault: Fault | undefined, readonly shared: Environment) {
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
      Effect.scoped(Effect.zipRight(Layer.build(main), never)).pipe(
        Effect.withClock(time.clockOf(this)),
        Effect.withRandom(Random.make(this.id)),
        Effect.locally(FiberRef.currentLoggers, HashSet.empty()),
        Effect.onError((cause) =>
          Effect.sync(() =>
            this.isDead || this.fault?.how === "stop"
              ? undefined
              : world.violations.push(`a worker failed: ${String(cause)}`)
          )
        )
      )
    )
  }

  /** Ends the process without interruption. */
  die(): void {
    this.isDead = true
    for (const machine of this.machines) machine.forget()
    for (const abort of this.dying) abort()
  }

  /** Stops the process until `thaw`, like a suspended process or a long garbage collection. */
  freeze(): void {
    this.isFrozen = true
  }

  thaw(): void {
    this.isFrozen = false
    for (const resume of this.thawing.splice(0)) resume()
  }

  /** Interrupts the process, so that its worker drains. */
  stop(): void {
    const { fiber } = this
    if (fiber !== undefined) Effect.runFork(Fiber.interruptFork(fiber))
  }

  private watch(journal: JournalService | undefined): void {
    if (journal === undefined) return
    const { ledger, probe, world } = this.shared
    watchMachines(journal, { ledger, world, probe, opened: (machine) => void this.machines.push(machine) })
  }

  /** Sleeps for a random time of at most `most` milliseconds. */
  private delay(most: number): Effect.Effect<void> {
    return most === 0 ? Effect.void : Effect.suspend(() => {
      const millis = between(this.roll, 0, most)
      return millis === 0 ? Effect.void : Effect.sleep(millis).pipe(Effect.withClock(this.shared.time.clockOf(this)))
    })
  }

  private reachCrashPoint(when: "before" | "after", operation: string): Effect.Effect<void, JournalError> {
    const { fault } = this
    this.counts[when]++
    if (fault === undefined || fault.when !== when || this.counts[when] !== fault.at || this.faultHappened)
      return Effect.void
    this.faultHappened = true
    switch (fault.how) {
      case "kill":
        this.die()
        this.shared.onFault(this, fault)
        return Effect.void
      case "freeze":
        this.freeze()
        this.shared.onFault(this, fault)
        return Effect.void
      case "stop":
        this.stop()
        this.shared.onFault(this, fault)
        return Effect.void
      case "error":
        return new JournalError({
          code: when === "before" ? "Unavailable" : "OutcomeUnknown",
          operation,
          detail: "simulated",
          retryable: true
        })
    }
  }

  /** Never ends once the process is dead, and waits while it is frozen. */
  private readonly gate: Effect.Effect<void> = Effect.suspend(() =>
    this.isDead
      ? never
      : this.isFrozen
      ? Effect.zipRight(Effect.async<void>((resume) => void this.thawing.push(() => resume(Effect.void))), this.gate)
      : Effect.void
  )

  /** What the ledger records of an answer, or of an answer in a transaction once the transaction is committed. */
  private readonly records: {
    readonly [Name in VerbName]?: (value: VerbValues[Name], ...request: VerbArguments[Name]) => void
  } = {
    enqueue: (_, { runs }) => runs.forEach((run) => this.shared.ledger.enqueued(run)),
    commit: (answers, { commits }) =>
      answers.forEach((answer, index) => {
        const commit = commits[index]
        if (commit !== undefined) this.shared.ledger.committed(commit, answer, this.id)
      }),
    reap: ({ exhausted }) => {
      if (exhausted > 0) this.shared.recheck()
    },
    terminate: () => this.shared.recheck()
  }

  /** Executes a call as this process experiences it: with latency both ways, and with its fault before or after it. */
  private readonly call: AroundVerb = (call, verb, request) => {
    const { isReal, latency, ledger, time } = this.shared
    const record = this.records[verb]
    const recorded = record === undefined ?
      call :
      Effect.tap(call, ({ value }) =>
        Effect.map(FiberRef.get(transactionRecords), (later) => {
          if (later === undefined) record(value, ...request)
          else later.push(() => record(value, ...request))
        }))
    const settled = isCrashPoint(verb) ? ledger.duringWrite(recorded) : recorded
    const applied = isReal ? time.waitFor(settled) : settled
    return Effect.gen(this, function*() {
      yield* this.gate
      if (isCrashPoint(verb)) yield* this.reachCrashPoint("before", verb)
      yield* this.gate
      const most = this.roll() < SLOW_CALL_SHARE ? SLOW_CALL_MILLIS : latency
      yield* this.delay(most)
      yield* this.gate
      const answer = yield* applied
      if (hasChanged[verb]?.(answer.value) ?? isCrashPoint(verb)) yield* this.reachCrashPoint("after", verb)
      yield* this.gate
      yield* this.delay(most)
      yield* this.gate
      return answer
    })
  }

  private wrap(driver: JournalDriver): JournalDriver {
    const { isReal, ledger, time } = this.shared
    const checked: JournalDriver = {
      ...driver,
      claim: (request) => Effect.tap(driver.claim(request), ({ value }) => ledger.caughtUp(value.runs))
    }
    return {
      ...mapDriver(checked, this.call),
      // A dead process loses its connection, so its transaction is rolled back.
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
          const records: Array<() => void> = []
          const whole = Effect.tap(
            driver.transaction(Effect.raceFirst(Effect.locally(self, transactionRecords, records), aborted)),
            () => Effect.sync(() => records.forEach((record) => record()))
          )
          const settled = ledger.duringWrite(whole)
          return Effect.flatMap(
            Effect.exit(isReal ? time.duringTransaction(settled) : settled),
            (exit) => this.isDead ? never : exit
          )
        }),
      // A dead process must not stay subscribed.
      hints: Stream.interruptWhen(
        driver.hints,
        Effect.async<void>((resume) => void this.dying.push(() => resume(Effect.void)))
      )
    }
  }
}
