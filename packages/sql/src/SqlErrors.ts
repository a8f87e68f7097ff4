/**
 * What errors of the database mean to the journal: the only place that has SQLSTATEs.
 *
 * @since 0.1.0
 */
import type { SqlError } from "@effect/sql/SqlError"
import type { JournalErrorCode } from "perdure/Errors"
import { JournalError } from "perdure/Errors"

type Code = typeof JournalErrorCode.Type

/** What one SQLSTATE means, and its cure if it has one. */
interface Verdict {
  readonly code: Code
  readonly retryable: boolean
  readonly cure?: string
}

const conflict: Verdict = { code: "Conflict", retryable: true }
const unavailable: Verdict = { code: "Unavailable", retryable: true }
const unknown: Verdict = { code: "OutcomeUnknown", retryable: true }
const refused: Verdict = { code: "Refused", retryable: false }

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
  // Disk or memory is full: nothing was written. Works again after an operator has acted.
  "53000": { ...refused, retryable: true },
  "53100": { ...refused, retryable: true },
  "53200": { ...refused, retryable: true },
  "53400": { ...refused, retryable: true },
  // No such schema, table, column or function.
  "3F000": { code: "SchemaVersion", retryable: false, cure: "run the migrations" },
  "42P01": { code: "SchemaVersion", retryable: false, cure: "run the migrations" },
  "42703": { code: "SchemaVersion", retryable: false, cure: "run the migrations" },
  // The server lacks a statement that this connection has prepared, or has it already.
  "26000": { ...refused, cure: "behind a transaction pooler, use the option prepare: false" },
  "42P05": { ...refused, cure: "behind a transaction pooler, use the option prepare: false" }
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

/**
 * A failed statement as a `JournalError`.
 *
 * An error without SQLSTATE comes from the connection. Before the statement was sent (`Failed to acquire`) it means
 * `Unavailable`; after that, `OutcomeUnknown`: the statement may have been applied.
 *
 * @since 0.1.0
 * @category conversions
 */
export const fromSqlError = (operation: string, error: SqlError): JournalError => {
  const cause = root(error.cause)
  const code = field(cause, "code")
  const acquiring = error.message.includes("acquire") || error.message.includes("connect")
  const known = code !== null && sqlState.test(code)
  const verdict = known
    ? bySqlState[code] ?? (code.startsWith("08") ? (acquiring ? unavailable : unknown) : refused)
    : acquiring
    ? unavailable
    : unknown
  // A server that stops has not started a statement that was waiting for a connection.
  const settled = acquiring && verdict.code === "OutcomeUnknown" ? unavailable : verdict
  const said = field(cause, "message") || error.message
  const detail = [known ? `${said} (SQLSTATE ${code})` : code === null ? said : `${said} (${code})`, settled.cure]
  return new JournalError({
    code: settled.code,
    operation,
    detail: detail.filter((part) => part !== undefined).join(": "),
    retryable: settled.retryable,
    cause: error
  })
}
