/** Taking runs that are available. */
import type * as Driver from "../../driver/JournalDriver.js"
import * as Store from "./Store.js"
import * as Turns from "./turns.js"

type Request = Parameters<Driver.JournalDriver["claim"]>[0]

/** Sort a queue's claimable runs into those that are due now and those that are due later. */
const look = (queue: Store.Waiting, now: Driver.Millis): void => {
  if (now < queue.lookedAt) { for (const row of queue.due.drain()) queue.later.insert(row) }
  queue.lookedAt = now
  for (let row = queue.later.first; row !== undefined && row.availableAt <= now; row = queue.later.first) {
    queue.later.remove(row)
    queue.due.insert(row)
  }
}

/** Up to `limit` items that pass. */
const some = <A>(items: Iterable<A>, limit: number, passes: (item: A) => boolean): Array<A> => {
  const found: Array<A> = []
  for (const item of items) {
    if (found.length >= limit) break
    if (passes(item)) found.push(item)
  }
  return found
}

export const unread = (run: Store.Run, after: number): ReadonlyArray<Driver.Message> => {
  const messages: Array<Driver.Message> = []
  for (const [ordinal, stored] of run.inbox) {
    if (ordinal > after && !stored.consumed) messages.push(stored.message)
  }
  return messages
}

const take = (store: Store.Store, now: Driver.Millis, request: Request, run: Store.Run): Driver.ClaimedRun => {
  const { epoch, startedAt } = run.row
  Store.update(store, run, {
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
    journal: request.hot.get(row.id) === row.nextSeq ? [] : run.journal.map((written) => written.entry),
    inbox: unread(run, 0)
  }
}

type Answered = {
  readonly runs: ReadonlyArray<Driver.ClaimedRun>
  readonly nextDue: Driver.Millis | null
  readonly more: boolean
  readonly limited: boolean
}

/** A run that may be taken: whose turn in its queue it is, and since when. */
interface Candidate {
  readonly row: Store.Row
  readonly at: Driver.Millis
  readonly round: number
}

/** What a claim has found in one queue. */
interface Found {
  readonly queue: Store.Queue
  readonly isLimited: boolean
  readonly turns: Turns.Turns | null
  /** How many starts the rate allows. */
  readonly tokens: number
  /** How many runs may be taken, and how many of them may be fresh. */
  readonly slots: number
  readonly fresh: number
  /** In order, as far as the budgets go. */
  readonly candidates: ReadonlyArray<Candidate>
}

const byPlace = (a: Candidate, b: Candidate): number =>
  a.row.priority - b.row.priority || a.round - b.round || a.at - b.at || (a.row.id < b.row.id ? -1 : 1)

/** The queue has limits, or runs with keys may wait in it. */
const isLimited = (store: Store.Store, { admission, concurrency, name, rate }: Store.Queue): boolean =>
  admission !== null || concurrency !== null || rate !== null || (store.notices.get(name)?.size ?? 0) > 0 ||
  (store.turns.get(name) ?? []).length > 0

/** Between starts, in milliseconds. */
const interval = ({ limit, millis }: Driver.Rate): number => millis / limit

const tokensOf = ({ arrival, rate }: Store.Queue, now: Driver.Millis): number =>
  rate === null
    ? Infinity
    : Math.floor(rate.burst - Math.max(arrival - now, 0) / interval(rate))

const find = (store: Store.Store, queue: Store.Queue, request: Turns.Look): Found => {
  const { known, limit, now } = request
  const limited = isLimited(store, queue)
  const { begun, running } = Store.occupancy(store, queue.name, null)
  const tokens = Math.min(limit, tokensOf(queue, now))
  const left = (most: number | null, used: number) => most === null ? limit : most - Math.min(most, used)
  const slots = Math.min(limit, left(queue.concurrency, running))
  const fresh = Math.min(limit, tokens, left(queue.admission, begun))
  const turns = limited ? Turns.look(store, queue, request) : null
  const { due } = Store.claimableOf(store, queue.name)
  const ready = [true, false].flatMap((fresh) =>
    some(due, limit, (row) => row.fresh === fresh && known(row) && Turns.inTime(row, now))
      .map((row): Candidate => ({ row, at: row.availableAt, round: 1 }))
  )
  const candidates = [...ready, ...turns?.heads ?? []].sort(byPlace)
  const starts = new Set(candidates.filter(({ row }) => row.fresh).slice(0, Math.max(0, fresh)))
  return {
    queue,
    isLimited: limited,
    turns,
    tokens,
    slots,
    fresh,
    candidates: candidates.filter((each) => !each.row.fresh || starts.has(each)).slice(0, Math.max(0, slots))
  }
}

/** In order of the queues' priority, then the runs'; of equals one from each queue in turn. */
const inTurn = (found: ReadonlyArray<Found>): ReadonlyArray<Store.Row> =>
  found.flatMap(({ candidates, queue }, i) => {
    const places = new Map<number, number>()
    return candidates.map(({ row }) => {
      const place = (places.get(row.priority) ?? 0) + 1
      places.set(row.priority, place)
      return { row, place, i, rank: queue.priority }
    })
  })
    .sort((a, b) => a.rank - b.rank || a.row.priority - b.row.priority || a.place - b.place || a.i - b.i)
    .map(({ row }) => row)

const least = (instants: ReadonlyArray<Driver.Millis>): Driver.Millis | null =>
  instants.length === 0 ? null : Math.min(...instants)

export const claim = (store: Store.Store, now: Driver.Millis, request: Request): Answered => {
  const workflows = new Set(
    request.workflows
      .filter(({ name }) => !store.pausedWorkflows.has(name))
      .map(({ name, version }) => Store.pairKey(name, version))
  )
  const { limit } = request
  const known: Turns.Look["known"] = ({ version, workflow }) => workflows.has(Store.pairKey(workflow, version))
  // What a worker without a lease takes would be taken from it at once.
  const isLive = Store.isLive(store, request.worker, now)
  const queues = [...new Set(request.queues)]
    .map((name) => Store.queue(store, name))
    .filter((queue) => !queue.paused && queue.concurrency !== 0 && (isLive || !isLimited(store, queue)))
  for (const { name } of queues) look(Store.claimableOf(store, name), now)
  const found = queues.map((queue) => find(store, queue, { now, limit, known }))
  const chosen = isLive ? inTurn(found).slice(0, limit) : []
  // What is told of a run is as it was claimed; how fresh it was is asked below.
  const runs = chosen.flatMap((row) => {
    const run = store.runs.get(row.id)
    return run === undefined ? [] : [take(store, now, request, run)]
  })
  const dues = queues.flatMap(({ name }) =>
    some(Store.claimableOf(store, name).later, 1, known).map((row) => row.availableAt)
  )
  let more = false
  for (const { fresh, queue, slots, tokens, turns } of found) {
    if (turns === null) continue
    const mine = chosen.filter((row) => row.queue === queue.name)
    const started = mine.filter((row) => row.fresh)
    const after = Turns.settle(store, queue, turns, started, now)
    const { rate } = queue
    if (rate !== null) {
      const arrival = started.length > 0
        ? Math.max(queue.arrival, now) + started.length * interval(rate)
        : queue.arrival
      Store.setQueue(store, { ...queue, arrival })
      if (started.length >= tokens) dues.push(Math.ceil(arrival - (rate.burst - 1) * interval(rate)))
    }
    const hasRoom = mine.length < slots && started.length < fresh
    more ||= turns.more ||
      (chosen.length < limit && hasRoom &&
        (turns.full || after.turns.some((turn) => turn.at <= now && known(turn))))
    for (const turn of store.turns.get(queue.name) ?? []) if (turn.at > now && known(turn)) dues.push(turn.at)
  }
  return {
    runs,
    nextDue: least(dues),
    more,
    limited: found.some(({ isLimited, queue }) =>
      isLimited && isLive && (queue.concurrency !== null || queue.admission !== null)
    )
  }
}
