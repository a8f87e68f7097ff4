/**
 * What errors of the database mean to the journal: the only place that has SQLSTATEs.
 *
 * @since 0.1.0
 */
import { SqlError } from "@effect/sql/SqlError"
import type { JournalErrorCode } from "perdure/Errors"
import { JournalError } from "perdure/Errors"

type Code = typeof JournalErrorCode.Type

/** SQLSTATE of a statement in a transaction that an earlier statement has aborted. */
const ABORTED = "25P02"

/** What one SQLSTATE means, and its cure if it has one. */
interface Verdict {
  readonly code: Code
  readonly retryable: boolean
  readonly cure?: string
}

const conflict: Verdict = { code: "Conflict", retryable: true }
const unavailable: Verdict = { code: "Unavailable", retryable: true }
const unknown: Verdict = { code: "OutcomeUnknown", retryable: true }
/** The statement or one of its values is at fault: it will never be accepted. */
const refused: Verdict = { code: "Refused", retryable: false }
/** Nothing says that the statement is at fault, so it is sent again, and reported each time. */
const unexplained: Verdict = { code: "Refused", retryable: true }
const outdated: Verdict = { code: "SchemaVersion", retryable: false, cure: "run the migrations" }
const unprepared: Verdict = { ...unexplained, cure: "behind a transaction pooler, use the option prepare: false" }

const untrusted: Verdict = {
  ...refused,
  cure: "check the TLS options (sslmode and sslrootcert of the URL, or the option ssl, for example { ca })"
}

const bySqlState: Readonly<Record<string, Verdict>> = {
  // The server rolled back: nothing was written.
  "40001": conflict,
  "40P01": conflict,
  "55P03": conflict,
  "57014": conflict,
  // The server stops while the statement executes: it may have committed just before.
  "57P01": unknown,
  "57P02": unknown,
  "40003": unknown,
  "08007": unknown,
  // Temporary: the server starts, has no free connection, or is a standby before its promotion.
  "57P03": unavailable,
  "57P05": unavailable,
  "53300": unavailable,
  "25006": unavailable,
  "25P03": unavailable,
  // An earlier statement of the transaction failed, and its caller continued.
  [ABORTED]: {
    ...refused,
    cure: "let the failure end the transaction, or execute the statement in sql.withTransaction (a savepoint)"
  },
  // No such schema, table, column or function.
  "3F000": outdated,
  "42P01": outdated,
  "42703": outdated,
  // The server lacks a statement that this connection has prepared, or has it already.
  "26000": unprepared,
  "42P05": unprepared,
  // No such database.
  "3D000": refused
}

/**
 * Classes of SQLSTATEs that name the statement, its values or its privileges: not supported, cardinality, data,
 * constraints, triggers, authorization, functions, views with a check, syntax and access, limits of the program, and
 * exceptions that PL/pgSQL raises.
 */
const permanentClasses: ReadonlySet<string> = new Set([
  "0A",
  "21",
  "22",
  "23",
  "27",
  "28",
  "2F",
  "38",
  "39",
  "42",
  "44",
  "54",
  "P0"
])

/** Classes that PostgreSQL itself reports for reasons outside of the statement. Users raise codes of other classes. */
const environmentClasses: ReadonlySet<string> = new Set(["08", "25", "40", "53", "55", "57", "58", "72", "F0", "XX"])

const cachedPlan = /cached plan must not change result type/

const byClass = (code: string, said: string, acquiring: boolean): Verdict => {
  const category = code.slice(0, 2)
  if (category === "08") return acquiring ? unavailable : unknown
  // A table changed under a prepared statement: the next attempt prepares it again.
  if (code === "0A000" && cachedPlan.test(said)) return conflict
  return permanentClasses.has(category) ? refused : unexplained
}

const field = (cause: unknown, name: string): string | null => {
  if (typeof cause !== "object" || cause === null) return null
  const value: unknown = Reflect.get(cause, name)
  return typeof value === "string" ? value : null
}

/** The cause below all `SqlError`s that wrap it. */
const root = (cause: unknown): unknown => {
  let at = cause
  while (typeof at === "object" && at !== null && Reflect.get(at, "_tag") === "SqlError") at = Reflect.get(at, "cause")
  return at
}

const sqlState = /^[0-9A-Z]{5}$/

/** Serialization failure, deadlock, read-only server. */
const collisions: ReadonlySet<string | null> = new Set(["40001", "40P01", "25006"])

/** Codes of Node for a certificate that cannot be verified, or a server that speaks another protocol. */
const tlsCode =
  /^(?:ERR_TLS_|ERR_SSL_|ERR_OSSL|CERT_|CRL_|SELF_SIGNED_CERT|DEPTH_ZERO_|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE)/

const noTls = /^The server does not support SSL connections/

/** Whether the error comes from before the statement was sent. */
const isAcquiring = ({ message }: SqlError): boolean => message.includes("acquire") || message.includes("connect")

/**
 * The SQLSTATE of an error of the database; null if the error comes from the connection.
 *
 * @since 0.2.0
 * @category accessors
 */
export const sqlStateOf = (error: unknown): string | null => {
  const code = field(root(error), "code")
  return code !== null && sqlState.test(code) ? code : null
}

/**
 * Whether an error has nothing to do with what the transaction wants: it met another transaction, or a server that is
 * no longer the primary. The whole transaction can be executed again. (A lock that was not available, or a time limit,
 * can be what the transaction asked for.)
 *
 * @since 0.2.0
 * @category accessors
 */
export const isCollision = (error: SqlError): boolean => collisions.has(sqlStateOf(error))

/**
 * The error of a statement in an aborted transaction, with the message of the statement that aborted it.
 *
 * @since 0.2.0
 * @category conversions
 */
export const explainAborted = (error: SqlError, first: SqlError | null): SqlError => {
  if (first === null || sqlStateOf(error) !== ABORTED) return error
  const said = field(root(first.cause), "message") ?? first.message
  const state = sqlStateOf(first)
  const message = `a statement failed, and its transaction continued: ${said}${
    state === null ? "" : ` (SQLSTATE ${state})`
  }`
  return new SqlError({ message, cause: Object.assign(new Error(message, { cause: first }), { code: ABORTED }) })
}

/**
 * A failed statement of a running driver. As `fromSqlError`, but a database that refuses the connection (a changed
 * password, an expired certificate) says nothing against the statement, which was not sent.
 *
 * @since 0.2.0
 * @category conversions
 */
export const fromStatement = (operation: string, error: SqlError): JournalError => {
  const failed = fromSqlError(operation, error)
  return isAcquiring(error) && !failed.retryable ? new JournalError({ ...failed, retryable: true }) : failed
}

/**
 * A failed COMMIT as a `JournalError`. If the server said why, the transaction is rolled back. A reason that a user's
 * trigger or constraint can raise is permanent. Without a reason, the transaction may have been committed.
 *
 * @since 0.2.0
 * @category conversions
 */
export const fromFailedCommit = (operation: string, error: SqlError): JournalError => {
  const failed = fromSqlError(operation, error)
  const code = sqlStateOf(error)
  switch (failed.code) {
    case "Conflict":
      return failed
    case "SchemaVersion":
    case "Refused":
      return code !== null && !environmentClasses.has(code.slice(0, 2))
        ? new JournalError({ ...failed, code: "Refused", retryable: false })
        : failed
    default:
      return new JournalError({ ...failed, code: "OutcomeUnknown", retryable: true })
  }
}

/**
 * A failed statement as a `JournalError`.
 *
 * An error without SQLSTATE comes from the connection. Before the statement was sent (`Failed to acquire`) it means
 * `Unavailable`; after that, `OutcomeUnknown`: the statement may have been applied.
 *
 * @since 0.1.0
 * @category conversions
 * @example
 * import * as SqlClient from "@effect/sql/SqlClient"
 * import { fromSqlError } from "@perdure/sql/SqlErrors"
 * import * as Effect from "effect/Effect"
 *
 * const version = Effect.flatMap(SqlClient.SqlClient, (sql) => sql`SELECT version()`).pipe(
 *   Effect.mapError((error) => fromSqlError("version", error))
 * )
 */
export const fromSqlError = (operation: string, error: SqlError): JournalError => {
  const cause = root(error.cause)
  const code = field(cause, "code")
  const acquiring = isAcquiring(error)
  const known = code !== null && sqlState.test(code)
  const said = field(cause, "message") || error.message
  const verdict = known
    ? bySqlState[code] ?? byClass(code, said, acquiring)
    : acquiring
    ? (tlsCode.test(code ?? "") || noTls.test(said) ? untrusted : unavailable)
    : unknown
  // A server that stops has not started a statement that was waiting for a connection.
  const settled = acquiring && verdict.code === "OutcomeUnknown" ? unavailable : verdict
  const detail = [known ? `${said} (SQLSTATE ${code})` : code === null ? said : `${said} (${code})`, settled.cure]
  return new JournalError({
    code: settled.code,
    operation,
    detail: detail.filter((part) => part !== undefined).join(": "),
    retryable: settled.retryable,
    cause: error
  })
}
