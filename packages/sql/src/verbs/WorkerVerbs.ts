/** Workers: heartbeats, samples, pings. */
import * as Effect from "effect/Effect"
import type * as Driver from "perdure/JournalDriver"
import * as Lease from "../statements/lease.js"
import * as Workers from "../statements/workers.js"
import type { Session } from "./Session.js"

export const make = ({ hints, query }: Session): Omit<Driver.WorkerVerbs, "reconcile" | "retire" | "reap"> => ({
  heartbeat: ({ info, leaseMillis, worker }) => {
    hints.localWorkers.add(worker.id)
    return query(Lease.heartbeat, [worker.id, worker.incarnation, leaseMillis, info], Lease.decode)
  },
  workers: ({ after, id, limit }) => query(Workers.workers, [id, after, Math.max(0, limit)], Workers.decodeWorkers),
  samples: ({ limit, worker }) => query(Workers.samples, [worker, Math.max(0, limit)], Workers.decodeSamples),
  ping: ({ nonce, worker }) =>
    Effect.tap(
      query(Workers.ping, [worker, nonce], Workers.decodePing),
      ({ value }) => value === null ? Effect.void : hints.publish([{ _tag: "Ping", worker, nonce: value }])
    ),
  pong: ({ nonce, worker }) => query(Workers.pong, [worker.id, worker.incarnation, nonce], Workers.decodePong)
})
