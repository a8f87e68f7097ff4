/** Workers: their leases, what they say of themselves, pings. */
import type * as Effect from "effect/Effect"
import type * as Driver from "../../driver/JournalDriver.js"
import { WorkerBounds } from "../../driver/JournalDriver.js"
import * as Store from "./Store.js"

/** The ping that is not answered. */
const open = ({ ping, pong }: Store.Lease): string | null => ping === pong ? null : ping

const sample = (store: Store.Store, now: Driver.Millis, { id, incarnation }: Driver.WorkerRef, info: Driver.Json) => {
  const kept = store.samples.get(id) ?? []
  const last = kept.at(-1)
  if (last !== undefined && last.at > now - WorkerBounds.sampleMillis) return
  const recent = kept.filter(({ at }) => at > now - WorkerBounds.sampleAgeMillis)
  Store.setSamples(store, id, [...recent, { at: now, incarnation, info }].slice(-WorkerBounds.samples))
}

const heartbeat = (
  store: Store.Store,
  now: Driver.Millis,
  { info, leaseMillis, worker }: Parameters<Driver.JournalDriver["heartbeat"]>[0]
): Driver.HeartbeatResult => {
  const before = store.leases.get(worker.id)
  const lapsed = before !== undefined && before.until <= now
  const again = before?.incarnation === worker.incarnation ? before : undefined
  if (before !== undefined && !lapsed && again === undefined) return { _tag: "Taken" }
  const lease: Store.Lease = {
    incarnation: worker.incarnation,
    until: now + leaseMillis,
    startedAt: again?.startedAt ?? now,
    beatAt: now,
    info: info ?? again?.info ?? null,
    ping: before?.ping ?? null,
    pong: before?.pong ?? null
  }
  Store.setLease(store, worker.id, lease)
  if (info !== null) sample(store, now, worker, info)
  return { _tag: "Renewed", lapsed, ping: open(lease) }
}

const workers = (
  store: Store.Store,
  now: Driver.Millis,
  { after, id, limit }: Parameters<Driver.JournalDriver["workers"]>[0]
): ReadonlyArray<Driver.WorkerRecord> =>
  [...store.leases]
    .filter(([each, { until }]) =>
      (id === null || each === id) && (after === null || each > after) && until > now - WorkerBounds.lapsedMillis
    )
    .sort(([a], [b]) => a < b ? -1 : 1)
    .slice(0, limit)
    .map(([each, lease]) => ({
      id: each,
      incarnation: lease.incarnation,
      startedAt: lease.startedAt,
      beatAt: lease.beatAt,
      leaseUntil: lease.until,
      live: lease.until > now,
      info: lease.info,
      ping: open(lease)
    }))

const samples = (
  store: Store.Store,
  now: Driver.Millis,
  { limit, worker }: Parameters<Driver.JournalDriver["samples"]>[0]
): ReadonlyArray<Driver.WorkerSample> => {
  const recent = (store.samples.get(worker) ?? []).filter(({ at }) => at > now - WorkerBounds.sampleAgeMillis)
  return recent.slice(Math.max(0, recent.length - limit))
}

const ping = (
  store: Store.Store,
  { nonce, worker }: Parameters<Driver.JournalDriver["ping"]>[0]
): string | null => {
  const lease = store.leases.get(worker)
  if (lease === undefined) return null
  const asked = open(lease) ?? nonce
  Store.setLease(store, worker, { ...lease, ping: asked })
  Store.hint(store, { _tag: "Ping", worker, nonce: asked })
  return asked
}

const pong = (
  store: Store.Store,
  { nonce, worker }: Parameters<Driver.JournalDriver["pong"]>[0]
): boolean => {
  const lease = store.leases.get(worker.id)
  if (lease === undefined || lease.incarnation !== worker.incarnation || open(lease) !== nonce) return false
  Store.setLease(store, worker.id, { ...lease, pong: nonce })
  return true
}

export const make = (
  store: Store.Store,
  operation: <A>(run: (now: Driver.Millis) => A) => Effect.Effect<Driver.Answer<A>>
): Omit<Driver.WorkerVerbs, "reconcile" | "retire" | "reap"> => ({
  heartbeat: (request) => operation((now) => heartbeat(store, now, request)),
  workers: (request) => operation((now) => workers(store, now, request)),
  samples: (request) => operation((now) => samples(store, now, request)),
  ping: (request) => operation(() => ping(store, request)),
  pong: (request) => operation(() => pong(store, request))
})
