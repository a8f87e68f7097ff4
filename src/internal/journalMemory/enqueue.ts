/** The `enqueue` verb, and the insert of runs by other verbs. */
import type * as Driver from "../../driver/JournalDriver.js"
import { isFinal } from "../../driver/RunStatus.js"
import type { VerbRequest } from "../../driver/verbs.js"
import * as Changes from "./changes.js"
import * as Store from "./Store.js"

/** Inserts a run: claimed by `claimant`, or without a holder if it is null. */
export const insertRun = (
  store: Store.Store,
  now: Driver.Millis,
  run: Driver.NewRun,
  claimant: Driver.WorkerRef | null,
  paused = false
): void => {
  Changes.insertRun(store, {
    // The fields are listed because V8 stores the result of a spread of this size as a slow object.
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
    errorCode: null,
    endCause: null,
    detail: null,
    claimedAt: claimant === null ? -Infinity : now,
    inboxSeq: 0,
    waiting: [],
    closed: new Set(),
    lastCommit: null
  })
  if (run.key !== null) {
    Changes.ensureQueue(store, run.queue)
    Changes.addKeyNotice(store, run.queue, { key: run.key, at: now, freed: false })
  }
  if (claimant === null && !paused) Changes.hint(store, { _tag: "Ready", queue: run.queue })
}

/** Whether the insert can claim the run: it is available now, and no limit applies to it. */
const canStartNow = (store: Store.Store, now: Driver.Millis, run: Driver.NewRun): boolean => {
  const { admission, concurrency, paused, rate } = Store.queue(store, run.queue)
  return (run.availableAt ?? now) <= now && run.key === null && (run.expiresAt ?? Infinity) > now &&
    !paused && admission === null && concurrency === null && rate === null && !store.pausedWorkflows.has(run.workflow)
}

/** The live run that has the singleton key of a new run. */
const singletonOf = (store: Store.Store, { singleton, workflow }: Driver.NewRun): Store.Run | undefined => {
  if (singleton === null) return undefined
  const id = store.singletons.get(Store.pairKey(workflow, singleton.key))
  const run = id === undefined ? undefined : store.runs.get(id)
  return run === undefined || isFinal(run.row.status) ? undefined : run
}

/** Whether a debounced start can replace the fields of the run that has its singleton key. */
const isReplaceable = ({ inbox, row }: Store.Run, start: Driver.NewRun): boolean => {
  const { fresh, key, pause, queue, status, version } = row
  const isWaiting = status === "pending" || (status === "paused" && pause === "pending")
  return isWaiting && fresh && queue === start.queue && version === start.version && key === start.key &&
    ![...inbox.values()].some(({ message }) => message.kind === "cancel")
}

/** Joins the live run that has the singleton key, or inserts a run that takes the key. */
const enqueueSingleton = (
  store: Store.Store,
  now: Driver.Millis,
  run: Driver.NewRun,
  { debounce, key }: Driver.Singleton
): Driver.EnqueueResult => {
  const live = singletonOf(store, run)
  if (live !== undefined && debounce === null) return { _tag: "Joined", id: live.row.id }
  const quietAt = (insertedAt: Driver.Millis) =>
    Math.max(
      run.availableAt === null ? 0 : Math.ceil(run.availableAt),
      Math.min(now + (debounce?.quietMillis ?? 0), insertedAt + (debounce?.maxWaitMillis ?? Infinity))
    )
  if (live !== undefined && isReplaceable(live, run)) {
    const { createdAt, id, key: queueKey, queue } = live.row
    const { attributes, payload, priority, tags } = run
    Changes.updateRun(store, live, { payload, priority, tags, attributes, availableAt: quietAt(createdAt) })
    if (queueKey !== null) Changes.addKeyNotice(store, queue, { key: queueKey, at: now, freed: false })
    Changes.hint(store, { _tag: "Ready", queue })
    return { _tag: "Joined", id }
  }
  insertRun(store, now, debounce === null ? run : { ...run, availableAt: quietAt(now) }, null)
  Changes.setSingleton(store, run.workflow, key, run.id)
  return { _tag: "Started", id: run.id, epoch: null }
}

export const enqueue = (
  store: Store.Store,
  now: Driver.Millis,
  { claim, runs }: VerbRequest<"enqueue">
): ReadonlyArray<Driver.EnqueueResult> => {
  let capacity = runs.some(({ singleton }) => singleton !== null) ? 0 : claim?.capacity ?? 0
  return runs.map((run): Driver.EnqueueResult => {
    const found = Store.existing(store, run)
    if (found !== undefined) {
      const { id, payload, status } = found.row
      return { _tag: "Existing", id, payload, status }
    }
    if (run.singleton !== null) return enqueueSingleton(store, now, run, run.singleton)
    const claimant = capacity > 0 && canStartNow(store, now, run) ? claim?.worker ?? null : null
    if (claimant !== null) capacity--
    insertRun(store, now, run, claimant)
    return { _tag: "Started", id: run.id, epoch: claimant === null ? null : 1 }
  })
}
