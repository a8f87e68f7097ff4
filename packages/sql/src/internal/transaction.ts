/**
 * Transactions whose failures are typed. `withTransaction` of `@effect/sql` dies when COMMIT or ROLLBACK fails, but
 * that is a fault of the environment, not a mistake in the program.
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

/** The first failure or defect of a cause that is the client's. */
const sqlErrorOf = <E>(cause: Cause.Cause<E>): SqlError | null => {
  const found = Cause.find(cause, (each) => {
    if (each._tag === "Die" && each.defect instanceof SqlError) return Option.some(each.defect)
    if (each._tag === "Fail" && each.error instanceof SqlError) return Option.some(each.error)
    return Option.none()
  })
  return Option.getOrNull(found)
}

/** A failed COMMIT: rolled back if the server refused it; else the transaction may have been committed. */
const commitFailed = (operation: string, error: SqlError): JournalError => {
  const failed = fromSqlError(operation, error)
  return failed.code === "Conflict" || failed.code === "Refused"
    ? failed
    : new JournalError({ ...failed, code: "OutcomeUnknown", retryable: true })
}

/** A failure after which the transaction is rolled back, because its connection is gone. */
const unavailable = (operation: string, error: SqlError): JournalError =>
  new JournalError({ ...fromSqlError(operation, error), code: "Unavailable", retryable: true })

/** The error of a failed ROLLBACK: an error of the whole that is not the error of the body. */
const rollbackFailed = <E>(cause: Cause.Cause<E>, body: Cause.Cause<E>): SqlError | null => {
  const error = sqlErrorOf(cause)
  return error === null || error === sqlErrorOf(body) ? null : error
}

/**
 * Runs an effect in a transaction, or in a savepoint if the fiber is inside a transaction. Its own failures are kept.
 *
 * Fails with `JournalError` if BEGIN, COMMIT or ROLLBACK fails. After a failed ROLLBACK the connection is gone, so the
 * database has rolled back, and the failure of the effect may be only a consequence of that.
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
