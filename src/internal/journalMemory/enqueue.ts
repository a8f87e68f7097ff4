/** Inserting runs. */
import type * as Driver from "../../driver/JournalDriver.js"
import * as Store from "./Store.js"

/** Who runs the new run from the start. */
type Claimant = Driver.WorkerRef | null

export const insertRun = (
  store: Store.Store,
  now: Driver.Millis,
  run: Driver.NewRun,
  claimant: Claimant,
  paused = false
): void => {
  Store.insert(store, {
    // Spelled out: a spread of so many fields makes slow objects.
    id: run.id,
    workflow: run.workflow,
    version: run.version,
    queue: run.queue,
    priority: run.priority,
    payload: run.payload,
    idempotencyKey: run.idempotencyKey,
    parent: run.parent,
    root: run.root,
    depth: run.depth,
    key: run.key,
    expiresAt: run.expiresAt,
    tags: run.tags,
    attributes: run.attributes,
    source: null,
    fresh: claimant === null,
    seed: run.id,
    inherited: 0,
    pause: paused ? "pending" : null,
    status: paused ? "paused" : claimant === null ? "pending" : "running",
    epoch: claimant === null ? 0 : 1,
    generation: 0,
    nextSeq: 0,
    crashes: 0,
    createdAt: now,
    startedAt: claimant === null ? null : now,
    finishedAt: null,
    availableAt: run.availableAt ?? now,
    worker: claimant?.id ?? null,
    incarnation: claimant?.incarnation ?? null,
    exit: null,
    detail: null,
    claimedAt: claimant === null ? -Infinity : now,
    inboxSeq: 0,
    waiting: [],
    closed: new Set(),
    last: null
  })
  if (run.key !== null) {
    Store.ensureQueue(store, run.queue)
    Store.notice(store, run.queue, { key: run.key, at: now, freed: false })
  }
  if (claimant === null && !paused) Store.hint(store, { _tag: "Ready", queue: run.queue })
}

/** It may be claimed as it is inserted: nothing limits when it starts. */
const isForAnybody = (store: Store.Store, now: Driver.Millis, run: Driver.NewRun): boolean => {
  const { admission, concurrency, paused, rate } = Store.queue(store, run.queue)
  return (run.availableAt ?? now) <= now && run.key === null && (run.expiresAt ?? Infinity) > now &&
    !paused && admission === null && concurrency === null && rate === null && !store.pausedWorkflows.has(run.workflow)
}

/** The live run for the key of a singleton. */
const holderOf = (store: Store.Store, run: Driver.NewRun): Store.Run | undefined => {
  if (run.singleton === null) return undefined
  const id = store.singletons.get(Store.pairKey(run.workflow, run.singleton.key))
  const holder = id === undefined ? undefined : store.runs.get(id)
  return holder === undefined || Store.isFinal(holder.row.status) ? undefined : holder
}

/** Start one run for a key, or join the one that is live. */
const enqueueSingle = (
  store: Store.Store,
  now: Driver.Millis,
  run: Driver.NewRun,
  { debounce, key }: Driver.Singleton
): Driver.EnqueueResult => {
  const holder = holderOf(store, run)
  if (holder !== undefined && debounce === null) return { _tag: "Joined", id: holder.row.id }
  const quietUntil = (from: Driver.Millis) =>
    Math.max(
      run.availableAt === null ? 0 : Math.ceil(run.availableAt),
      Math.min(now + (debounce?.quietMillis ?? 0), from + (debounce?.maxWaitMillis ?? Infinity))
    )
  if (holder !== undefined) {
    const { createdAt, fresh, id, key: queueKey, pause, queue, status, version } = holder.row
    const waits = status === "pending" || (status === "paused" && pause === "pending")
    const may = waits && fresh && queue === run.queue && version === run.version && queueKey === run.key
    const isCancelled = [...holder.inbox.values()].some(({ message }) => message.kind === "cancel")
    if (may && !isCancelled) {
      const { attributes, payload, priority, tags } = run
      Store.update(store, holder, { payload, priority, tags, attributes, availableAt: quietUntil(createdAt) })
      if (queueKey !== null) Store.notice(store, queue, { key: queueKey, at: now, freed: false })
      Store.hint(store, { _tag: "Ready", queue })
      return { _tag: "Joined", id }
    }
  }
  insertRun(store, now, debounce === null ? run : { ...run, availableAt: quietUntil(now) }, null)
  Store.setSingleton(store, run.workflow, key, run.id)
  return { _tag: "Started", id: run.id, epoch: null }
}

export const enqueue = (
  store: Store.Store,
  now: Driver.Millis,
  request: Parameters<Driver.JournalDriver["enqueue"]>[0]
): ReadonlyArray<Driver.EnqueueResult> => {
  let slots = request.runs.some(({ singleton }) => singleton !== null) ? 0 : request.claim?.slots ?? 0
  return request.runs.map((run): Driver.EnqueueResult => {
    const found = Store.existing(store, run)
    if (found !== undefined) {
      const { id, payload, status } = found.row
      return { _tag: "Existing", id, payload, status }
    }
    if (run.singleton !== null) return enqueueSingle(store, now, run, run.singleton)
    const claimant = slots > 0 && isForAnybody(store, now, run) ? request.claim?.worker ?? null : null
    if (claimant !== null) slots--
    insertRun(store, now, run, claimant)
    return { _tag: "Started", id: run.id, epoch: claimant === null ? null : 1 }
  })
}
