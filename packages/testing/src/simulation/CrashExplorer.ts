/**
 * Explores what crashes do to a program: it lives once undisturbed, then once for each storage operation at which its
 * process can die, and at some of them the process freezes, stops or is not answered instead. Half of the successors
 * meet a fate of their own.
 */
import * as FastCheck from "effect/FastCheck"
import type { JournalDriver } from "perdure/JournalDriver"
import { between, type Dice, dice } from "./Dice.js"
import type { Fate } from "./Process.js"
import { printProgram, type Program, program } from "./Program.js"
import { type Hooks, type Outcome, type Plan, simulate } from "./Simulation.js"

/** What was explored so far. */
export interface Tally {
  programs: number
  /** Lives that were lived, each judged by all oracles. */
  lives: number
  /** Processes that died. */
  crashes: number
  freezes: number
  faults: number
  stops: number
  runs: number
  entries: number
  bodies: number
  readonly statuses: Map<string, number>
  /** How often each kind of node was in a program. */
  readonly nodes: Map<string, number>
}

export const newTally = (): Tally => ({
  programs: 0,
  lives: 0,
  crashes: 0,
  freezes: 0,
  faults: 0,
  stops: 0,
  runs: 0,
  entries: 0,
  bodies: 0,
  statuses: new Map(),
  nodes: new Map()
})

export interface ExploreOptions extends Hooks {
  /** A storage for one life; a real one may be shared by all. */
  readonly driver: () => JournalDriver
  /** Its operations take real time. */
  readonly isReal?: boolean
  /** Most lives for one program. Default 60. */
  readonly lives?: number
}

/** A program did what it must not: everything that is needed to see it again. */
export class Found extends Error {
  constructor(plan: Plan, outcome: Outcome) {
    super(
      [
        ...outcome.wrong.slice(0, 5),
        `fates ${JSON.stringify(plan.fates)}, seed ${plan.seed}, latency ${plan.latency}, worker ${
          JSON.stringify(plan.options)
        }`,
        printProgram(plan.program),
        `replay: simulate(${JSON.stringify(plan)}, …)`
      ].join("\n")
    )
    this.name = "Found"
  }
}

const count = (map: Map<string, number>, key: string): void => void map.set(key, (map.get(key) ?? 0) + 1)

const countNodes = (map: Map<string, number>, value: unknown): void => {
  JSON.stringify(value, (key, inner: unknown) => {
    if (key === "t" || key === "how") count(map, String(inner))
    return inner
  })
}

const others = ["freeze", "fault", "stop"] as const

const anyFate = (roll: Dice): Fate => ({
  how: roll() < 0.4 ? "kill" : others[between(roll, 0, 2)] ?? "kill",
  when: roll() < 0.5 ? "before" : "after",
  at: between(roll, 1, 6)
})

/** The fates to try for a program whose undisturbed life had so many operations. */
const fatesOf = (counts: Outcome["counts"], roll: Dice, most: number): ReadonlyArray<ReadonlyArray<Fate>> => {
  const fates: Array<ReadonlyArray<Fate>> = []
  for (const when of ["before", "after"] as const) {
    for (let at = 1; at <= counts[when]; at++) {
      const then = roll() < 0.5 ? [anyFate(roll)] : []
      fates.push([{ how: "kill", when, at }, ...then])
      if (roll() < 0.2) fates.push([{ how: others[between(roll, 0, 2)] ?? "kill", when, at }, ...then])
    }
  }
  // Of a long life, any `most` of its operations.
  while (fates.length > most) fates.splice(between(roll, 0, fates.length - 1), 1)
  return fates
}

/** Explore one program. Rejects with `Found`. */
export const explore = async (subject: Program, seed: number, tally: Tally, options: ExploreOptions): Promise<void> => {
  const roll = dice(seed)
  const base = {
    program: subject,
    seed,
    latency: between(roll, 0, 2),
    options: {
      lingerDuration: [0, 100, 1000][between(roll, 0, 2)] ?? 0,
      // With one, machines are let go of all the time.
      hot: { capacity: [0, 1, 100][between(roll, 0, 2)] ?? 0 },
      commitsInFlight: between(roll, 1, 2),
      commitBatchSize: roll() < 0.2 ? 1 : 100
    }
  }
  const live = async (fates: ReadonlyArray<Fate>): Promise<Outcome> => {
    const plan = { ...base, fates }
    const outcome = await simulate(plan, options.driver(), options.isReal === true, options)
    tally.lives++
    for (const { how } of outcome.met) {
      if (how === "kill") tally.crashes++
      else if (how === "freeze") tally.freezes++
      else if (how === "fault") tally.faults++
      else tally.stops++
    }
    tally.runs += outcome.runs
    tally.entries += outcome.entries
    tally.bodies += outcome.bodies
    for (const status of outcome.statuses) count(tally.statuses, status)
    if (outcome.wrong.length > 0) throw new Found(plan, outcome)
    return outcome
  }
  tally.programs++
  countNodes(tally.nodes, subject.body)
  const undisturbed = await live([])
  for (const fates of fatesOf(undisturbed.counts, roll, options.lives ?? 60)) await live(fates)
}

/** Explore random programs until so many processes have died. Rejects with the smallest program that fast-check finds. */
export const exploreMany = async (
  options: ExploreOptions & {
    readonly crashes: number
    readonly seed: number
    /** Whether to look for a smaller program that fails. Default true. */
    readonly shrink?: boolean
  }
): Promise<Tally> => {
  const tally = newTally()
  const seeds = FastCheck.integer({ min: 0, max: 1_000_000 })
  for (let batch = 0; tally.crashes < options.crashes; batch++) {
    const before = tally.crashes
    const details = await FastCheck.check(
      FastCheck.asyncProperty(program, seeds, async (subject, seed) => {
        if (tally.crashes < options.crashes) await explore(subject, seed, tally, options)
      }),
      // A failing program is made smaller for a while; each attempt takes as long as exploring does.
      {
        seed: options.seed + batch,
        numRuns: 100,
        endOnFailure: options.shrink === false,
        interruptAfterTimeLimit: 600_000
      }
    )
    const { errorInstance, interrupted } = details
    if (errorInstance !== null && errorInstance !== undefined) throw errorInstance
    if (details.failed || interrupted)
      throw new Error(interrupted ? "the time is over" : "a property failed without an error")
    if (tally.crashes === before) throw new Error("no program of a batch could be crashed")
  }
  return tally
}

/** One line for a test's output. */
export const describe = (tally: Tally): string => {
  const list = (map: ReadonlyMap<string, number>) =>
    [...map].sort(([a], [b]) => a.localeCompare(b)).map(([key, n]) => `${key} ${n}`).join(", ")
  return `${tally.programs} programs, ${tally.lives} lives, ${tally.crashes} crashes, ${tally.freezes} freezes, ` +
    `${tally.faults} faults, ${tally.stops} stops, ${tally.runs} runs (${
      list(tally.statuses)
    }), ${tally.entries} entries, ` +
    `${tally.bodies} bodies; nodes: ${list(tally.nodes)}`
}
