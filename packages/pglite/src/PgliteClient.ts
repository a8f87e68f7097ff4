/**
 * A SQL client over PGlite: PostgreSQL inside the process, in memory or in a folder, with nothing to install.
 *
 * It behaves as the client of `@effect/sql-pg` does: the same parameters, the same JavaScript values, the same
 * SQLSTATE in an error's cause. There is one connection; a transaction has it for its whole length, and statements of
 * other fibers wait for it. A statement that has begun always ends before the next one begins, also when its fiber is
 * interrupted. A statement blocks the event loop while it runs; before each, the event loop serves timers and sockets.
 *
 * In a folder, what a statement or a commit has acknowledged survives the death of the process (SIGKILL). It does not
 * survive a power cut at that very moment, as PGlite does not wait for the disk: use PostgreSQL where that matters.
 *
 * @since 0.1.0
 */
import * as Reactivity from "@effect/experimental/Reactivity"
import { makeCompiler } from "@effect/sql-pg/PgClient"
import * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import { SqlError } from "@effect/sql/SqlError"
import * as Statement from "@effect/sql/Statement"
import { PGlite } from "@electric-sql/pglite"
import { nameOf } from "@perdure/sql/Verb"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { scheduler } from "node:timers/promises"
import * as FolderLock from "./FolderLock.js"
import { asArray, asObject, query, type RowShape } from "./internal/protocol.js"
import * as Turn from "./internal/turn.js"

/**
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("@perdure/pglite/PgliteClient")

/**
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * @since 0.1.0
 * @category models
 */
export interface PgliteClient extends SqlClient.SqlClient {
  readonly [TypeId]: TypeId
  readonly config: PgliteClientConfig
  /** A parameter that is written as JSON, as `PgClient.json`. */
  readonly json: (value: unknown) => Statement.Fragment
  /** The payloads notified on a channel, from when the stream runs; empty ones are left out, as `PgClient` does. */
  readonly listen: (channel: string) => Stream.Stream<string, SqlError>
  /** Notify a channel; joins the caller's transaction. */
  readonly notify: (channel: string, payload: string) => Effect.Effect<void, SqlError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export const PgliteClient = Context.GenericTag<PgliteClient>("@perdure/pglite/PgliteClient")

/**
 * @since 0.1.0
 * @category models
 */
export interface PgliteClientConfig {
  /** The folder to keep the database in, made if need be. Without it the database is in memory and ends with its scope. */
  readonly dataDir?: string | undefined
  readonly spanAttributes?: Readonly<Record<string, unknown>> | undefined
  readonly transformResultNames?: ((name: string) => string) | undefined
  readonly transformQueryNames?: ((name: string) => string) | undefined
  readonly transformJson?: boolean | undefined
}

interface PgJson extends Statement.Custom<"PgJson", unknown> {}

const json = Statement.custom<PgJson>("PgJson")

const failed = (message: string) => (cause: unknown) => new SqlError({ cause, message })

/** The database's files: made beside their place and moved there, so that a process killed on the way leaves nothing. */
const prepared = (folder: string): Effect.Effect<string, FolderLock.FolderUnusable> =>
  Effect.tryPromise({
    try: async () => {
      const home = path.join(folder, "postgres")
      const names = await fs.readdir(folder)
      for (const name of names.filter((each) => each.startsWith("unfinished-"))) {
        await fs.rm(path.join(folder, name), { recursive: true })
      }
      if (!names.includes("postgres")) {
        const draft = path.join(folder, `unfinished-${randomUUID()}`)
        const first = await PGlite.create({ dataDir: draft })
        await first.close()
        await fs.rename(draft, home)
      }
      return home
    },
    catch: (cause) => new FolderLock.FolderUnusable({ folder, detail: String(cause), cause })
  })

const open = (
  dataDir: string | undefined
): Effect.Effect<PGlite, SqlError | FolderLock.FolderInUse | FolderLock.FolderUnusable, Scope.Scope> =>
  Effect.gen(function*() {
    if (dataDir === undefined) return yield* create(undefined)
    const folder = path.resolve(dataDir)
    yield* FolderLock.acquire(folder)
    return yield* create(yield* prepared(folder))
  })

const create = (dataDir: string | undefined) =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: () => PGlite.create({ relaxedDurability: false, ...(dataDir === undefined ? {} : { dataDir }) }),
      catch: failed(`Failed to connect: PGlite cannot open ${dataDir ?? "a database in memory"}`)
    }),
    (db) => Effect.promise(() => db.close())
  )

type Transform = Parameters<Connection["execute"]>[2]
type Guard = <A>(self: Effect.Effect<A, SqlError>) => Effect.Effect<A, SqlError>

/** A connection over the database; `guard` says when a statement may run. */
const connection = (db: PGlite, guard: Guard): Connection => {
  const run = <Row>(text: string, params: ReadonlyArray<unknown>, shape: RowShape<Row>) =>
    guard(Effect.uninterruptible(Effect.tryPromise({
      try: async () => {
        // The engine runs in microtasks: without this, timers and sockets would wait until no statement is queued.
        await scheduler.yield()
        return query(db, text, params, shape, nameOf(text))
      },
      catch: failed("Failed to execute statement")
    })))
  const execute = (text: string, params: ReadonlyArray<unknown>, transform: Transform) =>
    Effect.map(run(text, params, asObject), (results) => {
      // Of several statements `pg` gives the rows of each.
      const rows: ReadonlyArray<object> = results.length > 1
        ? results.map((result) => result.rows)
        : results[0]?.rows ?? []
      return transform === undefined ? rows : transform(rows)
    })
  return {
    execute,
    executeUnprepared: execute,
    executeRaw: (text, params) =>
      Effect.map(run(text, params, asObject), (results): unknown => results.length > 1 ? results : results[0]),
    executeValues: (text, params) => Effect.map(run(text, params, asArray), ([result]) => result?.rows ?? []),
    executeStream: (text, params, transform) =>
      Stream.unwrap(Effect.map(execute(text, params, transform), (rows) => Stream.fromIterable(rows)))
  }
}

/**
 * Open a database. In a folder that another process has open it fails with `FolderInUse`. When the scope closes, it
 * waits for the running statement, closes the database and frees the folder.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  config: PgliteClientConfig = {}
): Effect.Effect<
  PgliteClient,
  SqlError | FolderLock.FolderInUse | FolderLock.FolderUnusable,
  Scope.Scope | Reactivity.Reactivity
> =>
  Effect.gen(function*() {
    const db = yield* open(config.dataDir)
    const turn = Turn.make()
    let closed = false
    // Registered after the database, so it runs before: no statement begins after it, and none is left running.
    yield* Effect.addFinalizer(() =>
      turn.during(Effect.sync(() => {
        closed = true
      }))
    )
    const whileOpen: Guard = (self) =>
      Effect.suspend(() =>
        closed
          ? new SqlError({
            message: "Failed to acquire connection: the database is closed",
            cause: new Error("closed")
          })
          : self
      )
    const shared = connection(db, (self) => turn.during(whileOpen(self)))
    const owned = connection(db, whileOpen)

    const client = yield* SqlClient.make({
      acquirer: Effect.succeed(shared),
      transactionAcquirer: Effect.as(turn.held, owned),
      compiler: makeCompiler(config.transformQueryNames, config.transformJson),
      spanAttributes: [
        ...Object.entries(config.spanAttributes ?? {}),
        ["db.system.name", "postgresql"],
        ["db.namespace", "postgres"],
        ["server.address", config.dataDir ?? "memory"]
      ],
      ...(config.transformResultNames === undefined ? {} : {
        transformRows: Statement.defaultTransforms(config.transformResultNames, config.transformJson).array
      })
    })

    const listen = (channel: string) =>
      Stream.asyncPush<string, SqlError>((emit) =>
        Effect.zipRight(
          Effect.acquireRelease(
            Effect.sync(() =>
              db.onNotification((name, payload) => {
                if (name === channel && payload !== "") emit.single(payload)
              })
            ),
            (off) => Effect.sync(off)
          ),
          // Never undone: a notification that nobody waits for costs nothing, and another stream may listen.
          client`LISTEN ${client(channel)}`
        ), { bufferSize: "unbounded" })

    return Object.assign(
      client,
      {
        [TypeId]: TypeId,
        config,
        json: (value: unknown) => json(value),
        listen,
        notify: (channel: string, payload: string) => Effect.asVoid(client`SELECT pg_notify(${channel}, ${payload})`)
      } as const
    )
  })

/**
 * The client as a layer, also as `SqlClient`.
 *
 * @example
 * ```ts
 * import * as SqlClient from "@effect/sql/SqlClient"
 * import * as PgliteClient from "@perdure/pglite/PgliteClient"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const sql = yield* SqlClient.SqlClient
 *   return yield* sql`select 1 as one`
 * }).pipe(Effect.provide(PgliteClient.layer({ dataDir: ".perdure" })))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  config: PgliteClientConfig = {}
): Layer.Layer<
  PgliteClient | SqlClient.SqlClient,
  SqlError | FolderLock.FolderInUse | FolderLock.FolderUnusable
> =>
  Layer.scopedContext(
    Effect.map(make(config), (client) =>
      Context.make(PgliteClient, client).pipe(Context.add(SqlClient.SqlClient, client)))
  ).pipe(Layer.provide(Reactivity.layer))
