/** Drivers on test databases, and short forms of their verbs. */
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { JournalError } from "perdure/Errors"
import type * as Driver from "perdure/JournalDriver"
import { JournalDriver } from "perdure/JournalDriver"
import * as Pg from "pg"
import * as PgJournal from "../../src/PgJournal.js"

export const worker: Driver.WorkerRef = { id: "w", incarnation: "1" }

/** A new driver, like that of a process without a worker. */
export const bareDriverOn = (url: string, options: Partial<PgJournal.PgJournalOptions> = {}) =>
  Effect.map(
    Layer.build(PgJournal.layerDriver({ url: Redacted.make(url), listen: false, ...options })),
    (context) => Context.get(context, JournalDriver)
  )

/** A new driver with a lease for `worker`. */
export const driverOn = (url: string, options: Partial<PgJournal.PgJournalOptions> = {}) =>
  Effect.tap(bareDriverOn(url, options), (driver) => driver.heartbeat({ worker, leaseMillis: 1e9, info: null }))

/** The rows of a statement on its own connection. */
export const ask = (url: string, text: string, parameters: ReadonlyArray<unknown> = []) =>
  Effect.acquireUseRelease(
    Effect.promise(async () => {
      const client = new Pg.Client({ connectionString: url })
      await client.connect()
      return client
    }),
    (client) => Effect.promise(() => client.query<Record<string, unknown>>(text, [...parameters])),
    (client) => Effect.promise(() => client.end())
  ).pipe(Effect.map(({ rows }) => rows))

/** A connection that stays open until the scope closes. */
export const session = (url: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const client = new Pg.Client({ connectionString: url })
        client.on("error", () => {})
        await client.connect()
        return client
      }),
      (client) => Effect.promise(() => client.end())
    ),
    (client) => (text: string, ...parameters: ReadonlyArray<unknown>) =>
      Effect.promise(() => client.query<Record<string, unknown>>(text, [...parameters]))
  )

export const newRun = (id: string, change: Partial<Driver.NewRun> = {}): Driver.NewRun => ({
  id,
  workflow: "flow",
  version: "1",
  queue: "q",
  priority: 0,
  payload: "{}",
  idempotencyKey: null,
  availableAt: null,
  parent: null,
  root: id,
  depth: 0,
  key: null,
  expiresAt: null,
  tags: [],
  attributes: {},
  singleton: null,
  ...change
})

export const claim = (
  driver: JournalDriver,
  limit = 10_000,
  by: Driver.WorkerRef = worker
): Effect.Effect<ReadonlyArray<Driver.ClaimedRun>, JournalError> =>
  Effect.map(
    driver.claim({
      worker: by,
      workflows: [{ name: "flow", version: "1" }],
      queues: ["q"],
      limit,
      hot: new Map()
    }),
    ({ value }) => value.runs
  )

/** Inserts and claims runs with these ids. */
export const held = (driver: JournalDriver, ...ids: ReadonlyArray<string>) =>
  Effect.zipRight(driver.enqueue({ runs: ids.map((id) => newRun(id)), claim: null }), claim(driver))

export const entry = (seq: number): Driver.Entry => ({
  seq,
  op: seq,
  kind: "step",
  name: "step",
  exit: { kind: "success", value: "1" },
  at: 1_700_000_000_000
})

/** A commit of one entry. */
export const commitOf = (
  run: string,
  change: Partial<Driver.RunCommit> = {}
): Driver.RunCommit => ({
  run,
  epoch: 1,
  from: 0,
  entries: [entry(change.from ?? 0)],
  consumed: [],
  children: [],
  messages: [],
  published: [],
  closes: [],
  seen: 0,
  transition: null,
  ...change
})

export const commit = (driver: JournalDriver, ...commits: ReadonlyArray<Driver.RunCommit>) =>
  Effect.map(driver.commit({ worker, commits }), ({ value }) => value.map(({ _tag }) => _tag))

export const finish: Driver.Transition = {
  _tag: "Finish",
  status: "completed",
  exit: { kind: "success", value: "1" },
  errorCode: null
}

export const signal = (to: string, id: string): Driver.NewMessage => ({
  to,
  kind: "signal",
  name: "s",
  id,
  payload: "1"
})

export const server = TestDatabase.servers[0]
