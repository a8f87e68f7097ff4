/** Workers: heartbeats, samples, pings. */
import * as Effect from "effect/Effect"
import type * as Driver from "perdure/JournalDriver"
import * as Heartbeat from "../statements/workers/heartbeat.js"
import * as Ping from "../statements/workers/ping.js"
import * as Pong from "../statements/workers/pong.js"
import * as Samples from "../statements/workers/samples.js"
import * as Workers from "../statements/workers/workers.js"
import type { Session } from "./Session.js"

export const make = (
  { hints, livenessQuery, query, requireSchema, workerQuery }: Session
): Omit<Driver.WorkerVerbs, "reconcile" | "retire" | "reap"> => ({
  heartbeat: ({ info, leaseMillis, worker }) => {
    hints.localWorkers.add(worker.id)
    return Effect.flatMap(
      livenessQuery(Heartbeat.heartbeat, [worker.id, worker.incarnation, leaseMillis, info], Heartbeat.decode),
      ({ breaking, now, value }) => Effect.as(requireSchema(breaking), { now, value })
    )
  },
  workers: ({ after, id, limit }) => query(Workers.workers, [id, after, Math.max(0, limit)], Workers.decode),
  samples: ({ limit, worker }) => query(Samples.samples, [worker, Math.max(0, limit)], Samples.decode),
  ping: ({ nonce, worker }) =>
    Effect.tap(
      query(Ping.ping, [worker, nonce], Ping.decode),
      ({ value }) => value === null ? Effect.void : hints.publish([{ _tag: "Ping", worker, nonce: value }])
    ),
  pong: ({ nonce, worker }) => workerQuery(Pong.pong, [worker.id, worker.incarnation, nonce], Pong.decode)
})
