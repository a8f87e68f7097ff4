/**
 * Keeps the lease of a worker while the event loop of its process is busy. A thread with a connection of its own
 * extends the lease when the worker's heartbeats stop, for a bounded time. It is idle otherwise: it has no connection
 * and sends nothing while heartbeats come in time.
 *
 * The thread runs a script without modules, because bundlers do not see the files of threads. It loads `pg` from the
 * place of this module. Where that is impossible (a bundle that contains `pg`), there is no thread, and a warning.
 *
 * @since 0.2.0
 */
import * as LeaseExtension from "@perdure/sql/LeaseExtension"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createRequire } from "node:module"
import { Worker } from "node:worker_threads"
import type { LeaseKeeper, LeaseRequest } from "perdure/JournalDriver"
import type * as Pg from "pg"

/** Slots of the memory that the worker and its thread share: instants of `process.hrtime`, in nanoseconds. */
const HEARTBEAT = 0
const GOOD_UNTIL = 1

const NANOS_PER_MILLI = 1_000_000n

/** A busy event loop is helped when this share of the lease has passed since its last heartbeat. */
const SILENT_SHARE = 0.5

/** Looks of the thread within the duration of a lease. */
const LOOKS_PER_LEASE = 6

/** The longest time between two looks, whatever the lease is. */
const MAX_LOOK_MILLIS = 60_000

/** The heap of the thread, which has only `pg` in it. */
const THREAD_HEAP_MEGABYTES = 32

const script = `
"use strict"
const { scheduler } = require("node:timers/promises")
const { parentPort, workerData } = require("node:worker_threads")
const { busyMillis, config, leaseMillis, parameters, pg, shared, silentMillis, lookMillis, text } = workerData
const { Client } = require(pg)
const state = new BigInt64Array(shared)
let client
const close = async () => {
  const old = client
  client = undefined
  if (old !== undefined) await old.end()
}
const connect = async () => {
  const made = new Client(config)
  // A connection that breaks fails its statement, too.
  made.on("error", () => {})
  await made.connect()
  return made
}
const look = async () => {
  const silent = Number((process.hrtime.bigint() - Atomics.load(state, ${HEARTBEAT})) / ${NANOS_PER_MILLI}n)
  if (silent < silentMillis || silent > busyMillis) return close()
  client ??= await connect()
  // From before the statement is sent: never later than the end that storage computes.
  const sent = process.hrtime.bigint()
  const { rowCount } = await client.query(text, parameters)
  if (rowCount === 1) Atomics.store(state, ${GOOD_UNTIL}, sent + BigInt(leaseMillis) * ${NANOS_PER_MILLI}n)
}
const main = async () => {
  parentPort.postMessage("ready")
  for (;;) {
    await scheduler.wait(lookMillis)
    try {
      await look()
    } catch {
      await close().catch(() => {})
    }
  }
}
main()
`

const makeThread = (
  config: Pg.ClientConfig,
  schema: string,
  { busyMillis, leaseMillis, worker }: LeaseRequest,
  shared: SharedArrayBuffer
): Worker => {
  const pg = createRequire(import.meta.url).resolve("pg")
  const wholeMillis = Math.floor(leaseMillis)
  const thread = new Worker(script, {
    eval: true,
    // The thread has no use for the loaders of the process.
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: THREAD_HEAP_MEGABYTES },
    workerData: {
      busyMillis,
      config: { ...config, connectionTimeoutMillis: wholeMillis, query_timeout: wholeMillis },
      leaseMillis: wholeMillis,
      lookMillis: Math.min(Math.max(1, wholeMillis / LOOKS_PER_LEASE), MAX_LOOK_MILLIS),
      silentMillis: wholeMillis * SILENT_SHARE,
      parameters: [worker.id, worker.incarnation, wholeMillis],
      pg,
      shared,
      text: LeaseExtension.textFor(schema)
    }
  })
  thread.unref()
  // A thread that ends leaves the lease to the heartbeats.
  thread.on("error", () => {})
  return thread
}

/** Waits until the thread can work. Fails if it cannot. */
const ready = (thread: Worker): Effect.Effect<void, unknown> =>
  Effect.async((resume) => {
    thread.once("message", () => resume(Effect.void))
    thread.once("error", (error) => resume(Effect.fail(error)))
    thread.once("exit", () => resume(Effect.fail(new Error("the thread ended"))))
  })

/** Without a thread: nothing keeps the lease but heartbeats. */
const idle: LeaseKeeper = { beat: () => {}, stop: () => {}, remainingMillis: () => -Infinity }

/**
 * Keeps leases with connections of this configuration, until the scope closes.
 *
 * @since 0.2.0
 * @category constructors
 * @example
 * ```ts
 * import * as LeaseThread from "@perdure/postgres/LeaseThread"
 *
 * const keepLease = LeaseThread.keepLease({ host: "localhost", database: "app" }, "perdure")
 * ```
 */
export const keepLease = (config: Pg.ClientConfig, schema: string) =>
(
  request: LeaseRequest
): Effect.Effect<LeaseKeeper, never, Scope.Scope> =>
  Effect.gen(function*() {
    const shared = new SharedArrayBuffer(2 * BigInt64Array.BYTES_PER_ELEMENT)
    const state = new BigInt64Array(shared)
    yield* Effect.acquireRelease(
      Effect.try(() => makeThread(config, schema, request, shared)),
      (thread) => Effect.promise(() => thread.terminate())
    ).pipe(Effect.tap(ready))
    const keeper: LeaseKeeper = {
      beat: () => void Atomics.store(state, HEARTBEAT, process.hrtime.bigint()),
      stop: () => {
        Atomics.store(state, HEARTBEAT, 0n)
        Atomics.store(state, GOOD_UNTIL, 0n)
      },
      remainingMillis: () => Number(Atomics.load(state, GOOD_UNTIL) - process.hrtime.bigint()) / Number(NANOS_PER_MILLI)
    }
    return keeper
  }).pipe(Effect.catchAll((error) =>
    Effect.as(
      Effect.logWarning(
        `no thread keeps the lease of the worker: a step that computes for longer than the lease costs it its runs. ` +
          `Leave "pg" out of the bundle, and use TLS options that can be copied to a thread`,
        error
      ),
      idle
    )
  ))
