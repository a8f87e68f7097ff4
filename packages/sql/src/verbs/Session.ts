/**
 * What the driver's operations share: sending statements, hints, and transactions. One session serves one driver, over
 * any number of connections.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { JournalError } from "perdure/Errors"
import type * as Row from "../internal/Row.js"
import { isInside, transactionally } from "../internal/transaction.js"
import { fromStatement } from "../SqlErrors.js"
import type { Tables } from "../Tables.js"
import { type ClockSource, type Statement, statement, type Verb } from "../Verb.js"
import * as Hints from "./Hints.js"
import type { Query } from "./Query.js"

export interface Session {
  /** For calls of user code. */
  readonly query: Query
  /** For the work of a worker, which calls of user code do not delay. */
  readonly workerQuery: Query
  /** For heartbeats, which nothing delays. */
  readonly livenessQuery: Query
  readonly hints: Hints.Hints
  /**
   * Fails with `SchemaVersion` if `breaking`, the last breaking migration of the schema, is one that this code lacks.
   * From then on, all statements fail with that error.
   */
  readonly requireSchema: (breaking: number | null) => Effect.Effect<void, JournalError>
  /** Whether the calling fiber is inside a transaction of any `SqlClient`. */
  readonly inTransaction: Effect.Effect<boolean>
  /**
   * Runs an effect in one transaction of the application, or in a savepoint if the fiber is inside a transaction
   * already.
   */
  readonly transaction: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | JournalError, R>
  /** As `transaction`, on a connection of the journal: no code of the application must run in it. */
  readonly ownTransaction: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | JournalError, R>
}

export interface SessionOptions {
  readonly tables: Tables
  readonly clock: ClockSource
  /** The client of the application. */
  readonly application: SqlClient.SqlClient
  /** For the statements of the journal outside of the application's transactions. */
  readonly journal: SqlClient.SqlClient
  /** For heartbeats. */
  readonly liveness: SqlClient.SqlClient
  /** The id of the last migration that this code has. */
  readonly lastMigration: number
  /** The error of a breaking migration that this code lacks; null if the schema has none. */
  readonly newerError: Effect.Effect<JournalError | null, JournalError>
  /** Statements of calls at the same time; others wait. */
  readonly maxCalls: number
  /** Transactions of the application that may be open at the same time; others wait. */
  readonly maxTransactions: number
}

const corrupt = (operation: string, cause: unknown): JournalError =>
  new JournalError({
    code: "Corrupt",
    operation,
    detail: cause instanceof Error ? cause.message : String(cause),
    retryable: false,
    cause
  })

/** Why this code must not use the schema any longer. */
interface SchemaVerdict {
  error: JournalError | null
}

/** Renders each verb once, by its name, and sends it. */
const makeQuery = (sql: SqlClient.SqlClient, tables: Tables, clock: ClockSource, outdated: SchemaVerdict): Query => {
  const statements = new Map<string, Statement>()
  const statementOf = (verb: Verb): Statement => {
    const existing = statements.get(verb.name)
    if (existing !== undefined) return existing
    const rendered = statement(verb, tables, clock)
    statements.set(verb.name, rendered)
    return rendered
  }
  const send = (operation: string, { text }: Statement, parameters: ReadonlyArray<unknown>) =>
    Effect.suspend(() =>
      outdated.error !== null ? outdated.error : Effect.mapError(
        sql.unsafe<Row.Fields>(text, parameters).withoutTransform,
        (error) => fromStatement(operation, error)
      )
    )
  return (verb, parameters, decode, operation = verb.name) => {
    const rendered = statementOf(verb)
    const rows = rendered.clocked
      ? Effect.flatMap(Clock.currentTimeMillis, (now) => send(operation, rendered, [...parameters, now]))
      : send(operation, rendered, parameters)
    return Effect.flatMap(
      rows,
      (found) => Effect.try({ try: () => decode(found), catch: (cause) => corrupt(operation, cause) })
    )
  }
}

const inTransaction = Effect.contextWith((context: Context.Context<never>) => isInside(context))

/**
 * Lets a limited number of effects run at the same time. Those inside a transaction have their connection already, and
 * others may wait for the locks that it owns.
 */
const makeLimit = (count: number): Effect.Effect<<A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>> =>
  count >= Number.MAX_SAFE_INTEGER
    ? Effect.succeed((self) => self)
    : Effect.map(
      Effect.makeSemaphore(count),
      (permits) => (self) => Effect.flatMap(inTransaction, (isInside) => isInside ? self : permits.withPermits(1)(self))
    )

export const make = (options: SessionOptions): Effect.Effect<Session, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { application, clock, journal, liveness, tables } = options
    const outdated: SchemaVerdict = { error: null }
    const workerQuery = makeQuery(journal, tables, clock, outdated)
    const limitCalls = yield* makeLimit(options.maxCalls)
    const limitTransactions = yield* makeLimit(options.maxTransactions)
    const hints = yield* Hints.make(tables.schema, workerQuery)
    const transactionOn = (sql: SqlClient.SqlClient, limit: typeof limitCalls): Session["transaction"] => (self) =>
      limit(hints.afterCommit((deferred) => transactionally(sql, "transaction", deferred), self))
    return {
      query: (...request) => limitCalls(workerQuery(...request)),
      workerQuery,
      livenessQuery: liveness === journal ? workerQuery : makeQuery(liveness, tables, clock, outdated),
      hints,
      requireSchema: (breaking) =>
        breaking === null || breaking <= options.lastMigration
          ? Effect.void
          : Effect.flatMap(options.newerError, (error) => {
            if (error === null) return Effect.void
            outdated.error = error
            return error
          }),
      inTransaction,
      transaction: transactionOn(application, limitTransactions),
      ownTransaction: transactionOn(journal, limitCalls)
    }
  })
