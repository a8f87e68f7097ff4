/**
 * One simulated life of a program: a worker runs it, meets its fates, successors take over, the world sends its messages,
 * until every run is final. Then the oracles are asked.
 */
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as HashSet from "effect/HashSet"
import * as Layer from "effect/Layer"
import { Journal } from "perdure/Journal"
import type { JournalDriver, RunRecord } from "perdure/JournalDriver"
import { JournalDriver as DriverTag } from "perdure/JournalDriver"
import type { WorkerOptions } from "perdure/Worker"
import { Favour, logKey, simLive } from "./interpret.js"
import { type Account, Ledger } from "./Ledger.js"
import { type Fate, letGoOfFibersSince, presentFibers, Process, type Shared } from "./Process.js"
import type { Event, Program } from "./Program.js"
import { signalNames } from "./Program.js"
import { type Sleeper, SimTime } from "./SimTime.js"
import type { Probe, Registered } from "./watchMachines.js"
import { Refused, type Token, World } from "./World.js"

/** What is to be simulated. */
export interface Plan {
  readonly program: Program
  /** Of the first process, its successor, the successor's … */
  readonly fates: ReadonlyArray<Fate>
  readonly seed: number
  readonly options?: WorkerOptions
  /** Most milliseconds of a storage operation, each way. */
  readonly latency: number
}

export interface Hooks {
  readonly mutate?: Shared["mutate"]
  readonly probe?: Probe
}

/** What came of it. */
export interface Outcome {
  readonly wrong: ReadonlyArray<string>
  /** The fates that were met. */
  readonly met: ReadonlyArray<Fate>
  /** The first process's operations that could have been its fate. */
  readonly counts: { readonly before: number; readonly after: number }
  readonly runs: number
  readonly entries: number
  readonly bodies: number
  readonly statuses: ReadonlyArray<string>
}

const START = 1_700_000_000_000

const LEASE = 20_000

/** From then on, whoever waits for a signal gets one. */
const HELP = 60_000

/** Nothing takes so long that does not wait for ever. */
const GIVE_UP = 1_000_000

/** The process that only replays. */
const ORACLE = "oracle"

/** The world never dies. */
const immortal: Sleeper = { isDead: false, isFrozen: false }

let lives = 0

class Life {
  readonly time = new SimTime(START)
  readonly ledger: Ledger
  readonly world: World
  readonly processes: Array<Process> = []
  readonly root: string
  private readonly shared: Shared
  private readonly client: Layer.Layer<Journal>
  private checking = false

  constructor(
    readonly plan: Plan,
    readonly driver: JournalDriver,
    isReal: boolean,
    hooks: Hooks
  ) {
    // Ids decide random numbers, so they are the same in every life of a seed; on a shared database they must differ.
    const name = isReal ? `sim${process.pid}x${++lives}` : "sim"
    this.root = `${name}-root`
    this.world = new World(plan.seed, (token) => this.handedOut(token))
    this.ledger = new Ledger((what) => void this.world.wrong.push(what))
    this.client = Layer.provide(Journal.layer({ pollInterval: "10 days" }), Layer.succeed(DriverTag, driver))
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
      options: { leaseDuration: LEASE, pollInterval: "20 seconds", drainTimeout: "1 second", ...plan.options },
      recheck: () => this.recheck(),
      onFate: (process, { how }) => {
        if (how === "fault") return
        this.outside(Effect.zipRight(Effect.sleep(50), Effect.sync(() => this.next())))
        if (how === "freeze") {
          this.outside(Effect.zipRight(Effect.sleep(LEASE * 3), Effect.sync(() => process.thaw())))
        }
      }
    }
  }

  /** Do something in the world outside of all processes. */
  private outside(effect: Effect.Effect<unknown, unknown>): void {
    Effect.runFork(
      Effect.catchAllCause(
        effect,
        (cause) => Effect.sync(() => this.world.wrong.push(`the world failed: ${String(cause)}`))
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
      this.plan.fates[this.processes.length],
      this.shared
    )
    this.processes.push(process)
    process.start()
  }

  private handedOut({ ms, ok, token }: Token): void {
    const complete = Effect.suspend(() =>
      ok ? Favour.succeed(token, "done") : Favour.fail(token, new Refused({ what: "favour" }))
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
    if (kind === "cancel") this.ledger.told.add(to)
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

  /** Nobody may wait for ever. */
  private get help(): Effect.Effect<unknown, unknown> {
    let turn = 0
    const help = Effect.suspend(() => {
      turn++
      return Effect.forEach(
        this.ledger.open,
        ({ id }) =>
          Effect.forEach(
            signalNames,
            (name) => this.deliver(id, "signal", name, `help-${turn}-${name}`, `help ${turn}`)
          )
      )
    })
    return Effect.zipRight(Effect.sleep(HELP), Effect.forever(Effect.zipRight(help, Effect.sleep(20_000))))
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
    const isOver = () => this.ledger.open.length === 0 || this.world.wrong.length > 0 || this.time.now - START > GIVE_UP
    const played = await this.time.play(isOver)
    const last = await Effect.runPromise(
      Effect.withClock(this.driver.get([...this.ledger.runs.keys()]), this.time.clockOf(immortal))
    )
    const records = last.value
    if (this.world.wrong.length === 0) {
      if (!played || this.ledger.open.length > 0) {
        const open = records.filter(({ id }) => this.ledger.runs.get(id)?.isFinal === false)
        this.world.wrong.push(`not final: ${JSON.stringify(open.map(({ payload: _, ...rest }) => rest))}`)
      }
    }
    if (this.world.wrong.length === 0) await this.judge(records)
    for (const process of this.processes) process.die()
    const [first] = this.processes
    return {
      wrong: this.world.wrong,
      met: this.processes.flatMap(({ fate, met }) => met && fate !== undefined ? [fate] : []),
      counts: { before: first?.counts.before ?? 0, after: first?.counts.after ?? 0 },
      runs: records.length,
      entries: [...this.ledger.runs.values()].reduce((sum, { nextSeq }) => sum + nextSeq, 0),
      bodies: this.world.bodies,
      statuses: records.map(({ status }) => status)
    }
  }

  /** Replay every journal on a fresh machine, and compare. */
  private async judge(records: ReadonlyArray<RunRecord>): Promise<void> {
    const { ledger, world } = this
    const judged = Effect.gen(this, function*() {
      const { process } = yield* Journal
      const registered = process.registrations.find("Sim", "1")
      for (const record of records) {
        const account = ledger.runs.get(record.id)
        if (account === undefined) world.wrong.push(`run ${record.id} was started by nobody`)
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
    registered: Registered
  ): void {
    const { ledger, world } = this
    const wrong = (what: string) => void world.wrong.push(`run ${record.id}, ${record.status}: ${what}`)
    if (record.status === "terminated") return
    if (record.status === "diverged" || record.status === "exhausted") return wrong(record.detail ?? "")
    if (record.exit?.value?.includes("NotDurable") === true) return wrong(record.exit.value)
    const leaked = world.leaked(record.id)
    if (leaked.length > 0) wrong(`acquired and not released: ${leaked.join(", ")}`)
    // Cancelled before it began.
    if (account.nextSeq === 0 && record.status === "cancelled") return
    const bodies = world.bodies
    const made = registered.open(
      { ...record, seed: record.id, inherited: 0, startedAt: record.startedAt ?? 0, journal: [], inbox: [], seen: 0 },
      ({ place }) => wrong(`a stray wake-up in the replay, ${place}`)
    )
    if (made._tag === "Left") return wrong(made.left)
    const { encodeExit, machine, start } = made.right
    const divergence = start(account.entries.map((entry) => ({
      ...entry,
      exit: {
        kind: entry.exit.kind,
        data: entry.exit.value === null ? undefined : JSON.parse(entry.exit.value),
        text: entry.exit.value
      }
    })))
    if (divergence !== undefined) wrong(`the replay diverges: ${JSON.stringify(divergence)}`)
    else if (machine.exit === undefined) wrong("the replay has no exit")
    else {
      const exit = encodeExit(machine.exit)
      const same = exit.kind === record.exit?.kind && (exit.kind === "defect" || exit.text === record.exit.value)
      if (!same) wrong(`the replay ends with ${JSON.stringify(exit)}, the run with ${JSON.stringify(record.exit)}`)
      const replayed = world.logs.get(logKey(ORACLE, record.id))
      const log = world.logs.get(logKey(account.endedBy, record.id))
      if (JSON.stringify(replayed) !== JSON.stringify(log)) {
        wrong(`the replay does ${JSON.stringify(replayed)}, the run did ${JSON.stringify(log)}`)
      }
    }
    if (world.bodies !== bodies) wrong("the replay executed a step")
    for (const child of ledger.runs.values()) {
      if (child.parent !== record.id || record.generation > 0 || machine.tokenOfChild(child.id) !== undefined) continue
      wrong(`run ${child.id} is no child that its parent started`)
    }
    machine.forget()
  }
}

/** Live through a plan on this storage. `isReal`: its operations take real time. */
export const simulate = async (
  plan: Plan,
  driver: JournalDriver,
  isReal: boolean,
  hooks: Hooks = {}
): Promise<Outcome> => {
  const before = presentFibers()
  const outcome = await new Life(plan, driver, isReal, hooks).live()
  letGoOfFibersSince(before)
  return outcome
}
