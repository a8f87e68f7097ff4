/** Mutants of leases, reports and pings. */
import * as Effect from "effect/Effect"
import { mapValue, type Mutant, mutant } from "./Mutant.js"

export const workerMutants: ReadonlyArray<Mutant> = [
  mutant("leases", "two incarnations can have one lease", (driver) => ({
    heartbeat: (request) =>
      mapValue(
        driver.heartbeat(request),
        (result) => result._tag === "Taken" ? { _tag: "Renewed" as const, lapsed: false, ping: null } : result
      )
  })),
  mutant("leases", "the lapse of a lease is not reported", (driver) => ({
    heartbeat: (request) =>
      mapValue(driver.heartbeat(request), (result) => result._tag === "Renewed" ? { ...result, lapsed: false } : result)
  })),
  mutant("leases", "leases never run out", (driver) => ({
    heartbeat: (request) => driver.heartbeat({ ...request, leaseMillis: Infinity, info: null })
  })),
  mutant("leases", "no run is exhausted", (driver) => ({
    reap: (request) => driver.reap({ ...request, maxCrashes: Infinity })
  })),
  mutant("leases", "an exhausted run does not have its last worker", (driver) => ({
    get: (runs) =>
      mapValue(driver.get(runs), (records) =>
        records.map((record) =>
          record.endCause?._tag === "Exhausted"
            ? { ...record, endCause: { ...record.endCause, worker: null } }
            : record
        ))
  })),
  mutant("leases", "the message of an exhausted child does not have its crashes", (driver) => ({
    claim: (request) =>
      mapValue(driver.claim(request), (claimed) => ({
        ...claimed,
        runs: claimed.runs.map((run) => ({
          ...run,
          inbox: run.inbox.map((message) =>
            message.kind === "child" ? { ...message, ending: { ...message.ending, endCause: null } } : message
          )
        }))
      }))
  })),
  mutant(
    "leases",
    "the limit of a reaping is ignored",
    (driver) => ({ reap: (request) => driver.reap({ ...request, limit: Infinity }) })
  ),
  mutant("leases", "suspects of a crash are available at once", (driver) => ({
    reap: (request) => {
      const once = driver.reap({ ...request, limit: 1 })
      const rest = (exhausted: number, released: number): ReturnType<typeof driver.reap> =>
        Effect.flatMap(
          once,
          ({ now, value }) =>
            value.exhausted + value.released === 0 || exhausted + released === request.limit
              ? Effect.succeed({ now, value: { exhausted, released } })
              : rest(exhausted + value.exhausted, released + value.released)
        )
      return rest(0, 0)
    }
  })),
  mutant("leases", "workers without a lease claim runs", (driver) => ({
    claim: (request) =>
      Effect.zipRight(driver.heartbeat({ worker: request.worker, leaseMillis: 1, info: null }), driver.claim(request))
  })),
  mutant("leases", "a retire releases no runs", (driver) => ({
    retire: ({ incarnation }) => driver.retire({ id: "unknown", incarnation })
  })),
  mutant("leases", "a reconciliation releases the runs that the worker lists", (driver) => ({
    reconcile: (request) => driver.reconcile({ ...request, held: [] })
  })),
  mutant("leases", "a reconciliation releases runs that were claimed just now", (driver) => ({
    reconcile: (request) => driver.reconcile({ ...request, claimedBefore: Infinity })
  })),
  mutant("workers", "reports of workers are not stored", (driver) => ({
    heartbeat: (request) => driver.heartbeat({ ...request, info: null })
  })),
  mutant("workers", "the limit of a page of workers is ignored", (driver) => ({
    workers: (request) => driver.workers({ ...request, limit: Infinity })
  })),
  mutant("workers", "the limit of samples is ignored", (driver) => ({
    samples: (request) => driver.samples({ ...request, limit: Infinity })
  })),
  mutant("workers", "any incarnation of a worker can answer its ping", (driver) => ({
    pong: (request) =>
      Effect.flatMap(
        driver.workers({ id: request.worker.id, after: null, limit: 1 }),
        ({ value: [record] }) => driver.pong({ ...request, worker: record ?? request.worker })
      )
  })),
  mutant("workers", "any worker can answer a ping", (driver) => ({
    pong: (request) =>
      Effect.flatMap(
        driver.workers({ id: null, after: null, limit: 1_000 }),
        ({ value }) =>
          driver.pong({ ...request, worker: value.find(({ ping }) => ping === request.nonce) ?? request.worker })
      )
  })),
  mutant("workers", "any nonce answers a ping", (driver) => ({
    pong: (request) =>
      Effect.flatMap(
        driver.workers({ id: request.worker.id, after: null, limit: 1 }),
        ({ value: [record] }) => driver.pong({ ...request, nonce: record?.ping ?? request.nonce })
      )
  })),
  mutant("workers", "a ping does not join an unanswered one", (driver) => ({
    ping: (request) => Effect.map(driver.ping(request), ({ now }) => ({ now, value: request.nonce }))
  }))
]
