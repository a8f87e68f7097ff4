/**
 * Runs a program on a machine without a worker or storage, in virtual time, with random latencies, from any journal.
 * Step bodies run synchronously.
 */
import { dice, type Dice } from "@perdure/testing/simulation/Dice"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberRefs from "effect/FiberRefs"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { CurrentRun, type CurrentRunInfo } from "perdure/CurrentRun"
import * as Step from "perdure/Step"
import { makeExitCodec, voidWire } from "../../src/internal/codec/exits.js"
import { Machine } from "../../src/internal/machine/Machine.js"
import type { MachineEntry, Op } from "../../src/internal/machine/Op.js"

export type Durable<A> = Effect.Effect<A, unknown, CurrentRun | Scope.Scope>

export const START = 1_700_000_000_000

/** A step with this value. */
export const value = <A extends string | number>(name: string, result: A): Effect.Effect<A, never, CurrentRun> =>
  Effect.as(Step.run(name, Effect.succeed(result), { success: Schema.Union(Schema.String, Schema.Number) }), result)

export const n = (result: number): Effect.Effect<number, never, CurrentRun> => value(`n${result}`, result)

const codec = makeExitCodec({
  success: Schema.Unknown,
  failure: Schema.Unknown,
  what: "the exit",
  limitBytes: Infinity
})

export interface Started {
  readonly machine: Machine
  readonly strays: Array<string>
  readonly start: (replay: ReadonlyArray<MachineEntry>) => ReturnType<Machine["start"]>
}

/** A machine with a program that has not started. */
export const machineOf = (
  program: Durable<unknown>,
  options?: { readonly id?: string; readonly refs?: FiberRefs.FiberRefs; readonly budget?: number }
): Started => {
  const strays: Array<string> = []
  const id = options?.id ?? "run"
  const machine: Machine = new Machine({
    label: `run ${id}`,
    startedAt: START,
    seed: `${id}/0`,
    fiberRefs: options?.refs ?? FiberRefs.empty(),
    onStray: ({ place }) => void strays.push(place),
    ...(options?.budget === undefined ? {} : { budget: options.budget })
  })
  const info: CurrentRunInfo = {
    id,
    workflow: "Test",
    version: "1",
    generation: 0,
    parent: Option.none(),
    root: id,
    depth: 0,
    idempotencyKey: Option.none(),
    uuid: Effect.suspend(() => machine.uuid()),
    machine
  }
  const context = Context.make(CurrentRun, info) as Context.Context<never>
  return {
    machine,
    strays,
    start: (replay) => machine.start(Effect.scoped(program as Effect.Effect<unknown, unknown>), context, replay)
  }
}

/** The actions of a program from a prefix of a journal to its end. */
export interface Life {
  /** The wire form of the exit. */
  readonly exit: string
  readonly entries: ReadonlyArray<MachineEntry>
  /** The numbers of the steps whose bodies ran. */
  readonly executed: ReadonlyArray<number>
  readonly strays: ReadonlyArray<string>
}

const success = (value: unknown): MachineEntry["exit"] => ({
  kind: "success",
  data: value,
  text: JSON.stringify(value)
})

const finish = (op: Op): MachineEntry["exit"] => {
  if (op.data._tag === "Callback") return success(op.data.token)
  if (op.data._tag === "Child") {
    return success({ run: op.data.id, status: "completed", exit: { kind: "success", value: "7" } })
  }
  if (op.data._tag !== "Step") return voidWire
  const { body, context, encode } = op.data
  return encode(Effect.runSyncExit(Effect.provide(body, context)))
}

/** Whether the op waits for a child or a callback whose end was delivered: it does not come again. */
const isOver = (op: Op, entries: ReadonlyArray<MachineEntry>): boolean =>
  (op.data._tag === "Child" || op.data._tag === "Callback") &&
  entries.some(({ exit, kind }) => kind === op.kind && exit.text === finish(op).text)

/** Runs the program to its end. The entries of the prefix are delivered, and their steps do not run. */
export const live = (program: Durable<unknown>, prefix: ReadonlyArray<MachineEntry>, roll: Dice): Life => {
  const { machine, start, strays } = machineOf(program)
  const divergence = start(prefix)
  if (divergence !== undefined) throw new Error(`diverged: ${JSON.stringify(divergence)}`)
  const entries = [...prefix]
  const executed: Array<number> = []
  const due = new Map<Op, number>()
  let now = prefix.at(-1)?.at ?? START
  for (;;) {
    for (const patch of machine.takeOutbox().patches) entries.push(patch)
    if (machine.exit !== undefined) break
    for (const op of machine.pending.values()) {
      if (!due.has(op)) due.set(op, op.data._tag === "Timer" ? op.data.due : now + Math.ceil(roll() * 100))
    }
    const [next] = [...machine.pending.values()].filter((op) => !isOver(op, entries)).sort((a, b) =>
      (due.get(a) ?? 0) - (due.get(b) ?? 0)
    )
    if (next === undefined) throw new Error(`stuck: ${machine.stuck}, ${strays.length} stray wake-ups`)
    if (next.data._tag === "Step") executed.push(next.id)
    now = Math.max(now, due.get(next) ?? now)
    const entry = { op: next.id, kind: next.kind, name: next.name, exit: finish(next), at: now }
    entries.push(entry)
    const late = machine.deliver(entry)
    if (late !== undefined) throw new Error(`diverged: ${JSON.stringify(late)}`)
  }
  const exit = machine.exit
  const { data, kind, text } = codec.encode(exit)
  machine.forget()
  // Stacks differ between lives.
  const shown = kind === "defect" ? JSON.stringify({ ...(data as object), stack: undefined }) : text
  return { exit: `${kind} ${shown}`, entries, executed, strays }
}

/**
 * Crashes after every entry of several lives, resumes with other latencies, and replays the resumed life. Returns the
 * number of crashes.
 */
export const crashEverywhere = (program: () => Durable<unknown>, seeds: number): number => {
  let crashes = 0
  for (let seed = 1; seed <= seeds; seed++) {
    const full = live(program(), [], dice(seed))
    for (let cut = 0; cut <= full.entries.length; cut++) {
      const where = `seed ${seed}, crash after entry ${cut}`
      const resumed = live(program(), full.entries.slice(0, cut), dice(seed * 999 + cut))
      const durable = new Set(full.entries.slice(0, cut).map(({ op }) => op))
      const again = resumed.executed.filter((op) => durable.has(op))
      if (again.length > 0) throw new Error(`${where}: steps ${again.join(", ")} ran although they are durable`)
      const replayed = live(program(), resumed.entries, dice(3))
      if (replayed.executed.length > 0) throw new Error(`${where}: the replay ran steps`)
      if (replayed.exit !== resumed.exit) throw new Error(`${where}: ${replayed.exit} is not ${resumed.exit}`)
      if (resumed.strays.length > 0) throw new Error(`${where}: stray wake-ups: ${resumed.strays.join("; ")}`)
      crashes++
    }
  }
  return crashes
}
