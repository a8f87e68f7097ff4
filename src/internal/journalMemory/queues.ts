/** Queues: their settings, and the workflows that are paused. */
import type * as Driver from "../../driver/JournalDriver.js"
import * as Store from "./Store.js"

const byName = (a: { readonly name: string }, b: { readonly name: string }): number => a.name < b.name ? -1 : 1

const record = ({ arrival: _, ...shown }: Store.Queue): Driver.QueueRecord => shown

export const queues = (
  store: Store.Store,
  names: ReadonlyArray<string> | null
): ReadonlyArray<Driver.QueueRecord> =>
  (names === null ? [...store.queues.values()] : [...new Set(names)].flatMap((name) => store.queues.get(name) ?? []))
    .sort(byName)
    .map(record)

export const ensure = (store: Store.Store, names: ReadonlyArray<string>): ReadonlyArray<string> =>
  [...new Set(names)].filter((name) => Store.ensureQueue(store, name)).sort()

/** What the queue allows to a key has changed: look at all keys that wait. */
const change = (store: Store.Store, now: Driver.Millis, before: Store.Queue, changed: Store.Queue): void => {
  const { rate } = changed
  // An empty bucket is as empty at a new rate, and fills at that.
  const arrival = rate === null ? 0 : Math.min(before.arrival, now + rate.burst * rate.millis / rate.limit)
  const after = { ...changed, arrival }
  Store.setQueue(store, after)
  if (before.keyConcurrency !== after.keyConcurrency) {
    for (const key of Store.waitingKeys(store, after.name)) {
      Store.notice(store, after.name, { key, at: now, freed: false })
    }
  }
  Store.hint(store, { _tag: "Ready", queue: after.name })
}

export const define = (
  store: Store.Store,
  now: Driver.Millis,
  request: Parameters<Driver.JournalDriver["defineQueue"]>[0]
): Driver.QueueRecord => {
  const { definition, name, settings } = request
  Store.ensureQueue(store, name)
  const before = Store.queue(store, name)
  if (before.definition !== definition) change(store, now, before, { ...before, ...settings, definition })
  return record(Store.queue(store, name))
}

export const alter = (
  store: Store.Store,
  now: Driver.Millis,
  request: Parameters<Driver.JournalDriver["changeQueue"]>[0]
): Driver.QueueRecord | null => {
  const before = store.queues.get(request.name)
  if (before === undefined) return null
  const { by = null, change: asked, reason = null } = request
  const pause = asked.paused === undefined || asked.paused === before.paused ? before.pause : { at: now, by, reason }
  change(store, now, before, { ...before, ...asked, pause })
  return record(Store.queue(store, request.name))
}

export const pausedWorkflows = (store: Store.Store): ReadonlyArray<Driver.PausedWorkflow> =>
  [...store.pausedWorkflows.values()].sort(byName)

export const pauseWorkflows = (
  store: Store.Store,
  now: Driver.Millis,
  { by, reason, workflows }: Parameters<Driver.JournalDriver["pauseWorkflows"]>[0]
): ReadonlyArray<string> => {
  const changed = [...new Set(workflows)].filter((name) => !store.pausedWorkflows.has(name)).sort()
  for (const name of changed) Store.pauseWorkflow(store, name, { name, at: now, by, reason })
  return changed
}

export const resumeWorkflows = (store: Store.Store, workflows: ReadonlyArray<string>): ReadonlyArray<string> => {
  const changed = [...new Set(workflows)].filter((name) => store.pausedWorkflows.has(name)).sort()
  for (const name of changed) Store.pauseWorkflow(store, name, null)
  for (const queue of store.queues.keys()) Store.hint(store, { _tag: "Ready", queue })
  return changed
}

export const counts = (
  store: Store.Store,
  now: Driver.Millis,
  request: Parameters<Driver.JournalDriver["queueCounts"]>[0]
): ReadonlyArray<Driver.QueueCounts> => {
  const names = new Map([...new Set(request.names)].map((name) => [name, {
    name,
    ready: 0,
    delayed: 0,
    running: 0,
    suspended: 0,
    parked: 0
  }]))
  for (const { row: { availableAt, fresh, queue, status } } of store.runs.values()) {
    const counted = names.get(queue)
    if (counted === undefined) continue
    if (status === "running") counted.running++
    else if (status === "pending" || status === "suspended") {
      counted[!fresh ? "suspended" : availableAt <= now ? "ready" : "delayed"]++
    } else if ((status === "paused" || status === "diverged") && !fresh) counted.parked++
  }
  const { limit } = request
  return [...names.values()].map(({ delayed, name, parked, ready, running, suspended }) => ({
    name,
    ready: Math.min(limit, ready),
    delayed: Math.min(limit, delayed),
    running: Math.min(limit, running),
    suspended: Math.min(limit, suspended),
    parked: Math.min(limit, parked)
  }))
}
