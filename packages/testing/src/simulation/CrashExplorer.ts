/**
 * Explores crashes of programs. A program is simulated once without faults, and then once for each crash point: each
 * call of a verb before or after which its process can die. At some crash points the process freezes, stops or loses an
 * answer instead. Half of the successors have a fault of their own.
 */
import * as FastCheck from "effect/FastCheck"
import type { JournalDriver } from "perdure/JournalDriver"
import { between, type Dice, dice } from "./Dice.js"
import type { Fault } from "./Process.js"
import { printProgram, type Program, program } from "./Program.js"
import { type Hooks, type Outcome, type Plan, simulate } from "./Simulation.js"

/** The totals of an exploration. */
export interface Tally {
  programs: number
  /** Simulations, each checked by all oracles. */
  lives: number
  /** Processes that were killed. */
  crashes: number
  freezes: number
  errors: number
  stops: number
  runs: number
  entries: number
  bodies: number
  readonly statuses: Map<string, number>
  /** The number of nodes of each kind in all programs. */
  readonly nodes: Map<string, number>
}

export const newTally = (): Tally => ({
  programs: 0,
  lives: 0,
  crashes: 0,
  freezes: 0,
  errors: 0,
  stops: 0,
  runs: 0,
  entries: 0,
  bodies: 0,
  statuses: new Map(),
  nodes: new Map()
})

export interface ExploreOptions extends Hooks {
  /** Makes the storage of one simulation. All simulations can share a real one. */
  readonly driver: () => JournalDriver
  /** Whether calls of the driver take real time. */
  readonly isReal?: boolean
  /** The most simulations with faults of one program. Default 60. */
  readonly lives?: number
  /** Receives each plan before it is simulated. */
  readonly onPlan?: (plan: Plan) => void
}

const replayOf = (plan: Plan): string => `replay: simulate(${JSON.stringify(plan)}, …)`

/** A program with violations, and everything that is needed to simulate it again. */
export class Counterexample extends Error {
  constructor(plan: Plan, outcome: Outcome) {
    super(
      [
        ...outcome.violations.slice(0, 5),
        `faults ${JSON.stringify(plan.faults)}, seed ${plan.seed}, latency ${plan.latency}, worker ${
          JSON.stringify(plan.options)
        }`,
        printProgram(plan.program),
        replayOf(plan)
      ].join("\n")
    )
    this.name = "Counterexample"
  }
}

const count = (map: Map<string, number>, key: string): void => void map.set(key, (map.get(key) ?? 0) + 1)

const countNodes = (map: Map<string, number>, value: unknown): void => {
  JSON.stringify(value, (key, inner: unknown) => {
    if (key === "t" || key === "how") count(map, String(inner))
    return inner
  })
}

const others = ["freeze", "error", "stop"] as const

const randomFault = (roll: Dice): Fault => ({
  how: roll() < 0.4 ? "kill" : others[between(roll, 0, 2)] ?? "kill",
  when: roll() < 0.5 ? "before" : "after",
  at: between(roll, 1, 6)
})

/** The faults to try, for a program whose simulation without faults had these crash points. */
const faultsOf = (counts: Outcome["counts"], roll: Dice, most: number): ReadonlyArray<ReadonlyArray<Fault>> => {
  const faults: Array<ReadonlyArray<Fault>> = []
  for (const when of ["before", "after"] as const) {
    for (let at = 1; at <= counts[when]; at++) {
      const then = roll() < 0.5 ? [randomFault(roll)] : []
      faults.push([{ how: "kill", when, at }, ...then])
      if (roll() < 0.2) faults.push([{ how: others[between(roll, 0, 2)] ?? "kill", when, at }, ...then])
    }
  }
  // Of a long simulation, a random choice of crash points.
  while (faults.length > most) faults.splice(between(roll, 0, faults.length - 1), 1)
  return faults
}

/** Explores one program. Rejects with `Counterexample`. */
export const explore = async (subject: Program, seed: number, tally: Tally, options: ExploreOptions): Promise<void> => {
  const roll = dice(seed)
  const base = {
    program: subject,
    seed,
    latency: between(roll, 0, 2),
    options: {
      lingerDuration: [0, 100, 1000][between(roll, 0, 2)] ?? 0,
      // With a capacity of one, machines are dropped all the time.
      hot: { capacity: [0, 1, 100][between(roll, 0, 2)] ?? 0 },
      commitsInFlight: between(roll, 1, 2),
      commitBatchSize: roll() < 0.2 ? 1 : 100
    }
  }
  const live = async (faults: ReadonlyArray<Fault>): Promise<Outcome> => {
    const plan = { ...base, faults }
    options.onPlan?.(plan)
    const outcome = await simulate(plan, options.driver(), options.isReal === true, options)
    tally.lives++
    for (const { how } of outcome.happened) {
      if (how === "kill") tally.crashes++
      else if (how === "freeze") tally.freezes++
      else if (how === "error") tally.errors++
      else tally.stops++
    }
    tally.runs += outcome.runs
    tally.entries += outcome.entries
    tally.bodies += outcome.bodies
    for (const status of outcome.statuses) count(tally.statuses, status)
    if (outcome.violations.length > 0) throw new Counterexample(plan, outcome)
    return outcome
  }
  tally.programs++
  countNodes(tally.nodes, subject.body)
  const withoutFaults = await live([])
  for (const faults of faultsOf(withoutFaults.counts, roll, options.lives ?? 60)) await live(faults)
}

/**
 * Explores random programs until `crashes` processes were killed. Rejects with the smallest program that fast-check
 * finds.
 */
export const exploreMany = async (
  options: ExploreOptions & {
    readonly crashes: number
    readonly seed: number
    /** Whether to search for a smaller program that fails. Default true. */
    readonly shrink?: boolean
  }
): Promise<Tally> => {
  const tally = newTally()
  let current: Plan | undefined
  const onPlan = (plan: Plan) => {
    current = plan
    options.onPlan?.(plan)
  }
  const seeds = FastCheck.integer({ min: 0, max: 1_000_000 })
  for (let batch = 0; tally.crashes < options.crashes; batch++) {
    const before = tally.crashes
    const details = await FastCheck.check(
      FastCheck.asyncProperty(program, seeds, async (subject, seed) => {
        if (tally.crashes < options.crashes) await explore(subject, seed, tally, { ...options, onPlan })
      }),
      // A failing program is reduced for a limited time, because each attempt takes as long as an exploration.
      {
        seed: options.seed + batch,
        numRuns: 100,
        endOnFailure: options.shrink === false,
        interruptAfterTimeLimit: 840_000
      }
    )
    const { errorInstance, interrupted } = details
    if (errorInstance !== null && errorInstance !== undefined) throw errorInstance
    if (interrupted) {
      const what = current === undefined ? "" : ` in this simulation\n${replayOf(current)}`
      throw new Error(`the time limit was reached after ${tally.lives} lives,${what}`)
    }
    if (details.failed) throw new Error("a property failed without an error")
    if (tally.crashes === before) throw new Error("no program of a batch had a crash point")
  }
  return tally
}

/** The totals in one line. */
export const describe = (tally: Tally): string => {
  const list = (map: ReadonlyMap<string, number>) =>
    [...map].sort(([a], [b]) => a.localeCompare(b)).map(([key, n]) => `${key} ${n}`).join(", ")
  return `${tally.programs} programs, ${tally.lives} lives, ${tally.crashes} crashes, ${tally.freezes} freezes, ` +
    `${tally.errors} faults, ${tally.stops} stops, ${tally.runs} runs (${
      list(tally.statuses)
    }), ${tally.entries} entries, ` +
    `${tally.bodies} bodies; nodes: ${list(tally.nodes)}`
}
