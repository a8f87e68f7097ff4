/**
 * The changes of the memory driver's state. Each one keeps the indexes up to date, and while a transaction is open
 * records how to undo itself.
 */
import type * as Driver from "../../driver/JournalDriver.js"
import * as Indexes from "./indexes.js"
import * as Store from "./Store.js"

const onUndo = (store: Store.Store, undo: () => void): void => {
  if (store.undo !== null) store.undo.push(undo)
}

const set = <K, V>(store: Store.Store, map: Map<K, V>, key: K, value: V): void => {
  const before = map.get(key)
  map.set(key, value)
  onUndo(store, () => before === undefined ? map.delete(key) : map.set(key, before))
}

const unset = <K, V>(store: Store.Store, map: Map<K, V>, key: K): void => {
  const before = map.get(key)
  if (before === undefined) return
  map.delete(key)
  onUndo(store, () => map.set(key, before))
}

const setRow = (store: Store.Store, run: Store.Run, row: Store.Row): void => {
  Indexes.remove(store, run)
  run.row = row
  Indexes.add(store, run)
}

/** Changes some fields of a run's row. */
export const updateRun = (store: Store.Store, run: Store.Run, change: Partial<Store.Row>): void => {
  const before = run.row
  setRow(store, run, { ...before, ...change })
  onUndo(store, () => setRow(store, run, before))
}

export const insertRun = (store: Store.Store, row: Store.Row): Store.Run => {
  const run: Store.Run = { row, journal: [], inbox: new Map(), messageIds: new Set(), published: new Map() }
  const { id, idempotencyKey, parent, workflow } = row
  set(store, store.runs, id, run)
  if (idempotencyKey !== null) set(store, store.idempotencyKeys, Store.pairKey(workflow, idempotencyKey), id)
  if (parent !== null) set(store, store.children, parent.id, [...store.children.get(parent.id) ?? [], id])
  Indexes.add(store, run)
  onUndo(store, () => Indexes.remove(store, run))
  return run
}

/** Deletes a final run. */
export const deleteRun = (store: Store.Store, run: Store.Run): void => {
  const { id, idempotencyKey, parent, workflow } = run.row
  unset(store, store.runs, id)
  unset(store, store.controls, id)
  if (idempotencyKey !== null) unset(store, store.idempotencyKeys, Store.pairKey(workflow, idempotencyKey))
  const siblings = parent === null ? undefined : store.children.get(parent.id)
  if (parent !== null && siblings !== undefined) {
    const others = siblings.filter((each) => each !== id)
    if (others.length === 0) unset(store, store.children, parent.id)
    else set(store, store.children, parent.id, others)
  }
}

export const appendEntries = (
  store: Store.Store,
  run: Store.Run,
  entries: ReadonlyArray<Store.WrittenEntry>
): void => {
  const length = run.journal.length
  for (const entry of entries) run.journal.push(entry)
  onUndo(store, () => {
    run.journal.length = length
  })
}

export const insertMessage = (store: Store.Store, run: Store.Run, stored: Store.StoredMessage): void => {
  set(store, run.inbox, stored.message.ordinal, stored)
  run.messageIds.add(stored.id)
  onUndo(store, () => run.messageIds.delete(stored.id))
}

export const consumeMessage = (store: Store.Store, run: Store.Run, ordinal: number): void => {
  const stored = run.inbox.get(ordinal)
  if (stored !== undefined) set(store, run.inbox, ordinal, { ...stored, consumed: true })
}

/** Deletes the entries of the old generation, and its messages unless `keep` says otherwise. */
export const startGeneration = (
  store: Store.Store,
  run: Store.Run,
  keep: (stored: Store.StoredMessage) => boolean
): void => {
  const { inbox, journal, messageIds } = run
  run.journal = []
  run.inbox = new Map([...inbox].filter(([, stored]) => keep(stored)))
  run.messageIds = new Set([...run.inbox.values()].map(({ id }) => id))
  onUndo(store, () => {
    run.journal = journal
    run.inbox = inbox
    run.messageIds = messageIds
  })
}

export const publishValue = (
  store: Store.Store,
  run: Store.Run,
  published: Omit<Store.PublishedValue, "version">
): void =>
  set(store, run.published, published.key, {
    ...published,
    version: (run.published.get(published.key)?.version ?? 0) + 1
  })

export const addControl = (store: Store.Store, run: string, control: Driver.Control): void =>
  set(store, store.controls, run, [...store.controls.get(run) ?? [], control])

export const setSingleton = (store: Store.Store, workflow: string, key: string, run: string): void =>
  set(store, store.singletons, Store.pairKey(workflow, key), run)

export const setQueue = (store: Store.Store, queue: Store.Queue): void => set(store, store.queues, queue.name, queue)

/** Inserts the queue's row if it has none. Returns whether it inserted the row. */
export const ensureQueue = (store: Store.Store, name: string): boolean => {
  if (store.queues.has(name)) return false
  setQueue(store, Store.queue(store, name))
  return true
}

export const pauseWorkflow = (store: Store.Store, paused: Driver.PausedWorkflow): void =>
  set(store, store.pausedWorkflows, paused.name, paused)

export const resumeWorkflow = (store: Store.Store, name: string): void => unset(store, store.pausedWorkflows, name)

export const setKeyHeads = (store: Store.Store, queue: string, heads: ReadonlyArray<Store.KeyHead>): void =>
  set(store, store.keyHeads, queue, heads)

export const addKeyNotice = (store: Store.Store, queue: string, notice: Store.KeyNotice): void => {
  const notices = Indexes.getOrInsert(store.keyNotices, queue, () => new Map<string, Store.KeyNotice>())
  const name = JSON.stringify(notice)
  if (!notices.has(name)) set(store, notices, name, notice)
}

/**
 * Removes the notices of about `keyLimit` keys, from the oldest and the newest alternately. `more`: the queue has other
 * notices.
 */
export const takeKeyNotices = (
  store: Store.Store,
  queue: string,
  keyLimit: number
): { readonly notices: ReadonlyArray<Store.KeyNotice>; readonly more: boolean } => {
  const all = store.keyNotices.get(queue) ?? new Map<string, Store.KeyNotice>()
  const inOrder = [...all.values()]
  const keys = new Set<string>()
  for (let i = 0; i < inOrder.length && keys.size < keyLimit; i++) {
    for (const notice of [inOrder[i], inOrder[inOrder.length - 1 - i]]) if (notice !== undefined) keys.add(notice.key)
  }
  const removed = [...all].filter(([, { key }]) => keys.has(key))
  for (const [name] of removed) unset(store, all, name)
  return { notices: removed.map(([, notice]) => notice), more: all.size > 0 }
}

export const setSchedule = (store: Store.Store, schedule: Store.Schedule): void =>
  set(store, store.schedules, schedule.name, schedule)

export const deleteSchedule = (store: Store.Store, name: string): void => unset(store, store.schedules, name)

export const setLease = (store: Store.Store, worker: string, lease: Store.Lease): void =>
  set(store, store.leases, worker, lease)

export const deleteLease = (store: Store.Store, worker: string): void => unset(store, store.leases, worker)

export const setSamples = (store: Store.Store, worker: string, samples: ReadonlyArray<Driver.WorkerSample>): void =>
  set(store, store.samples, worker, samples)

/** Adds a hint, which is published after the operation, or after the transaction around it. */
export const hint = (store: Store.Store, hint: Driver.Hint): void => void store.hints.push(hint)

/** A place in the changes, to which `rollback` returns. */
export interface Savepoint {
  readonly undo: number
  readonly hints: number
}

export const savepoint = (store: Store.Store): Savepoint => ({
  undo: store.undo?.length ?? 0,
  hints: store.hints.length
})

export const rollback = (store: Store.Store, to: Savepoint): void => {
  for (const undo of (store.undo?.splice(to.undo) ?? []).reverse()) undo()
  store.hints.length = to.hints
}
