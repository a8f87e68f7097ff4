/**
 * What the driver's operations share: sending statements, hints, and transactions. One session serves one driver, over
 * any number of connections.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { JournalError } from "perdure/Errors"
import type * as Row from "../internal/Row.js"
import { isInside, transactionally } from "../internal/transaction.js"
import { fromSqlError } from "../SqlErrors.js"
import type { Tables } from "../Tables.js"
import { type ClockSource, type Statement, statement, type Verb } from "../Verb.js"
import * as Hints from "./Hints.js"
import type { Query } from "./Query.js"

export interface Session {
  readonly query: Query
  readonly hints: Hints.Hints
  /** Whether the calling fiber is inside a transaction of any `SqlClient`. */
  readonly inTransaction: Effect.Effect<boolean>
  /** Runs an effect in one transaction, or in a savepoint if the fiber is inside a transaction already. */
  readonly transaction: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | JournalError, R>
}

const corrupt = (operation: string, cause: unknown): JournalError =>
  new JournalError({
    code: "Corrupt",
    operation,
    detail: cause instanceof Error ? cause.message : String(cause),
    retryable: false,
    cause
  })

/** Renders each verb once, by its name, and sends it. */
const makeQuery = (sql: SqlClient.SqlClient, tables: Tables, clock: ClockSource): Query => {
  const statements = new Map<string, Statement>()
  const statementOf = (verb: Verb): Statement => {
    const existing = statements.get(verb.name)
    if (existing !== undefined) return existing
    const rendered = statement(verb, tables, clock)
    statements.set(verb.name, rendered)
    return rendered
  }
  const send = (operation: string, { text }: Statement, parameters: ReadonlyArray<unknown>) =>
    Effect.mapError(
      sql.unsafe<Row.Fields>(text, parameters).withoutTransform,
      (error) => fromSqlError(operation, error)
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

export const make = (
  tables: Tables,
  clock: ClockSource,
  /** Transactions that may be open at the same time; others wait. */
  maxTransactions: number
): Effect.Effect<Session, never, SqlClient.SqlClient | Scope.Scope> =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const query = makeQuery(sql, tables, clock)
    const hints = yield* Hints.make(tables.schema, query)
    const permits = yield* Effect.makeSemaphore(maxTransactions)
    return {
      query,
      hints,
      inTransaction,
      transaction: (self) =>
        Effect.flatMap(inTransaction, (isNested) => {
          const whole = hints.afterCommit((deferred) => transactionally(sql, "transaction", deferred), self)
          // A savepoint is on the same connection.
          return isNested ? whole : permits.withPermits(1)(whole)
        })
    }
  })
