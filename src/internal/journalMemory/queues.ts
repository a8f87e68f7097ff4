/** Queues: their settings and counts, and paused workflows. */
import type * as Driver from "../../driver/JournalDriver.js"
import type { VerbRequest } from "../../driver/verbs.js"
import * as Changes from "./changes.js"
import * as Indexes from "./indexes.js"
import type { Operate } from "./operate.js"
import * as Store from "./Store.js"

const recordOf = ({ bucketFullAt: _, ...record }: Store.Queue): Driver.QueueRecord => record

const queues = (store: Store.Store, names: VerbRequest<"queues">): ReadonlyArray<Driver.QueueRecord> =>
  [...new Set(names)].flatMap((name) => store.queues.get(name) ?? []).sort(Store.byName).map(recordOf)

const queuePage = (
  store: Store.Store,
  { after, limit }: VerbRequest<"queuePage">
): ReadonlyArray<Driver.QueueRecord> =>
  [...store.queues.values()]
    .filter(({ name }) => after === null || name > after)
    .sort(Store.byName)
    .slice(0, Math.max(0, limit))
    .map(recordOf)

const ensureQueues = (store: Store.Store, names: VerbRequest<"ensureQueues">): ReadonlyArray<string> =>
  [...new Set(names)].filter((name) => Changes.ensureQueue(store, name)).sort()

const replace = (store: Store.Store, now: Driver.Millis, before: Store.Queue, after: Store.Queue): void => {
  const { keyConcurrency, name, rate } = after
  // An empty bucket stays empty at a new rate, and fills at that rate.
  const bucketFullAt = rate === null ? 0 : Math.min(before.bucketFullAt, now + rate.burst * rate.millis / rate.limit)
  Changes.setQueue(store, { ...after, bucketFullAt })
  if (before.keyConcurrency !== keyConcurrency) {
    for (const key of Indexes.keysInLine(store, name)) Changes.addKeyNotice(store, name, { key, at: now, freed: false })
  }
  Changes.hint(store, { _tag: "Ready", queue: name })
}

const defineQueue = (
  store: Store.Store,
  now: Driver.Millis,
  { definition, name, settings }: VerbRequest<"defineQueue">
): Driver.QueueRecord => {
  Changes.ensureQueue(store, name)
  const before = Store.queue(store, name)
  if (before.definition !== definition) replace(store, now, before, { ...before, ...settings, definition })
  return recordOf(Store.queue(store, name))
}

const changeQueue = (
  store: Store.Store,
  now: Driver.Millis,
  { by = null, change, name, reason = null }: VerbRequest<"changeQueue">
): Driver.QueueRecord | null => {
  const before = store.queues.get(name)
  if (before === undefined) return null
  const isSame = change.paused === undefined || change.paused === before.paused
  replace(store, now, before, { ...before, ...change, pause: isSame ? before.pause : { at: now, by, reason } })
  return recordOf(Store.queue(store, name))
}

const pauseWorkflows = (
  store: Store.Store,
  now: Driver.Millis,
  { by, reason, workflows }: VerbRequest<"pauseWorkflows">
): ReadonlyArray<string> => {
  const names = [...new Set(workflows)].filter((name) => !store.pausedWorkflows.has(name)).sort()
  for (const name of names) Changes.pauseWorkflow(store, { name, at: now, by, reason })
  return names
}

const resumeWorkflows = (store: Store.Store, workflows: VerbRequest<"resumeWorkflows">): ReadonlyArray<string> => {
  const names = [...new Set(workflows)].filter((name) => store.pausedWorkflows.has(name)).sort()
  for (const name of names) Changes.resumeWorkflow(store, name)
  for (const queue of store.queues.keys()) Changes.hint(store, { _tag: "Ready", queue })
  return names
}

/** The count that a run belongs to, or null for runs that are not counted. */
const countOf = ({ availableAt, fresh, status }: Store.Row, now: Driver.Millis) => {
  switch (status) {
    case "running":
      return "running"
    case "pending":
    case "suspended":
      return !fresh ? "suspended" : availableAt <= now ? "ready" : "delayed"
    case "paused":
    case "diverged":
      return fresh ? null : "halted"
    default:
      return null
  }
}

const queueCounts = (
  store: Store.Store,
  now: Driver.Millis,
  { limit, names }: VerbRequest<"queueCounts">
): ReadonlyArray<Driver.QueueCounts> => {
  const counts = new Map([...new Set(names)].map((name) => [name, {
    name,
    ready: 0,
    delayed: 0,
    running: 0,
    suspended: 0,
    halted: 0
  }]))
  for (const { row } of store.runs.values()) {
    const counted = counts.get(row.queue)
    const name = countOf(row, now)
    if (counted !== undefined && name !== null) counted[name] = Math.min(limit, counted[name] + 1)
  }
  return [...counts.values()]
}

export const make = (operate: Operate): Driver.QueueVerbs => ({
  queues: (names) => operate((store) => queues(store, names)),
  queuePage: (request) => operate((store) => queuePage(store, request)),
  queueCounts: (request) => operate((store, now) => queueCounts(store, now, request)),
  ensureQueues: (names) => operate((store) => ensureQueues(store, names)),
  defineQueue: (request) => operate((store, now) => defineQueue(store, now, request)),
  changeQueue: (request) => operate((store, now) => changeQueue(store, now, request)),
  pauseWorkflows: (request) => operate((store, now) => pauseWorkflows(store, now, request)),
  resumeWorkflows: (workflows) => operate((store) => resumeWorkflows(store, workflows)),
  pausedWorkflows: () => operate((store) => [...store.pausedWorkflows.values()].sort(Store.byName))
})
