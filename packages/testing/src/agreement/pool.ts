/** The pool: the values that commands refer to by number. The fields of a run are derived from its number. */
import type * as Driver from "perdure/JournalDriver"
import type { MessageSpec, FilterSpec, RunSpec, WorkerSpec } from "./Command.js"

export const runCount = 8
export const childCount = 6
export const messageCount = 16
/** Forks have the numbers after that of the run that never exists. */
export const forkCount = 4
export const scheduleCount = 5
export const needsCount = 2

/** The numbers of all runs. The number between children and forks is that of a run that never exists. */
export const runs: ReadonlyArray<number> = Array.from(
  { length: runCount + childCount + 1 + forkCount },
  (_, n) => n
)

export const runId = (prefix: string, n: number): string => `${prefix}-run-${String(n).padStart(2, "0")}`

export const childNumber = (n: number): number => runCount + n

export const token = (n: number): string => `token-${n}`

export const signalName = (n: number): string => n === 0 ? "x" : "y"

export const queue = (prefix: string, n: number): string => `${prefix}-queue-${n % 2}`

/** Four kinds of run: two names in two versions. */
export const workflow = (prefix: string, n: number): { readonly name: string; readonly version: string } => ({
  name: `${prefix}-workflow-${n % 2}`,
  version: n < 2 ? "1" : "2"
})

export const worker = (prefix: string, { incarnation, worker }: WorkerSpec): Driver.WorkerRef => ({
  id: `${prefix}-worker-${worker}`,
  incarnation: `incarnation-${incarnation}`
})

/** Two runs with one singleton key, and two with one debounced key. */
const singletons: ReadonlyMap<number, Driver.Singleton> = new Map([
  [0, { key: "s", debounce: null }],
  [4, { key: "s", debounce: null }],
  [2, { key: "d", debounce: { quietMillis: 60, maxWaitMillis: 100 } }],
  [6, { key: "d", debounce: { quietMillis: 60, maxWaitMillis: null } }]
])

export const newRun = (prefix: string, now: number, { delay, run: n }: RunSpec): Driver.NewRun => {
  const id = runId(prefix, n)
  const { name, version } = workflow(prefix, n % 5 === 4 ? 2 : n % 2)
  return {
    id,
    workflow: name,
    version,
    queue: queue(prefix, n >> 1),
    priority: n % 3 - 1,
    payload: `{ "n": ${n} }`,
    idempotencyKey: n % 4 === 3 ? null : idempotencyKey(n % 3),
    availableAt: delay === null ? null : now + delay,
    parent: null,
    root: id,
    depth: 0,
    // Two keys, each for a third of the runs.
    key: n % 3 === 0 ? null : lock(n % 2),
    expiresAt: n % 7 === 5 ? now + 55 : null,
    tags: [0, 1, 2].filter((tag) => (n >> tag) % 2 === 1).map(tagName),
    attributes: n % 4 === 0 ? {} : { n: n % 4, even: n % 2 === 0 },
    singleton: n < runCount ? singletons.get(n) ?? null : null
  }
}

const tagName = (n: number): string => `tag-${n}`

const lock = (n: number): string => `lock-${n}`

const idempotencyKey = (n: number): string => `key-${n}`

/** A filter that finds runs of this pool only. */
export const filter = (prefix: string, now: number, sought: FilterSpec): Driver.RunFilter => {
  const { attribute, idempotencyKey: its, key, parent, queues, root, source, tags, workflows, ...rest } = sought
  const { createdBefore, createdFrom, finishedBefore, finishedFrom, ...same } = rest
  return {
    ...same,
    workflows: workflows.map((n) => workflow(prefix, n).name),
    ...(queues === undefined ? {} : { queues: queues.map((n) => queue(prefix, n)) }),
    ...(key === undefined ? {} : { key: lock(key) }),
    ...(tags === undefined ? {} : { tags: tags.map(tagName) }),
    ...(attribute === undefined ? {} : { attributes: { ...attribute } }),
    ...(parent === undefined ? {} : { parent: runId(prefix, parent) }),
    ...(root === undefined ? {} : { root: runId(prefix, root) }),
    ...(its === undefined ? {} : { idempotencyKey: idempotencyKey(its) }),
    ...(source === undefined ? {} : { source: runId(prefix, source) }),
    ...(createdFrom === undefined ? {} : { createdFrom: now - createdFrom }),
    ...(createdBefore === undefined ? {} : { createdBefore: now - createdBefore }),
    ...(finishedFrom === undefined ? {} : { finishedFrom: now - finishedFrom }),
    ...(finishedBefore === undefined ? {} : { finishedBefore: now - finishedBefore })
  }
}

/** The kinds of four of every eight messages. The others are signals. */
const kinds: ReadonlyArray<Driver.MessageKind> = ["child", "callback", "cancel", "defect"]

export const newMessage = (prefix: string, { id, to }: MessageSpec): Driver.NewMessage => ({
  to: runId(prefix, to),
  name: signalName((id >> 3) % 2),
  id: `message-${id}`,
  ...content(prefix, id)
})

const ending = (id: number): Driver.Ending =>
  id % 16 === 0
    ? { status: "terminated", exit: null, endCause: { _tag: "Terminated", by: `by-${id}`, reason: null } }
    : { status: "exhausted", exit: null, endCause: { _tag: "Exhausted", crashes: id, worker: `worker-${id}` } }

const content = (prefix: string, id: number): Driver.MessageContent => {
  const kind = kinds[id % 8] ?? "signal"
  switch (kind) {
    case "child":
      return { kind, child: runId(prefix, id), ending: ending(id) }
    case "cancel":
      return { kind, by: `by-${id}`, reason: id % 2 === 0 ? null : "because" }
    default:
      return { kind, payload: `{"id": ${id}}` }
  }
}
