/**
 * The workflows that this process can run. A name and version is registered once; what does not fit is reported
 * together, as one error, by the layers that bring it.
 */
import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import { ConfigurationInvalid } from "../../Errors.js"
import type { ClaimedRun, NewRun } from "../../driver/JournalDriver.js"
import type { End } from "../workflow/continuations.js"
import type { Divergence } from "../machine/Divergence.js"
import type { Machine, Stray } from "../machine/Machine.js"
import type { MachineEntry } from "../machine/Op.js"
import type { AnyExit, WireExit } from "../codec/exits.js"
import type { Shape } from "../workflow/shape.js"

/** A machine that is ready to be started. */
export interface Opened {
  readonly machine: Machine
  readonly start: (replay: ReadonlyArray<MachineEntry>) => Divergence | undefined
  readonly encodeExit: (exit: AnyExit) => WireExit
  /** The runs that follow the run's end; the left side says why one cannot. */
  readonly continuations: (end: End) => ReadonlyArray<Either.Either<NewRun, string>>
}

/** A workflow with its handler. */
export interface Registered {
  readonly name: string
  readonly version: string
  readonly queue: string
  /** How runs of it are started. */
  readonly shape: Shape
  /** Signals that the definition declares: one name, one definition in the whole process. */
  readonly signals: ReadonlyArray<{ readonly name: string }>
  /** What its runs go on with. */
  readonly continuations: ReadonlyArray<{
    readonly on: string
    readonly name: string
    readonly version: string
    /** The queue that the continuation itself names. */
    readonly queue: string | undefined
  }>
  /** Problems of the definition itself. */
  readonly problems: ReadonlyArray<string>
  /** A machine for a run; the left side says why its payload cannot be read. */
  readonly open: (run: ClaimedRun, onStray: (stray: Stray) => void) => Either.Either<Opened, string>
}

/** A schedule that this process has the definition of. */
export interface RegisteredSchedule {
  readonly name: string
  readonly shape: Shape
  /** What it says; and the value that says so. */
  readonly definition: string
  readonly source: object
  /** The payload of a slot; null for the stored one. */
  readonly payload: ((slot: number) => unknown) | null
}

/** Something that is wrong with what this process is made of. */
export interface Problem {
  readonly code: ProblemCode
  /** Where, for example `workflow "Fulfil" version "1"`. */
  readonly place: string
  /** What. */
  readonly detail: string
  readonly cure: string
}

/**
 * - `BadDefinition`: a name, a priority or another option of a workflow.
 * - `TwoHandlers`, `TwoSignals`, `TwoWorkers`, `TwoQueues`, `TwoSchedules`: two of one name.
 * - `BadOption`: an option of a worker, of a queue, of a schedule, or of another layer.
 * - `QueueNotServed`: a workflow's runs would wait where no worker of the process looks, on a queue that is not defined.
 * - `NoSuchWorkflow`: what a workflow continues with has no handler in the process.
 * - `LayerFailed`: a layer cannot be built.
 */
export type ProblemCode =
  | "BadDefinition"
  | "TwoHandlers"
  | "TwoSignals"
  | "TwoWorkers"
  | "TwoQueues"
  | "TwoSchedules"
  | "BadOption"
  | "QueueNotServed"
  | "NoSuchWorkflow"
  | "LayerFailed"

/** One line; of a definition's problem the detail says the cure. */
export const problemText = ({ code, cure, detail }: Problem): string =>
  code === "BadDefinition" || code === "BadOption" ? detail : `${detail}: ${cure}`

/** What is wrong with options; the details say the cure. */
export const badOptions = (place: string, details: ReadonlyArray<string>): ReadonlyArray<Problem> =>
  details.map((detail) => ({ code: "BadOption", place, detail, cure: "mend the option as the detail says" }))

/** Finds problems among what is there when it is asked. */
export type ProblemSource = () => ReadonlyArray<Problem>

/** A worker, as the check sees it. */
export interface RegisteredWorker {
  readonly id: string | undefined
  readonly queues: ReadonlyArray<string>
}

/** A queue's definition. */
export interface RegisteredQueue {
  readonly name: string
  readonly definition: string
  /** It is defined by itself and may be served by other processes, where one that a workflow waits on is to be served here. */
  readonly elsewhere: boolean
}

/** Turns of Effect's scheduler in which nothing comes before layers that are built side by side are taken to be there. */
const TURNS = 50

export class Registry {
  private readonly workflows = new Map<string, Registered>()
  private readonly signals = new Map<string, { readonly signal: { readonly name: string }; users: number }>()
  private readonly listeners = new Set<() => void>()
  private readonly problems = new Set<Problem>()
  private readonly sources = new Set<ProblemSource>()
  private readonly workers = new Set<RegisteredWorker>()
  private readonly queues = new Set<RegisteredQueue>()
  private readonly known = new Set<RegisteredSchedule>()

  /** `checking`: nothing is to run, so what is wrong is noted, and refuses nothing. */
  constructor(readonly checking = false) {}

  /** Every problem that there is now. */
  check(): ReadonlyArray<Problem> {
    const all = [
      ...this.problems,
      ...[...this.sources].flatMap((source) => source()),
      ...this.unserved(),
      ...this.dangling()
    ]
    // What is shared by several, such as a queue's definition, is looked at with each of them.
    return [...new Map(all.map((problem) => [JSON.stringify(problem), problem])).values()]
  }

  /** Note problems for the life of the scope. */
  note(problems: ReadonlyArray<Problem>): Effect.Effect<void, never, Scope.Scope> {
    return whileOpen(
      () => problems.forEach((problem) => this.problems.add(problem)),
      () => problems.forEach((problem) => this.problems.delete(problem))
    )
  }

  /**
   * Tell of problems: the check notes them; else it fails, with those that layers have which are built side by side, so that all
   * are told together.
   */
  tell(problems: ReadonlyArray<Problem>): Effect.Effect<void, ConfigurationInvalid, Scope.Scope> {
    return Effect.gen(this, function*() {
      if (problems.length === 0) return
      yield* this.note(problems)
      if (this.checking) return
      yield* this.quiet
      const all = new Set([...this.problems].map(problemText))
      return yield* new ConfigurationInvalid({ what: "the definitions of this process", problems: [...all] })
    })
  }

  /** Wait until nothing more comes of the layers that are built side by side, many of which begin some turns after the first. */
  private readonly quiet: Effect.Effect<void> = Effect.gen(this, function*() {
    const size = () => this.problems.size + this.known.size + this.queues.size + this.workflows.size + this.workers.size
    for (let [before, turns] = [size(), 0]; turns < TURNS; turns++) {
      yield* Effect.yieldNow({ priority: 1 })
      const after = size()
      if (after !== before) [before, turns] = [after, -1]
    }
  })

  /** Ask `source` with each check, for the life of the scope. */
  addSource(source: ProblemSource): Effect.Effect<void, never, Scope.Scope> {
    return whileOpen(() => this.sources.add(source), () => this.sources.delete(source))
  }

  addWorker(worker: RegisteredWorker): Effect.Effect<void, never, Scope.Scope> {
    return whileOpen(() => this.workers.add(worker), () => this.workers.delete(worker))
  }

  defineQueue(queue: RegisteredQueue): Effect.Effect<void, never, Scope.Scope> {
    return whileOpen(() => this.queues.add(queue), () => this.queues.delete(queue))
  }

  /** One that is defined twice alike is one. */
  defineSchedule(schedule: RegisteredSchedule): Effect.Effect<void, never, Scope.Scope> {
    return whileOpen(() => {
      this.known.add(schedule)
      this.changed()
    }, () => {
      this.known.delete(schedule)
      this.changed()
    })
  }

  /** Those that this process has the definitions of. */
  get schedules(): ReadonlyMap<string, RegisteredSchedule> {
    return new Map([...this.known].map((schedule) => [schedule.name, schedule]))
  }

  /** How runs of a workflow are started: of this version, or the newest that there is here. */
  shapeOf(name: string, version: string): Shape | undefined {
    const newest = [...this.workflows.values()].filter((workflow) => workflow.name === name)
      .toSorted((a, b) => a.version.localeCompare(b.version, "en", { numeric: true })).at(-1)
    return (this.find(name, version) ?? newest)?.shape
  }

  find(name: string, version: string): Registered | undefined {
    return this.workflows.get(keyOf(name, version))
  }

  /** Names and versions, for a claim. */
  list(): ReadonlyArray<{ readonly name: string; readonly version: string }> {
    return [...this.workflows.values()].map(({ name, version }) => ({ name, version }))
  }

  /** Be called when a workflow is registered or removed. Answers a function that ends it. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** Register for the life of the scope. */
  register(workflow: Registered): Effect.Effect<void, ConfigurationInvalid, Scope.Scope> {
    return Effect.gen(this, function*() {
      const key = keyOf(workflow.name, workflow.version)
      const place = placeOf(workflow)
      const problems = workflow.problems.map((detail): Problem => ({
        code: "BadDefinition",
        place,
        detail,
        cure: "mend the definition as the detail says"
      }))
      if (this.workflows.has(key)) {
        problems.push({
          code: "TwoHandlers",
          place,
          detail: `${place} has two handlers`,
          cure: "give one another name or version"
        })
      }
      for (const signal of workflow.signals) {
        const known = this.signals.get(signal.name)
        if (known !== undefined && known.signal !== signal) {
          problems.push({
            code: "TwoSignals",
            place,
            detail:
              `signal "${signal.name}" of workflow "${workflow.name}" is another definition than the one already in use`,
            cure: "share one"
          })
        }
      }
      yield* this.tell(problems)
      if (this.workflows.has(key)) return
      this.workflows.set(key, workflow)
      for (const signal of workflow.signals) {
        const known = this.signals.get(signal.name)
        if (known === undefined) this.signals.set(signal.name, { signal, users: 1 })
        else known.users++
      }
      this.changed()
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          this.workflows.delete(key)
          for (const signal of workflow.signals) {
            const known = this.signals.get(signal.name)
            if (known !== undefined && --known.users === 0) this.signals.delete(signal.name)
          }
          this.changed()
        })
      )
    })
  }

  private unserved(): ReadonlyArray<Problem> {
    const ids = [...this.workers].flatMap(({ id }) => id ?? [])
    const twins = new Set(ids.filter((id, index) => ids.indexOf(id) < index))
    const served = new Set([...this.workers].flatMap(({ queues }) => queues))
    const defined = new Map<string, Set<string>>()
    for (const { definition, name } of this.queues) {
      defined.set(name, (defined.get(name) ?? new Set()).add(definition))
    }
    const elsewhere = new Set([...this.queues].flatMap((queue) => queue.elsewhere ? [queue.name] : []))
    const isUnserved = (queue: string) => this.workers.size > 0 && !served.has(queue) && !elsewhere.has(queue)
    const unserved = (workflow: Registered, queue: string, what: string): ReadonlyArray<Problem> =>
      isUnserved(queue)
        ? [{
          code: "QueueNotServed",
          place: placeOf(workflow),
          detail: `${placeOf(workflow)} ${what} on queue "${queue}", which no worker of this process serves`,
          cure: "add the queue to a worker's options, define it if it is served elsewhere, or correct its name"
        }]
        : []
    return [
      ...this.rivals(),
      ...[...defined].filter(([, definitions]) => definitions.size > 1).map(([name]): Problem => ({
        code: "TwoQueues",
        place: `queue "${name}"`,
        detail: `queue "${name}" has two definitions that differ`,
        cure: "share one, or give the other another name"
      })),
      ...[...twins].map((id): Problem => ({
        code: "TwoWorkers",
        place: `worker "${id}"`,
        detail: `two workers of this process have the id "${id}"`,
        cure: "give each its own id, or leave the id out"
      })),
      ...[...this.workflows.values()].flatMap((workflow) => [
        ...unserved(workflow, workflow.queue, "waits"),
        ...workflow.continuations.flatMap(({ name, on, queue }) =>
          queue === undefined ? [] : unserved(workflow, queue, `continues on ${on} with "${name}"`)
        )
      ])
    ]
  }

  /** Schedules of one name that are not the same. */
  rivals(): ReadonlyArray<Problem> {
    const byName = new Map<string, ReadonlyArray<RegisteredSchedule>>()
    for (const each of this.known) byName.set(each.name, [...byName.get(each.name) ?? [], each])
    const differ = (one: RegisteredSchedule, other: RegisteredSchedule) =>
      other.source !== one.source &&
      (other.definition !== one.definition || one.payload !== null || other.payload !== null)
    const twice = [...byName.values()].filter((all) =>
      all.some((one, index) => all.slice(index + 1).some((other) => differ(one, other)))
    )
    return twice.flatMap(([one]) => one === undefined ? [] : [one.name]).map((name) => ({
      code: "TwoSchedules",
      place: `schedule "${name}"`,
      detail: `schedule "${name}" has two definitions that differ`,
      cure: "share one, or give the other another name"
    }))
  }

  private dangling(): ReadonlyArray<Problem> {
    return [...this.workflows.values()].flatMap((workflow) =>
      workflow.continuations
        .filter(({ name, version }) => !this.workflows.has(keyOf(name, version)))
        .map(({ name, on, version }): Problem => ({
          code: "NoSuchWorkflow",
          place: placeOf(workflow),
          detail: `${
            placeOf(workflow)
          } continues on ${on} with workflow "${name}" version "${version}", which has no handler here`,
          cure: "add its layer"
        }))
    )
  }

  private changed(): void {
    for (const listener of this.listeners) listener()
  }
}

const placeOf = ({ name, version }: Registered): string => `workflow "${name}" version "${version}"`

const whileOpen = (open: () => unknown, close: () => unknown): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.acquireRelease(Effect.sync(open), () => Effect.sync(close)))

const keyOf = (name: string, version: string): string => JSON.stringify([name, version])
