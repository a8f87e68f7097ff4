/**
 * The journal on Postgres 15 or newer.
 *
 * @since 0.1.0
 */
import * as Reactivity from "@effect/experimental/Reactivity"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as SqlClient from "@effect/sql/SqlClient"
import * as SqlJournal from "@perdure/sql/SqlJournal"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Struct from "effect/Struct"
import type { ConfigurationInvalid, JournalError } from "perdure/Errors"
import { Journal } from "perdure/Journal"
import { JournalDriver } from "perdure/JournalDriver"
import * as Rule from "perdure/Rule"
import * as Pg from "pg"
import { journalClient } from "./JournalClient.js"
import * as PgListener from "./PgListener.js"

/**
 * Options of the journal on Postgres. `SqlJournalOptions` has the others: `schema`, `clock` and `migrate`.
 *
 * @since 0.1.0
 * @category models
 */
export interface PgJournalOptions extends SqlJournal.SqlJournalOptions {
  /** For example `postgres://user:password@host:5432/database?sslmode=require`. */
  readonly url: Redacted.Redacted
  /** Connections of the pool, besides one for LISTEN. Default 10. */
  readonly maxConnections?: number
  /**
   * Transactions (`Step.transaction`) that can be open at the same time. Others wait. Default: four less than
   * `maxConnections`, at least one, so that steps never delay heartbeats, claims and commits of the worker.
   */
  readonly maxTransactions?: number
  /**
   * Whether the server keeps the journal's statements prepared. Default true. Use false behind a transaction pooler
   * that does not support prepared statements.
   */
  readonly prepare?: boolean
  /** Whether to receive hints of other processes by LISTEN. Default true. If false, the journal only polls. */
  readonly listen?: boolean
  /** The time limit of one attempt to connect. Default 5 seconds. */
  readonly connectTimeout?: Duration.DurationInput
  /**
   * How long a statement of the journal may take. Then its connection is closed and the statement is retried.
   * Statements of the application are not limited. Default 1 minute.
   */
  readonly statementTimeout?: Duration.DurationInput
  /** How long to wait at start for a database that cannot be reached. Default 30 seconds. */
  readonly startTimeout?: Duration.DurationInput
  /** The name of the connections in `pg_stat_activity`. Default `perdure`. */
  readonly applicationName?: string
  /** As in `pg`. Default: as the URL says. */
  readonly ssl?: Pg.ClientConfig["ssl"]
}

/** The longest timer of Node. */
const MAX_TIMER_MILLIS = 2_147_483_647

/** Whether `pg` can read a connection string. */
const isConnectionString = (url: unknown): boolean => {
  if (typeof url !== "string" || url === "") return false
  try {
    return new Pg.Client(url).host !== undefined
  } catch {
    return false
  }
}

/** The message does not show the value, because a URL can contain a password. */
const url: Rule.Rule<Redacted.Redacted> = {
  expected: "a Redacted connection string",
  problems: (value, place) =>
    Redacted.isRedacted(value) && isConnectionString(Redacted.value(value))
      ? []
      : [`"${place}" must be a Redacted connection string: use Redacted.make("postgres://host/database")`]
}

const timeout = Rule.optional(Rule.duration({ min: 1, max: MAX_TIMER_MILLIS }))

const rules = Rule.fields<PgJournalOptions>({
  ...SqlJournal.optionsTable,
  url,
  maxConnections: Rule.optional(Rule.count({ min: 1 })),
  maxTransactions: Rule.optional(Rule.count({ min: 1 })),
  prepare: Rule.optional(Rule.boolean),
  listen: Rule.optional(Rule.boolean),
  connectTimeout: timeout,
  statementTimeout: timeout,
  startTimeout: Rule.optional(Rule.duration({ max: Infinity })),
  applicationName: Rule.optional(Rule.string({ min: 1 })),
  ssl: Rule.optional(Rule.either(Rule.boolean, Rule.rule("an object of TLS options", Predicate.isRecord)))
})

const DEFAULT_CONNECTIONS = 10

/** Connections of the pool that no transaction uses. */
const RESERVED_CONNECTIONS = 4

const clientConfig = (options: PgJournalOptions): Pg.ClientConfig => ({
  connectionString: Redacted.value(options.url),
  application_name: options.applicationName ?? "perdure",
  connectionTimeoutMillis: Duration.toMillis(options.connectTimeout ?? "5 seconds"),
  keepAlive: true,
  ...(options.ssl === undefined ? {} : { ssl: options.ssl })
})

const transactionLimit = ({ maxConnections = DEFAULT_CONNECTIONS, maxTransactions }: PgJournalOptions): number =>
  maxTransactions ?? Math.max(1, maxConnections - RESERVED_CONNECTIONS)

const pool = (options: PgJournalOptions) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const made = new Pg.Pool({
        ...clientConfig(options),
        max: options.maxConnections ?? DEFAULT_CONNECTIONS,
        Client: journalClient({
          prepare: options.prepare !== false,
          statementMillis: Duration.toMillis(options.statementTimeout ?? "1 minute")
        })
      })
      // A connection that breaks while it is idle leaves the pool. Statements report their own errors.
      made.on("error", () => {})
      return made
    }),
    (made) => Effect.ignore(Effect.timeout(Effect.tryPromise(() => made.end()), "5 seconds"))
  )

/** The pool as a `SqlClient`. It does not connect yet. */
const client = (options: PgJournalOptions) =>
  Layer.scopedContext(
    Effect.map(
      // Fails only if the pool cannot be made, which cannot happen.
      Effect.orDie(PgClient.fromPool({ acquire: pool(options) })),
      (made) => Context.make(PgClient.PgClient, made).pipe(Context.add(SqlClient.SqlClient, made))
    )
  ).pipe(Layer.provide(Reactivity.layer))

/** Retries while the database cannot be reached, for at most `startTimeout` of real time. */
const retryAtStart = <A, R>(
  self: Effect.Effect<A, ConfigurationInvalid | JournalError, R>,
  startTimeout: Duration.DurationInput
): Effect.Effect<A, ConfigurationInvalid | JournalError, R> =>
  Effect.clockWith((clock) =>
    Effect.retry(Effect.withClock(self, clock), {
      schedule: Schedule.exponential("100 millis").pipe(
        Schedule.union(Schedule.spaced("2 seconds")),
        Schedule.upTo(startTimeout)
      ),
      while: (error) => error._tag === "JournalError" && error.retryable
    }).pipe(Effect.withClock(Clock.make()))
  )

const driver = (options: PgJournalOptions) => {
  const made = SqlJournal.make(Struct.pick(options, "schema", "clock", "migrate"), transactionLimit(options))
  const layer = Layer.scoped(JournalDriver, retryAtStart(made, options.startTimeout ?? "30 seconds"))
  return options.listen === false
    ? layer
    : Layer.provide(layer, PgListener.layer({ client: clientConfig(options) }))
}

/**
 * The driver on Postgres, with the `SqlClient` that it uses, so that statements of the application and the journal can
 * share a transaction.
 *
 * Fails with `ConfigurationInvalid`, which lists all problems of the options, or with a `JournalError`: `Unavailable`
 * if the database cannot be reached for `startTimeout`, `SchemaVersion` if this version cannot use the schema,
 * `Refused` for a wrong password or a missing privilege.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * import * as PgJournal from "@perdure/postgres/PgJournal"
 * import * as Redacted from "effect/Redacted"
 *
 * const DriverLive = PgJournal.layerDriver({
 *   url: Redacted.make("postgres://postgres@localhost:5432/app"),
 *   schema: "perdure"
 * })
 */
export const layerDriver = (
  options: PgJournalOptions
): Layer.Layer<
  JournalDriver | SqlClient.SqlClient | PgClient.PgClient,
  ConfigurationInvalid | JournalError
> =>
  Layer.unwrapEffect(Effect.map(
    Rule.requireConfiguration("the options of PgJournal", rules.problems(options, "")),
    () => Layer.provideMerge(driver(options), client(options))
  ))

/**
 * The journal on Postgres, with the `SqlClient` that it uses. Fails like `layerDriver`.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * import * as PgJournal from "@perdure/postgres/PgJournal"
 * import * as Redacted from "effect/Redacted"
 *
 * const JournalLive = PgJournal.layer({ url: Redacted.make("postgres://postgres@localhost:5432/app") })
 */
export const layer = (
  options: PgJournalOptions
): Layer.Layer<
  Journal | JournalDriver | SqlClient.SqlClient | PgClient.PgClient,
  ConfigurationInvalid | JournalError
> => Layer.provideMerge(Journal.layer(), layerDriver(options))

/**
 * Like `layer`, with the options from the configuration.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * import * as PgJournal from "@perdure/postgres/PgJournal"
 * import * as Config from "effect/Config"
 *
 * const JournalLive = PgJournal.layerConfig({ url: Config.redacted("DATABASE_URL") })
 */
export const layerConfig = (
  config: Config.Config.Wrap<PgJournalOptions>
): Layer.Layer<
  Journal | JournalDriver | SqlClient.SqlClient | PgClient.PgClient,
  ConfigurationInvalid | JournalError | ConfigError.ConfigError
> => Layer.unwrapEffect(Effect.map(Config.unwrap(config), layer))
