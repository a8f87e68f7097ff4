/** The part of the driver that keeps workers. */
import * as Effect from "effect/Effect"
import type * as Driver from "perdure/JournalDriver"
import * as Lease from "../statements/lease.js"
import * as Workers from "../statements/workers.js"
import type { Tools } from "./Tools.js"

export const make = (
  { ask, tellAll }: Pick<Tools, "ask" | "tellAll">,
  /** Ids of the workers of this process. */
  local: Set<string>
): Driver.JournalWorkers => ({
  heartbeat: ({ info, leaseMillis, worker }) => {
    local.add(worker.id)
    return ask(Lease.heartbeat, [worker.id, worker.incarnation, leaseMillis, info], Lease.decode)
  },
  workers: ({ after, id, limit }) => ask(Workers.workers, [id, after, Math.max(0, limit)], Workers.decodeWorkers),
  samples: ({ limit, worker }) => ask(Workers.samples, [worker, Math.max(0, limit)], Workers.decodeSamples),
  ping: ({ nonce, worker }) =>
    Effect.tap(
      ask(Workers.ping, [worker, nonce], Workers.decodePing),
      ({ value }) => value === null ? Effect.void : tellAll([{ _tag: "Ping", worker, nonce: value }])
    ),
  pong: ({ nonce, worker }) => ask(Workers.pong, [worker.id, worker.incarnation, nonce], Workers.decodePong)
})
