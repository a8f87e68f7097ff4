/** Handing back the runs of workers: reconcile, retire, reap. */
import type * as Driver from "../../driver/JournalDriver.js"
import * as Messages from "./messages.js"
import * as Store from "./Store.js"

/** The runs that a worker's incarnation holds, in order of id. */
const heldBy = (store: Store.Store, worker: Driver.WorkerRef): ReadonlyArray<Store.Run> =>
  [...store.held.get(Store.pairKey(worker.id, worker.incarnation)) ?? []].sort(Store.byId)

export const reconcile = (
  store: Store.Store,
  now: Driver.Millis,
  request: Parameters<Driver.JournalDriver["reconcile"]>[0]
): { readonly released: number } => {
  const known = new Set(request.held)
  const strays = heldBy(store, request.worker)
    .filter(({ row }) => !known.has(row.id) && row.claimedAt < request.claimedBefore)
  for (const run of strays) Messages.release(store, run, { status: "pending", availableAt: now })
  return { released: strays.length }
}

export const retire = (
  store: Store.Store,
  now: Driver.Millis,
  worker: Driver.WorkerRef
): { readonly released: number } => {
  if (store.leases.get(worker.id)?.incarnation === worker.incarnation) Store.dropLease(store, worker.id)
  const runs = heldBy(store, worker)
  for (const run of runs) Messages.release(store, run, { status: "pending", availableAt: now })
  return { released: runs.length }
}

const isLive = (store: Store.Store, now: Driver.Millis, { incarnation, worker }: Store.Row): boolean =>
  worker !== null && incarnation !== null && Store.isLive(store, { id: worker, incarnation }, now)

export const reap = (
  store: Store.Store,
  now: Driver.Millis,
  request: Parameters<Driver.JournalDriver["reap"]>[0]
): { readonly released: number; readonly exhausted: number } => {
  const orphans = [...store.held.values()]
    .flatMap((runs) => [...runs].filter((run) => !isLive(store, now, run.row)))
    .sort(Store.byId)
    .slice(0, request.limit)
  let exhausted = 0
  for (const run of orphans) {
    const { worker } = run.row
    const crashes = run.row.crashes + 1
    if (crashes < request.maxCrashes) {
      Messages.release(store, run, { status: "pending", availableAt: now, crashes })
      continue
    }
    exhausted++
    Store.update(store, run, { crashes })
    // Its place is free.
    Store.hint(store, { _tag: "Ready", queue: run.row.queue })
    Messages.end(store, now, run, {
      status: "exhausted",
      exit: null,
      detail: JSON.stringify({ crashes, worker, at: now })
    })
  }
  for (const run of orphans) if (run.row.status === "exhausted") Messages.tellParent(store, now, run)
  return { released: orphans.length - exhausted, exhausted }
}
