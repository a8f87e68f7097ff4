/**
 * What the layers of a process have declared, and the problems between the declarations. It only collects and compares:
 * whether a problem keeps a layer from being built is decided by `Process`.
 */
import * as Array from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Problem } from "./Problem.js"
import type {
  QueueRegistration,
  ScheduleRegistration,
  WorkerRegistration,
  WorkflowRegistration
} from "./Registration.js"
import type { Shape } from "./Shape.js"

/** Finds problems at the moment of the call. */
export type ProblemSource = () => ReadonlyArray<Problem>

export class Registrations {
  private readonly workflows = new Map<string, WorkflowRegistration>()
  private readonly byName = new Map<string, ReadonlyArray<ScheduleRegistration>>()
  private readonly queues = new Set<QueueRegistration>()
  private readonly workers = new Set<WorkerRegistration>()
  private readonly noted = new Set<Problem>()
  private readonly sources = new Set<ProblemSource>()
  private readonly listeners = new Set<() => void>()

  // --- declarations; each holds until its scope closes ---

  /** The first handler of a name and version counts. */
  addWorkflow(workflow: WorkflowRegistration): Effect.Effect<void, never, Scope.Scope> {
    const key = keyOf(workflow)
    return Effect.suspend(() =>
      this.workflows.has(key) ? Effect.void : this.announced(
        () => this.workflows.set(key, workflow),
        () => this.workflows.delete(key)
      )
    )
  }

  /** The same schedule declared twice is one schedule. */
  addSchedule(schedule: ScheduleRegistration): Effect.Effect<void, never, Scope.Scope> {
    const { name } = schedule
    const others = () => (this.byName.get(name) ?? []).filter((each) => each !== schedule)
    return this.announced(
      () => this.byName.set(name, [...others(), schedule]),
      () => others().length === 0 ? this.byName.delete(name) : this.byName.set(name, others())
    )
  }

  addQueue(queue: QueueRegistration): Effect.Effect<void, never, Scope.Scope> {
    return whileOpen(() => this.queues.add(queue), () => this.queues.delete(queue))
  }

  addWorker(worker: WorkerRegistration): Effect.Effect<void, never, Scope.Scope> {
    return whileOpen(() => this.workers.add(worker), () => this.workers.delete(worker))
  }

  /** Note problems of a declaration. */
  addProblems(problems: ReadonlyArray<Problem>): Effect.Effect<void, never, Scope.Scope> {
    return whileOpen(
      () => problems.forEach((problem) => this.noted.add(problem)),
      () => problems.forEach((problem) => this.noted.delete(problem))
    )
  }

  /** Ask `source` for problems with each check. */
  addSource(source: ProblemSource): Effect.Effect<void, never, Scope.Scope> {
    return whileOpen(() => this.sources.add(source), () => this.sources.delete(source))
  }

  // --- lookups ---

  find(name: string, version: string): WorkflowRegistration | undefined {
    return this.workflows.get(keyOf({ name, version }))
  }

  /** Names and versions, for a claim. */
  list(): ReadonlyArray<{ readonly name: string; readonly version: string }> {
    return [...this.workflows.values()].map(({ name, version }) => ({ name, version }))
  }

  /** The workflows with the queues that their runs wait in, unless a start names another queue. */
  get queued(): ReadonlyArray<{ readonly workflow: string; readonly queue: string }> {
    return [...this.workflows.values()].map(({ name, queue, version }) => ({ workflow: `${name}@${version}`, queue }))
  }

  /** How a run of this version starts; without one, how a run of the newest version of the process does. */
  shapeOf(name: string, version: string): Shape | undefined {
    const newest = [...this.workflows.values()].filter((workflow) => workflow.name === name)
      .toSorted((a, b) => a.version.localeCompare(b.version, "en", { numeric: true })).at(-1)
    return (this.find(name, version) ?? newest)?.shape
  }

  get schedules(): ReadonlyMap<string, ScheduleRegistration> {
    return new Map(
      [...this.byName].flatMap(([name, all]) => all.slice(-1).map((schedule) => [name, schedule] as const))
    )
  }

  /** Call `listener` when a workflow or a schedule comes or goes. Returns a function that stops this. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  // --- problems ---

  /** The problems of declarations that were noted and still stand. */
  get problems(): ReadonlyArray<Problem> {
    return distinct(this.noted)
  }

  /** The problems of a workflow that is about to be declared: its own, and those with what was declared before. */
  problemsOf(workflow: WorkflowRegistration): ReadonlyArray<Problem> {
    const place = placeOf(workflow)
    const declared = [...this.workflows.values()].flatMap(({ signals }) => signals)
    return [
      ...workflow.problems.map((detail): Problem => ({
        code: "BadDefinition",
        place,
        detail,
        cure: "correct the definition as the detail says"
      })),
      ...this.workflows.has(keyOf(workflow))
        ? [
          {
            code: "TwoHandlers",
            place,
            detail: `${place} has two handlers`,
            cure: "give one another name or version"
          } as const
        ]
        : [],
      ...workflow.signals.filter((signal) => declared.some((other) => other.name === signal.name && other !== signal))
        .map((signal): Problem => ({
          code: "TwoSignals",
          place,
          detail: `signal "${signal.name}" of workflow "${workflow.name}" is another definition than the one in use`,
          cure: "share one"
        }))
    ]
  }

  /** Every problem that exists now. */
  check(): ReadonlyArray<Problem> {
    return distinct([
      ...this.noted,
      ...[...this.sources].flatMap((source) => source()),
      ...this.twoSchedules(),
      ...this.twoQueues(),
      ...this.twoWorkers(),
      ...this.unservedQueues(),
      ...this.missingWorkflows()
    ])
  }

  /** Schedules whose definitions differ though they have one name: of this name, or of any. */
  twoSchedules(name?: string): ReadonlyArray<Problem> {
    const differ = (one: ScheduleRegistration, other: ScheduleRegistration) =>
      other.source !== one.source &&
      (other.definition !== one.definition || one.payload !== null || other.payload !== null)
    return (name === undefined ? [...this.byName.keys()] : [name]).flatMap((each) => {
      const all = this.byName.get(each) ?? []
      return all.some((one, index) => all.slice(index + 1).some((other) => differ(one, other)))
        ? [
          {
            code: "TwoSchedules",
            place: `schedule "${each}"`,
            detail: `schedule "${each}" has two definitions that differ`,
            cure: "share one, or give the other another name"
          } as const
        ]
        : []
    })
  }

  /** Queues whose definitions differ though they have one name: of this name, or of any. */
  twoQueues(name?: string): ReadonlyArray<Problem> {
    const queues = [...this.queues].filter((queue) => name === undefined || queue.name === name)
    return Object.entries(Array.groupBy(queues, (queue) => queue.name)).flatMap(([name, all]) =>
      new Set(all.map(({ definition }) => definition)).size === 1 ? [] : [
        {
          code: "TwoQueues",
          place: `queue "${name}"`,
          detail: `queue "${name}" has two definitions that differ`,
          cure: "share one, or give the other another name"
        } as const
      ]
    )
  }

  private twoWorkers(): ReadonlyArray<Problem> {
    const ids = [...this.workers].flatMap(({ id }) => id ?? [])
    return [...new Set(ids.filter((id, index) => ids.indexOf(id) < index))].map((id) => ({
      code: "TwoWorkers",
      place: `worker "${id}"`,
      detail: `two workers of this process have the id "${id}"`,
      cure: "give each its own id, or leave the id out"
    }))
  }

  private unservedQueues(): ReadonlyArray<Problem> {
    if (this.workers.size === 0) return []
    const served = new Set([
      ...[...this.workers].flatMap(({ queues }) => queues),
      ...[...this.queues].flatMap(({ elsewhere, name }) => elsewhere ? [name] : [])
    ])
    const unserved = (workflow: WorkflowRegistration, queue: string, what: string): ReadonlyArray<Problem> =>
      served.has(queue) ? [] : [{
        code: "QueueNotServed",
        place: placeOf(workflow),
        detail: `${placeOf(workflow)} ${what} on queue "${queue}", which no worker of this process serves`,
        cure: "add the queue to a worker's options, define it if it is served elsewhere, or correct its name"
      }]
    return [...this.workflows.values()].flatMap((workflow) => [
      ...unserved(workflow, workflow.queue, "waits"),
      ...workflow.continuations.flatMap(({ name, on, queue }) =>
        queue === undefined ? [] : unserved(workflow, queue, `continues on ${on} with "${name}"`)
      )
    ])
  }

  private missingWorkflows(): ReadonlyArray<Problem> {
    return [...this.workflows.values()].flatMap((workflow) =>
      workflow.continuations.filter((next) => !this.workflows.has(keyOf(next))).map((
        { name, on, version }
      ): Problem => ({
        code: "NoSuchWorkflow",
        place: placeOf(workflow),
        detail: `${placeOf(workflow)} continues on ${on} with workflow "${name}" version "${version}", ` +
          "which has no handler here",
        cure: "add its layer"
      }))
    )
  }

  private announced(open: () => unknown, close: () => unknown): Effect.Effect<void, never, Scope.Scope> {
    const announce = (change: () => unknown) => () => {
      change()
      for (const listener of this.listeners) listener()
    }
    return whileOpen(announce(open), announce(close))
  }
}

const whileOpen = (open: () => unknown, close: () => unknown): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.acquireRelease(Effect.sync(open), () => Effect.sync(close)))

/** The place that problems of a workflow name. */
export const placeOf = ({ name, version }: WorkflowRegistration): string => `workflow "${name}" version "${version}"`

const keyOf = ({ name, version }: { readonly name: string; readonly version: string }): string =>
  JSON.stringify([name, version])

/** Several layers may find the same problem, for example with a queue that they share. */
const distinct = (problems: Iterable<Problem>): ReadonlyArray<Problem> => [
  ...new Map(Array.fromIterable(problems).map((problem) => [JSON.stringify(problem), problem])).values()
]
