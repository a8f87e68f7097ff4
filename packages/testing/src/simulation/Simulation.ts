/**
 * A simulation of one program: a process executes it until its fault happens, then its successors do, while the world
 * sends messages, until every run is final. Then the oracles check the result.
 */
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as HashSet from "effect/HashSet"
import * as Layer from "effect/Layer"
import { Journal } from "perdure/Journal"
import type { JournalDriver, RunRecord } from "perdure/JournalDriver"
import { JournalDriver as DriverTag } from "perdure/JournalDriver"
import type { WorkerOptions } from "perdure/Worker"
import { Approval, logKey, simLive } from "./interpret.js"
import { type Account, Ledger } from "./Ledger.js"
import { type Fault, forgetFibersSince, rootFibers, Process, type Environment } from "./Process.js"
import type { Event, Program } from "./Program.js"
import { signalNames } from "./Program.js"
import { type Sleeper, SimTime } from "./SimTime.js"
import type { Probe, RegisteredWorkflow } from "./watchMachines.js"
import { Refused, type Token, World } from "./World.js"

/** What to simulate. */
export interface Plan {
  readonly program: Program
  /** The faults of the first process, of its successor, and so on. */
  readonly faults: ReadonlyArray<Fault>
  readonly seed: number
  readonly options?: WorkerOptions
  /** The most milliseconds that a call takes, each way. */
  readonly latency: number
}

export interface Hooks {
  readonly mutate?: Environment["mutate"]
  readonly probe?: Probe
}

/** The result of a simulation. */
export interface Outcome {
  readonly violations: ReadonlyArray<string>
  /** The faults that happened. */
  readonly happened: ReadonlyArray<Fault>
  /** The number of crash points of the first process. */
  readonly counts: { readonly before: number; readonly after: number }
  readonly runs: number
  readonly entries: number
  readonly bodies: number
  readonly statuses: ReadonlyArray<string>
}

const START = 1_700_000_000_000

const LEASE_MILLIS = 20_000

/** When the world starts to send every live run every signal, so that no run waits forever. */
const HELP_AFTER_MILLIS = 60_000

/** A simulation that takes longer has a run that waits forever. */
const TIMEOUT_MILLIS = 1_000_000

/** The process that only replays, after the simulation. */
const ORACLE = "oracle"

/** The owner of the world's sleeps. */
const immortal: Sleeper = { isDead: false, isFrozen: false }

let lives = 0

class Life {
  readonly time = new SimTime(START)
  readonly ledger: Ledger
  readonly world: World
  readonly processes: Array<Process> = []
  readonly root: string
  private readonly shared: Environment
  private readonly client: Layer.Layer<Journal>
  private checking = false

  constructor(
    readonly plan: Plan,
    readonly driver: JournalDriver,
    isReal: boolean,
    hooks: Hooks
  ) {
    // Random numbers are derived from ids, so ids are the same for each seed. On a shared database they must differ.
    const name = isReal ? `sim${process.pid}x${++lives}` : "sim"
    this.root = `${name}-root`
    this.world = new World(plan.seed, (token) => this.tokenCreated(token))
    this.ledger = new Ledger((what) => void this.world.violations.push(what))
    this.client = Layer.provide(
      Layer.orDie(Journal.layer({ pollInterval: "10 days" })),
      Layer.succeed(DriverTag, driver)
    )
    this.shared = {
      time: this.time,
      world: this.world,
      ledger: this.ledger,
      driver,
      queue: name,
      latency: plan.latency,
      isReal,
      probe: hooks.probe,
      ...(hooks.mutate === undefined ? {} : { mutate: hooks.mutate }),
      options: { leaseDuration: LEASE_MILLIS, pollInterval: "20 seconds", drainTimeout: "1 second", ...plan.options },
      recheck: () => this.recheck(),
      onFault: (process, { how }) => {
        if (how === "error") return
        this.outside(Effect.zipRight(Effect.sleep(50), Effect.sync(() => this.next())))
        if (how === "freeze") {
          this.outside(Effect.zipRight(Effect.sleep(LEASE_MILLIS * 3), Effect.sync(() => process.thaw())))
        }
      }
    }
  }

  /** Executes an effect outside of all processes. */
  private outside(effect: Effect.Effect<unknown, unknown>): void {
    Effect.runFork(
      Effect.catchAllCause(
        effect,
        (cause) => Effect.sync(() => this.world.violations.push(`the world failed: ${String(cause)}`))
      ).pipe(
        Effect.withClock(this.time.clockOf(immortal)),
        Effect.locally(FiberRef.currentLoggers, HashSet.empty())
      )
    )
  }

  private io<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return this.shared.isReal ? this.time.waitFor(effect) : effect
  }

  private next(): void {
    const process = new Process(
      `${this.root}-worker-${this.processes.length}`,
      this.plan.faults[this.processes.length],
      this.shared
    )
    this.processes.push(process)
    process.start()
  }

  private tokenCreated({ ms, ok, token }: Token): void {
    const complete = Effect.suspend(() =>
      ok ? Approval.succeed(token, "done") : Approval.fail(token, new Refused({ what: "approval" }))
    )
    this.outside(Effect.zipRight(Effect.sleep(ms), Effect.provide(this.io(complete), this.client)))
  }

  private recheck(): void {
    if (this.checking) return
    this.checking = true
    this.outside(
      Effect.flatMap(this.io(this.driver.get(this.ledger.open.map(({ id }) => id))), ({ value }) =>
        Effect.sync(() => {
          this.checking = false
          for (const { id, status } of value) {
            const account = this.ledger.runs.get(id)
            if (account !== undefined && (status === "terminated" || status === "exhausted")) account.isFinal = true
          }
        }))
    )
  }

  private deliver(to: string, kind: "signal" | "cancel", name: string, id: string, n: string) {
    if (kind === "cancel") this.ledger.cancelled.add(to)
    const content = kind === "signal"
      ? { kind, payload: JSON.stringify({ n }) }
      : { kind, by: "world", reason: null }
    return this.io(this.driver.deliver([{ to, name, id, ...content }]))
  }

  private get events(): Effect.Effect<unknown, unknown> {
    const happen = (what: Event["what"], index: number): Effect.Effect<unknown, unknown> => {
      switch (what) {
        case "terminate":
          return Effect.map(
            this.io(this.driver.terminate({ runs: [this.root], by: null, reason: null })),
            () => this.recheck()
          )
        case "cancel":
          return this.deliver(this.root, "cancel", "cancel", "cancel", "")
        case "red":
        case "green":
        case "blue":
          return this.deliver(this.root, "signal", what, `event-${index}`, `event ${index}`)
      }
    }
    return Effect.forEach(
      this.plan.program.events,
      ({ at, what }, index) => Effect.zipRight(Effect.sleep(at), happen(what, index)),
      { concurrency: "unbounded" }
    )
  }

  /** Sends every live run every signal, again and again. */
  private get help(): Effect.Effect<unknown, unknown> {
    let round = 0
    const help = Effect.suspend(() => {
      round++
      return Effect.forEach(
        this.ledger.open,
        ({ id }) =>
          Effect.forEach(
            signalNames,
            (name) => this.deliver(id, "signal", name, `help-${round}-${name}`, `help ${round}`)
          )
      )
    })
    return Effect.zipRight(Effect.sleep(HELP_AFTER_MILLIS), Effect.forever(Effect.zipRight(help, Effect.sleep(20_000))))
  }

  async live(): Promise<Outcome> {
    const { program } = this.plan
    const payload = JSON.stringify({
      program: JSON.stringify(program.body),
      again: program.again,
      queue: this.shared.queue
    })
    const run = {
      id: this.root,
      workflow: "Sim",
      version: "1",
      queue: this.shared.queue,
      priority: 0,
      payload,
      idempotencyKey: null,
      availableAt: null,
      parent: null,
      root: this.root,
      depth: 0,
      key: null,
      expiresAt: null,
      tags: [],
      attributes: {},
      singleton: null
    }
    this.ledger.enqueued(run)
    this.outside(
      Effect.zipRight(this.io(this.driver.enqueue({ runs: [run], claim: null })), Effect.sync(() => this.next()))
    )
    this.outside(this.events)
    this.outside(this.help)
    const isOver = () =>
      this.ledger.open.length === 0 || this.world.violations.length > 0 || this.time.now - START > TIMEOUT_MILLIS
    const played = await this.time.play(isOver)
    const last = await Effect.runPromise(
      Effect.withClock(this.driver.get([...this.ledger.runs.keys()]), this.time.clockOf(immortal))
    )
    const records = last.value
    if (this.world.violations.length === 0) {
      if (!played || this.ledger.open.length > 0) {
        const open = records.filter(({ id }) => this.ledger.runs.get(id)?.isFinal === false)
        this.world.violations.push(`not final: ${JSON.stringify(open.map(({ payload: _, ...rest }) => rest))}`)
      }
    }
    if (this.world.violations.length === 0) await this.judge(records)
    for (const process of this.processes) process.die()
    const [first] = this.processes
    return {
      violations: this.world.violations,
      happened: this.processes.flatMap(({ fault, faultHappened }) =>
        faultHappened && fault !== undefined ? [fault] : []
      ),
      counts: { before: first?.counts.before ?? 0, after: first?.counts.after ?? 0 },
      runs: records.length,
      entries: [...this.ledger.runs.values()].reduce((sum, { nextSeq }) => sum + nextSeq, 0),
      bodies: this.world.bodies,
      statuses: records.map(({ status }) => status)
    }
  }

  /** Replays every journal on a new machine, and compares the result with the run. */
  private async judge(records: ReadonlyArray<RunRecord>): Promise<void> {
    const { ledger, world } = this
    const judged = Effect.gen(this, function*() {
      const { process } = yield* Journal
      const registered = process.registrations.find("Sim", "1")
      for (const record of records) {
        const account = ledger.runs.get(record.id)
        if (account === undefined) world.violations.push(`run ${record.id} was started by no worker`)
        else if (registered !== undefined) this.replay(record, account, registered)
      }
    })
    await Effect.runPromise(
      judged.pipe(
        Effect.provide(Layer.provideMerge(simLive(world, ORACLE), this.client)),
        Effect.withClock(this.time.clockOf(immortal)),
        Effect.locally(FiberRef.currentLoggers, HashSet.empty())
      )
    )
  }

  private replay(
    record: RunRecord,
    account: Account,
    registered: RegisteredWorkflow
  ): void {
    const { ledger, world } = this
    const report = (what: string) => void world.violations.push(`run ${record.id}, ${record.status}: ${what}`)
    if (record.status === "terminated") return
    if (record.status === "diverged" || record.status === "exhausted") return report(record.detail ?? "")
    if (record.exit?.value?.includes("NotDurable") === true) return report(record.exit.value)
    const leaked = world.leaked(record.id)
    if (leaked.length > 0) report(`acquired and not released: ${leaked.join(", ")}`)
    // The run was cancelled before it started.
    if (account.nextSeq === 0 && record.status === "cancelled") return
    const bodies = world.bodies
    const made = registered.open(
      { ...record, seed: record.id, inherited: 0, startedAt: record.startedAt ?? 0, journal: [], inbox: [], seen: 0 },
      ({ place }) => report(`a stray wake-up in the replay, ${place}`)
    )
    if (made._tag === "Left") return report(made.left)
    const { encodeExit, machine, start } = made.right
    const divergence = start(account.entries.map((entry) => ({
      ...entry,
      exit: {
        kind: entry.exit.kind,
        data: entry.exit.value === null ? undefined : JSON.parse(entry.exit.value),
        text: entry.exit.value
      }
    })))
    if (divergence !== undefined) report(`the replay diverges: ${JSON.stringify(divergence)}`)
    else if (machine.exit === undefined) report("the replay has no exit")
    else {
      const exit = encodeExit(machine.exit)
      const same = exit.kind === record.exit?.kind && (exit.kind === "defect" || exit.text === record.exit.value)
      if (!same) report(`the replay ends with ${JSON.stringify(exit)}, the run with ${JSON.stringify(record.exit)}`)
      const replayed = world.logs.get(logKey(ORACLE, record.id))
      const log = world.logs.get(logKey(account.endedBy, record.id))
      if (JSON.stringify(replayed) !== JSON.stringify(log)) {
        report(`the replay does ${JSON.stringify(replayed)}, the run did ${JSON.stringify(log)}`)
      }
    }
    if (world.bodies !== bodies) report("the replay executed a step")
    for (const child of ledger.runs.values()) {
      if (child.parent !== record.id || record.generation > 0 || machine.tokenOfChild(child.id) !== undefined) continue
      report(`run ${child.id} is not a child that its parent started`)
    }
    machine.forget()
  }
}

/** Simulates a plan on this storage. `isReal`: calls of the driver take real time. */
export const simulate = async (
  plan: Plan,
  driver: JournalDriver,
  isReal: boolean,
  hooks: Hooks = {}
): Promise<Outcome> => {
  const before = rootFibers()
  const outcome = await new Life(plan, driver, isReal, hooks).live()
  forgetFibersSince(before)
  return outcome
}
