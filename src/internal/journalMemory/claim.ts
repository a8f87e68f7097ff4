/** The `claim` verb: available runs of some queues, within the limits of the queues, are given to a worker. */
import type * as Driver from "../../driver/JournalDriver.js"
import type { VerbRequest, VerbValues } from "../../driver/verbs.js"
import * as Changes from "./changes.js"
import * as Indexes from "./indexes.js"
import type { Candidate, KeyOrder, Scope } from "./keyOrder.js"
import { isInTime, readKeys, updateHeads } from "./keyOrder.js"
import { unreadMessages } from "./read.js"
import * as Store from "./Store.js"

type Request = VerbRequest<"claim">

type ClaimValue = VerbValues["claim"]

/** Sorts a queue's claimable runs into those that are due now and those that are due later. */
const sortByTime = (runs: Store.ClaimableRuns, now: Driver.Millis): void => {
  if (now < runs.sortedAt) { for (const row of runs.due.drain()) runs.later.insert(row) }
  runs.sortedAt = now
  for (let row = runs.later.first; row !== undefined && row.availableAt <= now; row = runs.later.first) {
    runs.later.remove(row)
    runs.due.insert(row)
  }
}

/** The first `limit` items that pass. */
const firstOf = <A>(items: Iterable<A>, limit: number, passes: (item: A) => boolean): Array<A> => {
  const found: Array<A> = []
  for (const item of items) {
    if (found.length >= limit) break
    if (passes(item)) found.push(item)
  }
  return found
}

const claimRun = (store: Store.Store, now: Driver.Millis, request: Request, run: Store.Run): Driver.ClaimedRun => {
  const { epoch, startedAt } = run.row
  Changes.updateRun(store, run, {
    status: "running",
    epoch: epoch + 1,
    startedAt: startedAt ?? now,
    fresh: false,
    claimedAt: now,
    worker: request.worker.id,
    incarnation: request.worker.incarnation,
    waiting: []
  })
  const { row } = run
  return {
    id: row.id,
    workflow: row.workflow,
    version: row.version,
    queue: row.queue,
    priority: row.priority,
    payload: row.payload,
    idempotencyKey: row.idempotencyKey,
    parent: row.parent,
    root: row.root,
    depth: row.depth,
    key: row.key,
    seed: row.seed,
    inherited: row.inherited,
    epoch: row.epoch,
    generation: row.generation,
    nextSeq: row.nextSeq,
    createdAt: row.createdAt,
    startedAt: row.startedAt ?? now,
    seen: row.inboxSeq,
    crashes: row.crashes,
    journal: request.hot.get(row.id) === row.nextSeq ? [] : run.journal.map(({ entry }) => entry),
    inbox: unreadMessages(run, 0)
  }
}

/** What a claim can take from one queue. */
interface Offer {
  readonly queue: Store.Queue
  readonly isLimited: boolean
  /** Null for a queue without limits and without keys. */
  readonly keyOrder: KeyOrder | null
  /** The most starts that the rate allows. */
  readonly tokens: number
  /** The most runs that the claim can take, and the most of them that it can start. */
  readonly capacity: number
  readonly startCapacity: number
  /** In order, within the capacities. */
  readonly candidates: ReadonlyArray<Candidate>
}

const byPlace = (a: Candidate, b: Candidate): number =>
  a.row.priority - b.row.priority || a.round - b.round || a.at - b.at || Store.compare(a.row.id, b.row.id)

/** Whether the queue has limits, or may have runs that wait in the order of their key. */
const isLimited = (store: Store.Store, { admission, concurrency, name, rate }: Store.Queue): boolean =>
  admission !== null || concurrency !== null || rate !== null || (store.keyNotices.get(name)?.size ?? 0) > 0 ||
  (store.keyHeads.get(name) ?? []).length > 0

/** The time in which one token arrives. */
const tokenMillis = ({ limit, millis }: Driver.Rate): Driver.Millis => millis / limit

const tokensOf = ({ bucketFullAt, rate }: Store.Queue, now: Driver.Millis): number =>
  rate === null ? Infinity : Math.floor(rate.burst - Math.max(bucketFullAt - now, 0) / tokenMillis(rate))

const offerOf = (store: Store.Store, queue: Store.Queue, scope: Scope): Offer => {
  const { canExecute, limit, now } = scope
  const limited = isLimited(store, queue)
  const { running, started } = Indexes.usage(store, queue.name, null)
  const tokens = Math.min(limit, tokensOf(queue, now))
  const unused = (most: number | null, used: number) => most === null ? limit : most - Math.min(most, used)
  const capacity = Math.min(limit, unused(queue.concurrency, running))
  const startCapacity = Math.min(limit, tokens, unused(queue.admission, started))
  const keyOrder = limited ? readKeys(store, queue, scope) : null
  const { due } = Indexes.claimableRuns(store, queue.name)
  const available = [true, false].flatMap((fresh) =>
    firstOf(due, limit, (row) => row.fresh === fresh && canExecute(row) && isInTime(row, now))
      .map((row): Candidate => ({ row, at: row.availableAt, round: 1 }))
  )
  const candidates = [...available, ...keyOrder?.candidates ?? []].sort(byPlace)
  const starts = new Set(candidates.filter(({ row }) => row.fresh).slice(0, Math.max(0, startCapacity)))
  return {
    queue,
    isLimited: limited,
    keyOrder,
    tokens,
    capacity,
    startCapacity,
    candidates: candidates.filter((each) => !each.row.fresh || starts.has(each)).slice(0, Math.max(0, capacity))
  }
}

/** In order of the queues' priority, then the runs'. Equal priorities take one run from each queue in rotation. */
const inRotation = (offers: ReadonlyArray<Offer>): ReadonlyArray<Store.Row> =>
  offers.flatMap(({ candidates, queue }, position) => {
    const places = new Map<number, number>()
    return candidates.map(({ row }) => {
      const place = (places.get(row.priority) ?? 0) + 1
      places.set(row.priority, place)
      return { row, place, position, queuePriority: queue.priority }
    })
  })
    .sort((a, b) =>
      a.queuePriority - b.queuePriority || a.row.priority - b.row.priority || a.place - b.place ||
      a.position - b.position
    )
    .map(({ row }) => row)

const earliest = (instants: ReadonlyArray<Driver.Millis>): Driver.Millis | null =>
  instants.length === 0 ? null : Math.min(...instants)

export const claim = (store: Store.Store, now: Driver.Millis, request: Request): ClaimValue => {
  const workflows = new Set(
    request.workflows
      .filter(({ name }) => !store.pausedWorkflows.has(name))
      .map(({ name, version }) => Store.pairKey(name, version))
  )
  const { limit } = request
  const canExecute: Scope["canExecute"] = ({ version, workflow }) => workflows.has(Store.pairKey(workflow, version))
  // The runs of a worker without a valid lease would be released at once.
  const isLive = Store.isLive(store, request.worker, now)
  const queues = [...new Set(request.queues)]
    .map((name) => Store.queue(store, name))
    .filter((queue) => !queue.paused && queue.concurrency !== 0 && (isLive || !isLimited(store, queue)))
  for (const { name } of queues) sortByTime(Indexes.claimableRuns(store, name), now)
  const offers = queues.map((queue) => offerOf(store, queue, { now, limit, canExecute }))
  // These are the rows as they were before the claim.
  const rows = isLive ? inRotation(offers).slice(0, limit) : []
  const runs = rows.flatMap((row) => {
    const run = store.runs.get(row.id)
    return run === undefined ? [] : [claimRun(store, now, request, run)]
  })
  const dues = queues.flatMap(({ name }) =>
    firstOf(Indexes.claimableRuns(store, name).later, 1, canExecute).map((row) => row.availableAt)
  )
  let more = false
  for (const { capacity, keyOrder, queue, startCapacity, tokens } of offers) {
    if (keyOrder === null) continue
    const taken = rows.filter((row) => row.queue === queue.name)
    const started = taken.filter((row) => row.fresh)
    const heads = updateHeads(store, queue, keyOrder, started, now)
    const { rate } = queue
    if (rate !== null) {
      const bucketFullAt = started.length > 0
        ? Math.max(queue.bucketFullAt, now) + started.length * tokenMillis(rate)
        : queue.bucketFullAt
      Changes.setQueue(store, { ...queue, bucketFullAt })
      if (started.length >= tokens) dues.push(Math.ceil(bucketFullAt - (rate.burst - 1) * tokenMillis(rate)))
    }
    const hasCapacity = taken.length < capacity && started.length < startCapacity
    more ||= keyOrder.hasMoreNotices ||
      (rows.length < limit && hasCapacity &&
        (keyOrder.hasMoreHeads || heads.some((head) => head.at <= now && canExecute(head))))
    for (const head of store.keyHeads.get(queue.name) ?? []) if (head.at > now && canExecute(head)) dues.push(head.at)
  }
  return {
    runs,
    nextDue: earliest(dues),
    more,
    limited: offers.some(({ isLimited, queue }) =>
      isLimited && isLive && (queue.concurrency !== null || queue.admission !== null)
    )
  }
}
