/** Workers: leases, the release of the runs that they hold, reports, and pings. */
import type * as Driver from "../../driver/JournalDriver.js"
import type { VerbRequest } from "../../driver/verbs.js"
import { SuspectPauses, WorkerBounds } from "../../driver/Workers.js"
import * as Changes from "./changes.js"
import * as Messages from "./messages.js"
import type { Operate } from "./operate.js"
import * as Store from "./Store.js"

const unansweredPing = ({ ping, pong }: Store.Lease): string | null => ping === pong ? null : ping

const addSample = (
  store: Store.Store,
  now: Driver.Millis,
  { id, incarnation }: Driver.WorkerRef,
  info: Driver.Json
) => {
  const samples = store.samples.get(id) ?? []
  const last = samples.at(-1)
  if (last !== undefined && last.at > now - WorkerBounds.sampleMillis) return
  const recent = samples.filter(({ at }) => at > now - WorkerBounds.sampleAgeMillis)
  Changes.setSamples(store, id, [...recent, { at: now, incarnation, info }].slice(-WorkerBounds.samples))
}

const heartbeat = (
  store: Store.Store,
  now: Driver.Millis,
  { info, leaseMillis, worker }: VerbRequest<"heartbeat">
): Driver.HeartbeatResult => {
  const before = store.leases.get(worker.id)
  const lapsed = before !== undefined && before.until <= now
  const own = before?.incarnation === worker.incarnation ? before : undefined
  if (before !== undefined && !lapsed && own === undefined) return { _tag: "Taken" }
  const lease: Store.Lease = {
    incarnation: worker.incarnation,
    until: now + leaseMillis,
    startedAt: own?.startedAt ?? now,
    beatAt: now,
    info: info ?? own?.info ?? null,
    ping: before?.ping ?? null,
    pong: before?.pong ?? null
  }
  Changes.setLease(store, worker.id, lease)
  if (info !== null) addSample(store, now, worker, info)
  return { _tag: "Renewed", lapsed, ping: unansweredPing(lease) }
}

/** The runs that a worker holds, in order of id. */
const heldRuns = (store: Store.Store, { id, incarnation }: Driver.WorkerRef): ReadonlyArray<Store.Run> =>
  [...store.held.get(Store.pairKey(id, incarnation)) ?? []].sort(Store.byId)

const releaseAll = (store: Store.Store, now: Driver.Millis, runs: ReadonlyArray<Store.Run>) => {
  for (const run of runs) Messages.release(store, run, { status: "pending", availableAt: now })
  return { released: runs.length }
}

const reconcile = (
  store: Store.Store,
  now: Driver.Millis,
  { claimedBefore, held, worker }: VerbRequest<"reconcile">
) => {
  const kept = new Set(held)
  const lost = heldRuns(store, worker).filter(({ row }) => !kept.has(row.id) && row.claimedAt < claimedBefore)
  return releaseAll(store, now, lost)
}

const retire = (store: Store.Store, now: Driver.Millis, worker: Driver.WorkerRef) => {
  if (store.leases.get(worker.id)?.incarnation === worker.incarnation) Changes.deleteLease(store, worker.id)
  return releaseAll(store, now, heldRuns(store, worker))
}

const hasLiveHolder = (store: Store.Store, now: Driver.Millis, { incarnation, worker }: Store.Row): boolean =>
  worker !== null && incarnation !== null && Store.isLive(store, { id: worker, incarnation }, now)

/** Of runs that one dead worker held: those without a crash, and the suspects that were claimed last. */
const blamedRuns = (held: ReadonlyArray<Store.Run>): ReadonlyArray<Store.Run> => {
  const lastClaim = Math.max(...held.map(({ row }) => row.crashes > 0 ? row.claimedAt : -Infinity))
  return held.filter(({ row }) => row.crashes === 0 || row.claimedAt === lastClaim)
}

/** How long a released suspect waits. The first one has place 1. */
const suspectPause = (place: number, crashes: number): Driver.Millis => {
  const { doublings, longestMillis, pauseMillis } = SuspectPauses
  return Math.min(place * pauseMillis * 2 ** Math.min(crashes - 1, doublings), longestMillis)
}

const byClaim = (one: Store.Run, other: Store.Run): number =>
  one.row.claimedAt - other.row.claimedAt || Store.byId(one, other)

const reap = (store: Store.Store, now: Driver.Millis, { limit, maxCrashes }: VerbRequest<"reap">) => {
  const orphans = [...store.held.values()]
    .map((held) => [...held].filter(({ row }) => !hasLiveHolder(store, now, row)))
  const blamed = new Set(orphans.flatMap(blamedRuns))
  const runs = orphans.flat().sort(byClaim).slice(0, limit).sort(Store.byId)
  const exhausted: Array<Store.Run> = []
  let suspects = 0
  for (const run of runs) {
    const { queue, worker } = run.row
    const crashes = run.row.crashes + (blamed.has(run) ? 1 : 0)
    if (crashes < maxCrashes || !blamed.has(run)) {
      const pause = run.row.crashes === 0 ? 0 : suspectPause(++suspects, run.row.crashes)
      Messages.release(store, run, { status: "pending", availableAt: now + pause, crashes })
      continue
    }
    exhausted.push(run)
    Changes.updateRun(store, run, { crashes })
    // The end of a run frees capacity of its queue.
    Changes.hint(store, { _tag: "Ready", queue })
    const endCause = { _tag: "Exhausted", crashes, worker } as const
    Messages.end(store, now, run, { status: "exhausted", exit: null, endCause })
  }
  for (const run of exhausted) Messages.notifyParent(store, now, run)
  return { released: runs.length - exhausted.length, exhausted: exhausted.length }
}

const workers = (
  store: Store.Store,
  now: Driver.Millis,
  { after, id, limit }: VerbRequest<"workers">
): ReadonlyArray<Driver.WorkerRecord> =>
  [...store.leases]
    .filter(([each, { until }]) =>
      (id === null || each === id) && (after === null || each > after) && until > now - WorkerBounds.lapsedMillis
    )
    .sort(([a], [b]) => Store.compare(a, b))
    .slice(0, limit)
    .map(([each, lease]) => ({
      id: each,
      incarnation: lease.incarnation,
      startedAt: lease.startedAt,
      beatAt: lease.beatAt,
      leaseUntil: lease.until,
      live: lease.until > now,
      info: lease.info,
      ping: unansweredPing(lease)
    }))

const samples = (
  store: Store.Store,
  now: Driver.Millis,
  { limit, worker }: VerbRequest<"samples">
): ReadonlyArray<Driver.WorkerSample> => {
  const recent = (store.samples.get(worker) ?? []).filter(({ at }) => at > now - WorkerBounds.sampleAgeMillis)
  return recent.slice(Math.max(0, recent.length - limit))
}

const ping = (store: Store.Store, { nonce, worker }: VerbRequest<"ping">): string | null => {
  const lease = store.leases.get(worker)
  if (lease === undefined) return null
  const sent = unansweredPing(lease) ?? nonce
  Changes.setLease(store, worker, { ...lease, ping: sent })
  Changes.hint(store, { _tag: "Ping", worker, nonce: sent })
  return sent
}

const pong = (store: Store.Store, { nonce, worker }: VerbRequest<"pong">): boolean => {
  const lease = store.leases.get(worker.id)
  if (lease === undefined || lease.incarnation !== worker.incarnation || unansweredPing(lease) !== nonce) return false
  Changes.setLease(store, worker.id, { ...lease, pong: nonce })
  return true
}

export const make = (operate: Operate): Driver.WorkerVerbs => ({
  heartbeat: (request) => operate((store, now) => heartbeat(store, now, request)),
  reconcile: (request) => operate((store, now) => reconcile(store, now, request)),
  retire: (worker) => operate((store, now) => retire(store, now, worker)),
  reap: (request) => operate((store, now) => reap(store, now, request)),
  workers: (request) => operate((store, now) => workers(store, now, request)),
  samples: (request) => operate((store, now) => samples(store, now, request)),
  ping: (request) => operate((store) => ping(store, request)),
  pong: (request) => operate((store) => pong(store, request))
})
