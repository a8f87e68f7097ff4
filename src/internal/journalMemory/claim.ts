/** Taking runs that are available. */
import type * as Driver from "../../JournalDriver.js"
import * as Store from "./Store.js"

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
    epoch: row.epoch,
    generation: row.generation,
    nextSeq: row.nextSeq,
    createdAt: row.createdAt,
    startedAt: row.startedAt ?? now,
    seen: row.inboxSeq,
    crashes: row.crashes,
    journal: request.held.get(row.id) === row.nextSeq ? [] : run.journal.map((written) => written.entry),
    inbox: unread(run, 0)
  }
}

export const claim = (
  store: Store.Store,
  now: Driver.Millis,
  request: Request
): { readonly runs: ReadonlyArray<Driver.ClaimedRun>; readonly nextDue: Driver.Millis | null } => {
  const workflows = new Set(request.workflows.map(({ name, version }) => Store.pairKey(name, version)))
  const known = (row: Store.Row) => workflows.has(Store.pairKey(row.workflow, row.version))
  const queues = [...new Set(request.queues)].map((name) => Store.queueOf(store, name))
  for (const queue of queues) look(queue, now)
  // What a worker without a lease takes would be taken from it at once.
  const chosen = !Store.isLive(store, request.worker, now) ? [] : queues
    .flatMap((queue) => some(queue.due, request.limit, known))
    .sort(Store.byTurn)
    .slice(0, request.limit)
  const next = queues
    .flatMap((queue) => some(queue.later, 1, known))
    .map((row) => row.availableAt)
  return {
    runs: chosen.flatMap((row) => {
      const run = store.runs.get(row.id)
      return run === undefined ? [] : [take(store, now, request, run)]
    }),
    nextDue: next.length === 0 ? null : Math.min(...next)
  }
}
