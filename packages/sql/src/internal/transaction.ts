/**
 * Transactions whose failures are typed. `withTransaction` of `@effect/sql` dies when COMMIT or ROLLBACK fails, but
 * that is a fault of the environment, not a mistake in the program.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import { SqlError } from "@effect/sql/SqlError"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { JournalError } from "perdure/Errors"
import { explainAborted, fromFailedCommit, fromSqlError, isCollision } from "../SqlErrors.js"

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

/** A failure after which the transaction is rolled back, because its connection is gone. */
const unavailable = (operation: string, error: SqlError): JournalError =>
  new JournalError({ ...fromSqlError(operation, error), code: "Unavailable", retryable: true })

/** The error of a failed ROLLBACK: an error of the whole that is not the error of the body. */
const rollbackFailed = <E>(cause: Cause.Cause<E>, body: Cause.Cause<E>): SqlError | null => {
  const error = sqlErrorOf(cause)
  return error === null || error === sqlErrorOf(body) ? null : error
}

/** A connection that remembers the failure that may have aborted its transaction. */
class ObservedConnection implements Connection {
  failure: SqlError | null = null

  constructor(private readonly inner: Connection) {}

  readonly execute: Connection["execute"] = (...statement) => this.observe(this.inner.execute(...statement))
  readonly executeRaw: Connection["executeRaw"] = (...statement) => this.observe(this.inner.executeRaw(...statement))
  readonly executeValues: Connection["executeValues"] = (...statement) =>
    this.observe(this.inner.executeValues(...statement))
  readonly executeUnprepared: Connection["executeUnprepared"] = (...statement) =>
    this.observe(this.inner.executeUnprepared(...statement))
  readonly executeStream: Connection["executeStream"] = (...statement) =>
    Stream.mapError(this.inner.executeStream(...statement), (error) => this.note(error))

  /** Fails if an earlier failure has aborted the transaction: its COMMIT would roll back and report success. */
  readonly check: Effect.Effect<void, SqlError> = Effect.suspend(() =>
    this.failure === null ? Effect.void : Effect.asVoid(this.executeUnprepared("SELECT 1", [], undefined))
  )

  private observe<A>(self: Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> {
    return Effect.mapError(self, (error) => this.note(error))
  }

  private note(error: SqlError): SqlError {
    const explained = explainAborted(error, this.failure)
    if (explained === error) this.failure = error
    return explained
  }
}

/**
 * Runs an effect of a transaction. Fails if a statement has aborted the transaction and the effect succeeded. If the
 * statement only met another transaction, fails with its error, whatever the effect made of it.
 */
const observed = <A, E, R>(operation: string, self: Effect.Effect<A, E, R>): Effect.Effect<A, E | JournalError, R> =>
  Effect.contextWithEffect((context: Context.Context<R>) => {
    const current = Context.getOption(context, SqlClient.TransactionConnection)
    if (Option.isNone(current)) return self
    const [inner, depth] = current.value
    const connection = new ObservedConnection(inner)
    return Effect.matchCauseEffect(Effect.provideService(self, SqlClient.TransactionConnection, [connection, depth]), {
      onSuccess: (value) =>
        Effect.as(Effect.mapError(connection.check, (error) => fromSqlError(operation, error)), value),
      onFailure: (cause): Effect.Effect<A, E | JournalError> => {
        const { failure } = connection
        return failure === null || !isCollision(failure) || Cause.isInterrupted(cause)
          ? Effect.failCause(cause)
          : Effect.matchEffect(connection.check, {
            // A savepoint took the failure back.
            onSuccess: () => Effect.failCause(cause),
            onFailure: () => Effect.fail(fromSqlError(operation, failure))
          })
      }
    })
  })

/**
 * Runs an effect in a transaction, or in a savepoint if the fiber is inside a transaction. Its own failures are kept.
 *
 * Fails with `JournalError` if BEGIN, COMMIT or ROLLBACK fails, or if a statement failed and the effect succeeded: such
 * a transaction is aborted, and its COMMIT would roll back and report success. After a failed ROLLBACK the connection
 * is gone, so the database has rolled back, and the failure of the effect may be only a consequence of that.
 */
export const transactionally = <A, E, R>(
  sql: SqlClient.SqlClient,
  operation: string,
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E | JournalError, R> =>
  Effect.suspend(() => {
    const seen: { body: Exit.Exit<A, E | JournalError> | null } = { body: null }
    const body = Effect.onExit(observed(operation, self), (exit) =>
      Effect.sync(() => {
        seen.body = exit
      }))
    return Effect.matchCauseEffect(sql.withTransaction(body), {
      onSuccess: (value) => Effect.succeed(value),
      onFailure: (cause): Effect.Effect<A, E | JournalError> => {
        const { body } = seen
        if (body !== null && Exit.isFailure(body)) {
          const failed = Exit.isInterrupted(body) ? null : rollbackFailed(cause, body.cause)
          return failed === null ? body : Effect.fail(unavailable(operation, failed))
        }
        const error = sqlErrorOf(cause)
        if (error === null) return Effect.failCause(Cause.stripFailures(cause))
        return Effect.fail(body === null ? fromSqlError(operation, error) : fromFailedCommit(operation, error))
      }
    })
  })
