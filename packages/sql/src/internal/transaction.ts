/**
 * Transactions whose failures are values: `withTransaction` of `@effect/sql` dies when COMMIT or ROLLBACK fails, which is
 * an operating fault and not a programmer's.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { JournalError } from "perdure/Errors"
import { fromSqlError } from "../SqlErrors.js"

/** Whether the calling fiber is inside a transaction of any `SqlClient`. */
export const isInside = (context: Context.Context<never>): boolean =>
  Option.isSome(Context.getOption(context, SqlClient.TransactionConnection))

/** The first thing that went wrong in a cause, if it is the client's. */
const sqlErrorOf = <E>(cause: Cause.Cause<E>): SqlError | null => {
  const found = Cause.find(cause, (each) => {
    if (each._tag === "Die" && each.defect instanceof SqlError) return Option.some(each.defect)
    if (each._tag === "Fail" && each.error instanceof SqlError) return Option.some(each.error)
    return Option.none()
  })
  return Option.getOrNull(found)
}

/** What a failed COMMIT means: refused by the server it is rolled back, else nobody knows. */
const commitFailed = (operation: string, error: SqlError): JournalError => {
  const failed = fromSqlError(operation, error)
  return failed.code === "Conflict" || failed.code === "Refused"
    ? failed
    : new JournalError({ ...failed, code: "OutcomeUnknown", retryable: true })
}

/** What is surely rolled back, with the connection. */
const unavailable = (operation: string, error: SqlError): JournalError =>
  new JournalError({ ...fromSqlError(operation, error), code: "Unavailable", retryable: true })

/** Why the rollback failed, if it did: what then went wrong is not what the body failed with. */
const rollbackFailed = <E>(cause: Cause.Cause<E>, body: Cause.Cause<E>): SqlError | null => {
  const error = sqlErrorOf(cause)
  return error === null || error === sqlErrorOf(body) ? null : error
}

/**
 * Run `self` in a transaction (a savepoint, if inside one). Its own failures pass through untouched. A transaction that
 * could not begin or commit is a `JournalError`; so is one whose body failed and that could not be rolled back either: its
 * connection is gone, so that the database has rolled it back, and the failure may be no more than that.
 */
export const transactionally = <A, E, R>(
  sql: SqlClient.SqlClient,
  operation: string,
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E | JournalError, R> =>
  Effect.suspend(() => {
    const seen: { body: Exit.Exit<A, E> | null } = { body: null }
    const observed = Effect.onExit(self, (exit) =>
      Effect.sync(() => {
        seen.body = exit
      }))
    return Effect.matchCauseEffect(sql.withTransaction(observed), {
      onSuccess: (value) => Effect.succeed(value),
      onFailure: (cause): Effect.Effect<A, E | JournalError> => {
        const { body } = seen
        if (body !== null && Exit.isFailure(body)) {
          const failed = Exit.isInterrupted(body) ? null : rollbackFailed(cause, body.cause)
          return failed === null ? body : Effect.fail(unavailable(operation, failed))
        }
        const error = sqlErrorOf(cause)
        if (error === null) return Effect.failCause(Cause.stripFailures(cause))
        return Effect.fail(body === null ? fromSqlError(operation, error) : commitFailed(operation, error))
      }
    })
  })
