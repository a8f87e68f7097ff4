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
import type { VerbArguments, VerbName, VerbValues } from "perdure/JournalDriver"
import { JournalDriver, verbs } from "perdure/JournalDriver"
import * as Worker from "perdure/Worker"
import { type AroundVerb, mapDriver } from "../mapDriver.js"
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

/** Verbs that processes repeat by themselves: a fault at one of them tests nothing, so no fate waits there. */
const UPKEEP: ReadonlySet<VerbName> = new Set(["ensureQueues", "seeSchedules", "heartbeat", "ping", "pong", "retire"])

/** For verbs that often change nothing: whether the answer shows a change. Their fate waits only after a change. */
const hasChanged: { readonly [Name in VerbName]?: (value: VerbValues[Name]) => boolean } = {
  claim: ({ runs }) => runs.length > 0,
  inbox: ([first]) => (first?.messages.length ?? 0) > 0,
  reconcile: ({ released }) => released > 0,
  reap: ({ released }) => released > 0
}

/** Whether a fate waits before and after every call of the verb. */
const isFateful = (verb: VerbName): boolean =>
  verbs[verb] === "write" && hasChanged[verb] === undefined && !UPKEEP.has(verb)

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

  /** What the ledger notes of answers, or of those in a transaction once it is committed. */
  private readonly notes: {
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

  /** Runs a verb as this process experiences it: late both ways, and with the fate that waits before or after it. */
  private readonly call: AroundVerb = (call, verb, request) => {
    const { isReal, latency, ledger, time } = this.shared
    const note = this.notes[verb]
    const noted = note === undefined ?
      call :
      Effect.tap(call, ({ value }) =>
        Effect.map(FiberRef.get(unsettled), (later) => {
          if (later === undefined) note(value, ...request)
          else later.push(() => note(value, ...request))
        }))
    const settled = isFateful(verb) ? ledger.duringWrite(noted) : noted
    const applied = isReal ? time.waitFor(settled) : settled
    return Effect.gen(this, function*() {
      yield* this.gate
      if (isFateful(verb)) yield* this.meet("before", verb)
      yield* this.gate
      const most = this.roll() < DAWDLERS ? DAWDLE : latency
      yield* this.pause(most)
      yield* this.gate
      const answer = yield* applied
      if (hasChanged[verb]?.(answer.value) ?? isFateful(verb)) yield* this.meet("after", verb)
      yield* this.gate
      yield* this.pause(most)
      yield* this.gate
      return answer
    })
  }

  private wrap(driver: JournalDriver): JournalDriver {
    const { isReal, ledger, time } = this.shared
    const seeing: JournalDriver = {
      ...driver,
      claim: (request) => Effect.tap(driver.claim(request), ({ value }) => ledger.caughtUp(value.runs))
    }
    return {
      ...mapDriver(seeing, this.call),
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
          const notes: Array<() => void> = []
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
      // A dead process must not stay subscribed.
      hints: Stream.interruptWhen(
        driver.hints,
        Effect.async<void>((resume) => void this.dying.push(() => resume(Effect.void)))
      )
    }
  }
}
