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
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Struct from "effect/Struct"
import type { ConfigurationInvalid, JournalError } from "perdure/Errors"
import { Journal } from "perdure/Journal"
import { JournalDriver } from "perdure/JournalDriver"
import * as Rule from "perdure/Rule"
import * as Pg from "pg"
import * as PgListener from "./PgListener.js"
import { journalClient } from "./JournalClient.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface PgJournalOptions extends SqlJournal.SqlJournalOptions {
  /** For example `postgres://user:password@host:5432/database?sslmode=require`. */
  readonly url: Redacted.Redacted
  /** Connections of the pool, besides one for LISTEN. Default 10. */
  readonly maxConnections?: number
  /**
   * How many transactions (`Step.transaction`) may be open at once; others wait for one to end. Default: four less than
   * there are connections, so that steps never keep the worker from its heartbeat, its claims and its commits.
   */
  readonly maxTransactions?: number
  /**
   * Whether the server keeps the journal's statements prepared (default). Behind a pooler in transaction mode that does
   * not support this, switch it off.
   */
  readonly prepare?: boolean
  /** Whether to hear other processes by LISTEN (default), or to poll only. */
  readonly listen?: boolean
  /** How long one attempt to connect may take. Default 5 seconds. */
  readonly connectTimeout?: Duration.DurationInput
  /**
   * How long a statement of the journal may go without an answer; then its connection is closed and it is tried again,
   * as after a cut. Your own statements are not limited. Default 1 minute.
   */
  readonly statementTimeout?: Duration.DurationInput
  /** How long to wait at start for a database that cannot be reached. Default 30 seconds. */
  readonly startTimeout?: Duration.DurationInput
  /** As shown by `pg_stat_activity`. Default `perdure`. */
  readonly applicationName?: string
  readonly ssl?: Pg.ClientConfig["ssl"]
}

/** The longest time of a timer of Node, in milliseconds. */
const MAX_TIMER_MILLIS = 2_147_483_647

/** A URL may contain a password, so its message does not show it. */
const url: Rule.Rule<Redacted.Redacted> = {
  expected: "a Redacted string",
  problems: (value, place) =>
    Redacted.isRedacted(value) && typeof Redacted.value(value) === "string"
      ? []
      : [`"${place}" must be a Redacted string: make it by Redacted.make`]
}

const rules = Rule.fields<PgJournalOptions>({
  ...SqlJournal.optionsTable,
  url,
  maxConnections: Rule.optional(Rule.count({ min: 1 })),
  maxTransactions: Rule.optional(Rule.count({ min: 1 })),
  prepare: Rule.optional(Rule.boolean),
  listen: Rule.optional(Rule.boolean),
  connectTimeout: Rule.optional(Rule.duration({ max: MAX_TIMER_MILLIS })),
  statementTimeout: Rule.optional(Rule.duration({ min: 1, max: MAX_TIMER_MILLIS })),
  startTimeout: Rule.optional(Rule.duration({ max: Infinity })),
  applicationName: Rule.optional(Rule.string()),
  ssl: Rule.optional(
    Rule.rule<Exclude<Pg.ClientConfig["ssl"], undefined>>(
      "a boolean, or the TLS options of pg",
      (value) => typeof value === "boolean" || (typeof value === "object" && value !== null)
    )
  )
})

const CONNECTIONS = 10

const clientConfig = (options: PgJournalOptions): Pg.ClientConfig => ({
  connectionString: Redacted.value(options.url),
  application_name: options.applicationName ?? "perdure",
  connectionTimeoutMillis: Duration.toMillis(options.connectTimeout ?? "5 seconds"),
  keepAlive: true,
  ...(options.ssl === undefined ? {} : { ssl: options.ssl })
})

/** Connections that no transaction takes. */
const RESERVED = 4

const mostTransactions = ({ maxConnections = CONNECTIONS, maxTransactions }: PgJournalOptions): number =>
  maxTransactions ?? Math.max(1, maxConnections - RESERVED)

const pool = (options: PgJournalOptions) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const made = new Pg.Pool({
        ...clientConfig(options),
        max: options.maxConnections ?? CONNECTIONS,
        Client: journalClient({
          prepare: options.prepare !== false,
          statementMillis: Duration.toMillis(options.statementTimeout ?? "1 minute")
        })
      })
      // Connections that break while they are idle leave the pool; statements report their own.
      made.on("error", () => {})
      return made
    }),
    (made) => Effect.ignore(Effect.timeout(Effect.tryPromise(() => made.end()), "5 seconds"))
  )

/** The pool as a `SqlClient`; nothing is connected yet. */
const client = (options: PgJournalOptions) =>
  Layer.scopedContext(
    Effect.map(
      // It fails only if the pool cannot be made, which ours always can.
      Effect.orDie(PgClient.fromPool({ acquire: pool(options) })),
      (made) => Context.make(PgClient.PgClient, made).pipe(Context.add(SqlClient.SqlClient, made))
    )
  ).pipe(Layer.provide(Reactivity.layer))

/** Waits for a database that does not run yet. Other errors are reported at once. */
const patiently = <A, R>(
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

/**
 * The journal's driver on Postgres, and the `SqlClient` that it works with, so that your own statements and the
 * journal's can share a transaction.
 *
 * Fails with `ConfigurationInvalid`, which lists all problems of the options, or with a `JournalError`: `Unavailable` if
 * the database cannot be reached for `startTimeout`, `SchemaVersion` if its schema cannot be used, `Refused` for a wrong
 * password or a missing privilege.
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
    () => validDriver(options)
  ))

const validDriver = (options: PgJournalOptions) => {
  const driver = Layer.scoped(
    JournalDriver,
    patiently(
      SqlJournal.make(Struct.pick(options, "schema", "clock", "migrate"), mostTransactions(options)),
      options.startTimeout ?? "30 seconds"
    )
  )
  const listening = options.listen === false
    ? driver
    : Layer.provide(driver, PgListener.layer({ client: clientConfig(options) }))
  return Layer.provideMerge(listening, client(options))
}

/**
 * The journal on Postgres: what workflows and workers need, and the `SqlClient` that it works with. Fails as
 * `layerDriver` does.
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
 * As `layer`, its options read from the configuration.
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
