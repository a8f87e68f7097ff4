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
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Struct from "effect/Struct"
import type { ConfigurationInvalid, JournalError } from "perdure/Errors"
import { Journal } from "perdure/Journal"
import { JournalDriver } from "perdure/JournalDriver"
import * as Rule from "perdure/Rule"
import type * as Pg from "pg"
import * as Connection from "./internal/connection.js"
import * as Pools from "./internal/pools.js"
import * as LeaseThread from "./LeaseThread.js"
import * as PgListener from "./PgListener.js"

/**
 * Options of the journal on Postgres. `SqlJournalOptions` has the others: `schema`, `clock` and `migrate`.
 *
 * @since 0.1.0
 * @category models
 */
export interface PgJournalOptions extends SqlJournal.SqlJournalOptions {
  /**
   * For example `postgres://user:password@host:5432/database?sslmode=require`. Or give `host`, `pool` or `client`.
   * Options override what the URL says.
   */
  readonly url?: Redacted.Redacted
  /** The name of the host, or the folder of its socket. */
  readonly host?: string
  /** Default 5432. */
  readonly port?: number
  /** Default: as the user. */
  readonly database?: string
  /** Default: that of the operating system. */
  readonly user?: string
  readonly password?: Redacted.Redacted
  /** As in `pg`. Default: as the URL says. */
  readonly ssl?: Pg.ClientConfig["ssl"]
  /** The name of the connections in `pg_stat_activity`. Default `perdure`. */
  readonly applicationName?: string
  /**
   * An existing pool for the SQL of the application. The journal opens its own connections with the settings of the
   * pool, and does not close the pool.
   */
  readonly pool?: Pg.Pool
  /** As `pool`, an existing `PgClient`. */
  readonly client?: PgClient.PgClient
  /**
   * Connections of this process, besides one for LISTEN and those of an existing pool: one for heartbeats,
   * `applicationConnections`, and the rest for the journal. At least 4. Default 16.
   */
  readonly maxConnections?: number
  /**
   * Connections for the SQL of the application, which are the only ones that it can take. Default: two fifths of
   * `maxConnections` (6).
   */
  readonly applicationConnections?: number
  /**
   * Transactions (`Step.transaction`) that can be open at the same time. Others wait. Default: as
   * `applicationConnections`.
   */
  readonly maxTransactions?: number
  /**
   * How long a connection is used. Then another one replaces it, perhaps to another server after a failover. Default 30
   * minutes.
   */
  readonly maxConnectionLifetime?: Duration.DurationInput
  /**
   * Whether the server keeps the journal's statements prepared. Default true. Behind a transaction pooler that loses
   * prepared statements, the journal notices and stops preparing.
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
}

/** The longest timer of Node. */
const MAX_TIMER_MILLIS = 2_147_483_647

const timeout = Rule.optional(Rule.duration({ min: 1, max: MAX_TIMER_MILLIS }))

const each = Rule.fields<PgJournalOptions>({
  ...SqlJournal.optionsTable,
  ...Connection.table,
  maxConnections: Rule.optional(Rule.count({ min: Pools.MIN_CONNECTIONS })),
  applicationConnections: Rule.optional(Rule.count({ min: 1 })),
  maxTransactions: Rule.optional(Rule.count({ min: 1 })),
  maxConnectionLifetime: Rule.optional(Rule.duration({ min: 1_000, max: MAX_TIMER_MILLIS })),
  prepare: Rule.optional(Rule.boolean),
  listen: Rule.optional(Rule.boolean),
  connectTimeout: timeout,
  statementTimeout: timeout,
  startTimeout: Rule.optional(Rule.duration({ max: Infinity }))
})

/** Connections that the options leave to the pools. */
const poolProblems = (options: PgJournalOptions): Rule.Problems => {
  const { applicationConnections, maxConnections, maxTransactions } = options
  if (existingOf(options) !== undefined) {
    return applicationConnections === undefined
      ? []
      : ["\"applicationConnections\" must be left out beside an existing pool or client, which has its own"]
  }
  const most = Pools.maxApplicationConnections(maxConnections)
  if (applicationConnections !== undefined && applicationConnections > most) {
    return [
      `"applicationConnections" must be at most ${most}, which is three less than "maxConnections", ` +
      `got ${applicationConnections}`
    ]
  }
  const { application } = Pools.sizesOf(options)
  return maxTransactions !== undefined && maxTransactions > application
    ? [`"maxTransactions" must be at most "applicationConnections" (${application}), got ${maxTransactions}`]
    : []
}

const rules = Rule.refine(each, (options) => [...Connection.problems(options), ...poolProblems(options)])

const existingOf = (options: PgJournalOptions) => options.pool ?? options.client

/** The time between two messages that the journal waits for its database. */
const WAITING_LOG_MILLIS = 5_000

/** Retries while the database cannot be reached, for at most `startTimeout` of real time, and says so. */
const retryAtStart = <A, R>(
  self: Effect.Effect<A, ConfigurationInvalid | JournalError, R>,
  startTimeout: Duration.Duration
): Effect.Effect<A, ConfigurationInvalid | JournalError, R> =>
  Effect.clockWith((clock) => {
    let loggedAt = -Infinity
    const log = (error: ConfigurationInvalid | JournalError) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const isWaiting = error._tag === "JournalError" && error.retryable && !Duration.isZero(startTimeout)
        if (!isWaiting || now - loggedAt < WAITING_LOG_MILLIS) return Effect.void
        loggedAt = now
        return Effect.annotateLogs(
          Effect.logWarning(`waiting up to ${Duration.format(startTimeout)} for the database`),
          { error: error.message }
        )
      })
    return Effect.retry(Effect.tapError(Effect.withClock(self, clock), log), {
      schedule: Schedule.exponential("100 millis").pipe(
        Schedule.union(Schedule.spaced("2 seconds")),
        Schedule.upTo(startTimeout)
      ),
      while: (error) => error._tag === "JournalError" && error.retryable
    }).pipe(Effect.withClock(Clock.make()))
  })

const make = (options: PgJournalOptions) =>
  Effect.gen(function*() {
    const connect = Connection.make(options, Duration.toMillis(options.connectTimeout ?? "5 seconds"))
    const sizes = Pools.sizesOf(options)
    const existing = existingOf(options)
    const { application, journal, liveness } = yield* Pools.make({
      connect,
      existing,
      sizes,
      prepare: options.prepare !== false,
      statementMillis: Duration.toMillis(options.statementTimeout ?? "1 minute"),
      lifetimeSeconds: Duration.toSeconds(options.maxConnectionLifetime ?? "30 minutes")
    })
    const listener = options.listen === false
      ? Context.empty()
      : yield* Layer.build(
        Layer.provide(PgListener.layer({ client: connect(null) }), Layer.succeed(SqlClient.SqlClient, journal))
      )
    const driver = yield* SqlJournal.make(Struct.pick(options, "schema", "clock", "migrate"), {
      journal,
      liveness,
      maxCalls: sizes.calls,
      maxTransactions: options.maxTransactions ??
        (existing === undefined ? sizes.application : Number.MAX_SAFE_INTEGER)
    }).pipe(
      Effect.provideService(SqlClient.SqlClient, application),
      Effect.mapInputContext((context: Context.Context<Scope.Scope>) => Context.merge(context, listener)),
      (self) => retryAtStart(self, Duration.decode(options.startTimeout ?? "30 seconds"))
    )
    // A thread has no other clock than the database's.
    const keeping = options.clock === "effect"
      ? driver
      : { ...driver, keepLease: LeaseThread.keepLease(connect(null), options.schema ?? "perdure") }
    return Context.make(JournalDriver, keeping).pipe(
      Context.add(SqlClient.SqlClient, application),
      Context.add(PgClient.PgClient, application)
    )
  })

/**
 * The driver on Postgres, with the `SqlClient` that it uses, so that statements of the application and the journal can
 * share a transaction.
 *
 * The application and the journal use different connections (`applicationConnections`), so slow SQL of the application
 * delays no heartbeat, claim or commit.
 *
 * Fails with `ConfigurationInvalid`, which lists all problems of the options, or with a `JournalError`: `Unavailable`
 * if the database cannot be reached for `startTimeout`, `SchemaVersion` if this version cannot use the schema,
 * `Refused` for a wrong password, a certificate that cannot be verified, or a missing privilege.
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
    () => Layer.provide(Layer.scopedContext(make(options)), Reactivity.layer)
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
