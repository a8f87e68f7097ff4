/**
 * A SQL client for PGlite: PostgreSQL inside the process, in memory or in a folder, without installation.
 *
 * It behaves like the client of `@effect/sql-pg`: the same parameters, the same JavaScript values, the same SQLSTATE in
 * the cause of an error. There is one connection. A transaction owns it until it ends, and statements of other fibers
 * wait, those of the journal too: while the body of a `Step.transaction` or of `sql.withTransaction` executes, no run
 * starts, commits or keeps its lease. Keep transactions short. One that takes longer than 5 seconds is reported.
 *
 * A statement that has started always ends before the next one starts, also if its fiber is interrupted. Before a
 * statement starts, the event loop serves timers and sockets. While it executes, it blocks the event loop.
 *
 * In a folder, acknowledged statements and commits survive the death of the process (SIGKILL). They do not survive a
 * power failure at that moment, because PGlite does not wait for the disk. Use PostgreSQL if they must.
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
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { scheduler } from "node:timers/promises"
import type { ConfigurationInvalid } from "perdure/Errors"
import * as Rule from "perdure/Rule"
import * as FolderLock from "./FolderLock.js"
import * as Mutex from "./internal/mutex.js"
import { dataDir } from "./internal/options.js"
import { asArray, asObject, query, type RowShape } from "./internal/protocol.js"

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
 * The client.
 *
 * @since 0.1.0
 * @category models
 */
export interface PgliteClient extends SqlClient.SqlClient {
  readonly [TypeId]: TypeId
  readonly config: PgliteClientConfig
  /** A parameter that is written as JSON, like `PgClient.json`. */
  readonly json: (value: unknown) => Statement.Fragment
  /** The payloads of notifications on a channel while the stream runs, without empty ones, like `PgClient`. */
  readonly listen: (channel: string) => Stream.Stream<string, SqlError>
  /** Notifies a channel, in the caller's transaction if there is one. */
  readonly notify: (channel: string, payload: string) => Effect.Effect<void, SqlError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export const PgliteClient = Context.GenericTag<PgliteClient>("@perdure/pglite/PgliteClient")

/**
 * Options of the client.
 *
 * @since 0.1.0
 * @category models
 */
export interface PgliteClientConfig {
  /** The folder of the database, which is created if it does not exist. Default: in memory, until the scope closes. */
  readonly dataDir?: string | undefined
  readonly spanAttributes?: Readonly<Record<string, unknown>> | undefined
  readonly transformResultNames?: ((name: string) => string) | undefined
  readonly transformQueryNames?: ((name: string) => string) | undefined
  readonly transformJson?: boolean | undefined
}

const rules = Rule.fields<PgliteClientConfig>({
  dataDir: Rule.optional(dataDir),
  spanAttributes: Rule.optional(Rule.rule("an object", Predicate.isRecord)),
  transformResultNames: Rule.optional(Rule.func()),
  transformQueryNames: Rule.optional(Rule.func()),
  transformJson: Rule.optional(Rule.boolean)
})

interface PgJson extends Statement.Custom<"PgJson", unknown> {}

const json = Statement.custom<PgJson>("PgJson")

const sqlError = (message: string) => (cause: unknown) => new SqlError({ cause, message })

/**
 * The folder of the files, which are created beside it and moved, so that a killed process leaves no partial database.
 */
const prepareFiles = (folder: string): Effect.Effect<string, FolderLock.FolderUnusable> =>
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
    return yield* create(yield* prepareFiles(folder))
  })

const create = (dataDir: string | undefined) =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: () => PGlite.create({ relaxedDurability: false, ...(dataDir === undefined ? {} : { dataDir }) }),
      catch: sqlError(`Failed to connect: PGlite cannot open ${dataDir ?? "a database in memory"}`)
    }),
    (db) => Effect.promise(() => db.close())
  )

/** A transaction that owns the connection for longer is reported. */
const LONG_TRANSACTION = "5 seconds"

/** Reports a transaction that takes long, unless the scope closes before. */
const warnOfLongTransaction = Effect.logWarning(
  `a transaction has owned the only connection of PGlite for ${LONG_TRANSACTION}: all other statements wait, also the ` +
    `worker's heartbeat, so its lease can run out. Move what takes long out of the body of Step.transaction or ` +
    `sql.withTransaction, or use PostgreSQL`
).pipe(Effect.delay(LONG_TRANSACTION), Effect.interruptible, Effect.forkScoped)

type Transform = Parameters<Connection["execute"]>[2]
type Guard = <A>(self: Effect.Effect<A, SqlError>) => Effect.Effect<A, SqlError>

/** A connection to the database. `guard` decides when a statement is executed. */
const connection = (db: PGlite, guard: Guard): Connection => {
  const run = <Row>(text: string, params: ReadonlyArray<unknown>, shape: RowShape<Row>) =>
    guard(Effect.uninterruptible(Effect.tryPromise({
      try: async () => {
        // PGlite executes in microtasks: without this, timers and sockets would wait until no statement is queued.
        await scheduler.yield()
        return query(db, text, params, shape, nameOf(text))
      },
      catch: sqlError("Failed to execute statement")
    })))
  const execute = (text: string, params: ReadonlyArray<unknown>, transform: Transform) =>
    Effect.map(run(text, params, asObject), (results) => {
      // For several statements, `pg` returns the rows of each.
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
 * Opens a database. When the scope closes, it waits for the executing statement, closes the database and unlocks the
 * folder.
 *
 * Fails with `ConfigurationInvalid`, which lists all problems of the options, with `FolderInUse` if another process has
 * the folder open, with `FolderUnusable` if the folder cannot be read or written, and with `SqlError` if PGlite cannot
 * open it.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * import * as PgliteClient from "@perdure/pglite/PgliteClient"
 * import * as Effect from "effect/Effect"
 *
 * const one = Effect.flatMap(PgliteClient.make({ dataDir: "data" }), (sql) => sql`SELECT 1 AS one`)
 */
export const make = (
  config: PgliteClientConfig = {}
): Effect.Effect<
  PgliteClient,
  ConfigurationInvalid | SqlError | FolderLock.FolderInUse | FolderLock.FolderUnusable,
  Scope.Scope | Reactivity.Reactivity
> =>
  Effect.gen(function*() {
    yield* Rule.requireConfiguration("the options of PgliteClient", rules.problems(config, ""))
    const db = yield* open(config.dataDir)
    const mutex = Mutex.make()
    let closed = false
    // Registered after the database, so it is executed first: no statement starts after it, and none is executing.
    yield* Effect.addFinalizer(() =>
      mutex.withLock(Effect.sync(() => {
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
    const shared = connection(db, (self) => mutex.withLock(whileOpen(self)))
    const owned = connection(db, whileOpen)

    const client = yield* SqlClient.make({
      acquirer: Effect.succeed(shared),
      transactionAcquirer: Effect.as(Effect.zipRight(mutex.lock, warnOfLongTransaction), owned),
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
          // Never undone: an unread notification costs nothing, and another stream may listen.
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
 * The client as a layer, also as `SqlClient`. Fails like `make`.
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
  ConfigurationInvalid | SqlError | FolderLock.FolderInUse | FolderLock.FolderUnusable
> =>
  Layer.scopedContext(
    Effect.map(make(config), (client) =>
      Context.make(PgliteClient, client).pipe(Context.add(SqlClient.SqlClient, client)))
  ).pipe(Layer.provide(Reactivity.layer))
