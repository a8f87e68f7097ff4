/**
 * The journal driver over a `SqlClient` of Postgres (15 or newer) or PGlite. Each operation is one statement, with few
 * exceptions; `verbs/` has the operations, `statements/` the statements.
 *
 * @since 0.1.0
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { ConfigurationInvalid } from "perdure/Errors"
import { JournalError } from "perdure/Errors"
import { JournalDriver } from "perdure/JournalDriver"
import * as Rule from "perdure/Rule"
import type * as Row from "./internal/Row.js"
import * as Migrations from "./Migrations.js"
import { fromSqlError } from "./SqlErrors.js"
import * as Tables from "./Tables.js"
import type { ClockSource } from "./Verb.js"
import * as ClaimVerb from "./verbs/ClaimVerb.js"
import * as CommitVerb from "./verbs/CommitVerb.js"
import * as ControlVerbs from "./verbs/ControlVerbs.js"
import * as EnqueueVerb from "./verbs/EnqueueVerb.js"
import * as FindVerbs from "./verbs/FindVerbs.js"
import * as InboxVerbs from "./verbs/InboxVerbs.js"
import * as QueueVerbs from "./verbs/QueueVerbs.js"
import * as ReadVerbs from "./verbs/ReadVerbs.js"
import * as ReleaseVerbs from "./verbs/ReleaseVerbs.js"
import { RunOrigins } from "./verbs/RunOrigins.js"
import * as ScheduleVerbs from "./verbs/ScheduleVerbs.js"
import * as Session from "./verbs/Session.js"
import * as WorkerVerbs from "./verbs/WorkerVerbs.js"

/**
 * Options of the driver.
 *
 * @since 0.1.0
 * @category models
 */
export interface SqlJournalOptions {
  /** The schema of the tables. Default `perdure`. */
  readonly schema?: string
  /** The clock that decides what is due: the database's (default), or the calling fiber's `Clock` (for tests). */
  readonly clock?: ClockSource
  /** Migrate the schema at start (default), or only check that it is up to date. */
  readonly migrate?: boolean
}

/**
 * The rules of the options, for the options of layers that extend them.
 *
 * @since 0.2.0
 * @category rules
 */
export const optionsTable: Rule.Table<SqlJournalOptions> = {
  schema: Rule.optional(Tables.schemaName),
  clock: Rule.optional(Rule.oneOf("database", "effect")),
  migrate: Rule.optional(Rule.boolean)
}

const rules = Rule.fields(optionsTable)

/**
 * Connections that SQL of the application cannot take. By default, all statements use the `SqlClient` of the
 * environment.
 *
 * @since 0.2.0
 * @category models
 */
export interface JournalConnections {
  /** For statements of the journal outside of transactions of the application. Isolation: `read committed`. */
  readonly journal: SqlClient.SqlClient
  /** For heartbeats only. */
  readonly liveness: SqlClient.SqlClient
  /** Statements at the same time that calls of user code (starts, signals, reads) can take of `journal`. */
  readonly maxCalls: number
  /** Transactions of the application that the driver opens at the same time; others wait. */
  readonly maxTransactions: number
}

/**
 * The journal's statements are written for `read committed`: each must see what others committed before it. A session
 * with a stricter default would refuse most of them under contention.
 */
const requireIsolation = Effect.flatMap(SqlClient.SqlClient, (sql) =>
  Effect.flatMap(
    Effect.mapError(
      sql.unsafe<Row.Fields>("SELECT current_setting('transaction_isolation') AS isolation").withoutTransform,
      (error) => fromSqlError("open", error)
    ),
    ([row = {}]) => {
      const isolation = String(row["isolation"])
      return isolation === "read committed" ? Effect.void : new JournalError({
        code: "Refused",
        operation: "open",
        detail:
          `the journal's connections have the isolation level "${isolation}", and need "read committed": behind ` +
          `a pooler, use ALTER ROLE … SET default_transaction_isolation = 'read committed' for the role of the journal`,
        retryable: false
      })
    }
  ))

/**
 * The driver, over the `SqlClient` of the environment. It receives hints of other processes if the environment has a
 * `Listener`.
 *
 * Fails with `ConfigurationInvalid`, which lists all problems of the options, with the `JournalError` `SchemaVersion`
 * if this code cannot use the database's schema, and like any operation if the database cannot be reached.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * import * as SqlJournal from "@perdure/sql/SqlJournal"
 * import * as Effect from "effect/Effect"
 * import { JournalDriver } from "perdure/JournalDriver"
 * import * as Layer from "effect/Layer"
 *
 * const DriverLive = Layer.scoped(
 *   JournalDriver,
 *   Effect.tap(SqlJournal.make({ schema: "jobs" }), () => Effect.log("the schema is up to date"))
 * )
 */
export const make = (
  options: SqlJournalOptions = {},
  connections?: JournalConnections
): Effect.Effect<JournalDriver, ConfigurationInvalid | JournalError, SqlClient.SqlClient | Scope.Scope> =>
  Effect.gen(function*() {
    yield* Rule.requireConfiguration("the options of SqlJournal", rules.problems(options, ""))
    const named = yield* Tables.make(options.schema ?? "perdure")
    const application = yield* SqlClient.SqlClient
    const { journal, liveness, maxCalls, maxTransactions } = connections ?? {
      journal: application,
      liveness: application,
      maxCalls: Number.MAX_SAFE_INTEGER,
      maxTransactions: Number.MAX_SAFE_INTEGER
    }
    const tables = yield* Effect.provideService(
      Effect.zipRight(
        requireIsolation,
        options.migrate === false ? Migrations.check(named) : Migrations.migrate(named)
      ),
      SqlClient.SqlClient,
      journal
    )
    const session = yield* Session.make({
      tables,
      clock: options.clock ?? "database",
      application,
      journal,
      liveness,
      lastMigration: Migrations.last,
      newerError: Migrations.newerError(liveness, tables),
      maxCalls,
      maxTransactions
    })
    /** Statements of the worker, which calls of user code do not delay. */
    const worker = { ...session, query: session.workerQuery }
    const origins = new RunOrigins()
    return JournalDriver.of({
      ...EnqueueVerb.make(session, origins),
      ...ClaimVerb.make(worker, origins),
      ...CommitVerb.make(worker, origins),
      ...InboxVerbs.make(session),
      ...ReleaseVerbs.make(worker),
      ...WorkerVerbs.make(session),
      ...ControlVerbs.make(session),
      ...ReadVerbs.make(session),
      ...FindVerbs.make(session),
      ...QueueVerbs.make(session),
      ...ScheduleVerbs.make(session),
      transaction: session.transaction,
      inTransaction: session.inTransaction,
      hints: session.hints.stream
    })
  })

/**
 * The driver as a layer.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * import * as SqlJournal from "@perdure/sql/SqlJournal"
 * import * as Layer from "effect/Layer"
 * import { Journal } from "perdure/Journal"
 *
 * // Over the SqlClient of the environment.
 * const JournalLive = Layer.provide(Journal.layer(), SqlJournal.layer({ schema: "jobs" }))
 */
export const layer = (
  options: SqlJournalOptions = {}
): Layer.Layer<JournalDriver, ConfigurationInvalid | JournalError, SqlClient.SqlClient> =>
  Layer.scoped(JournalDriver, make(options))
