/**
 * What the database's refusals mean to the journal: the one place that knows SQLSTATEs.
 *
 * @since 0.1.0
 */
import type { SqlError } from "@effect/sql/SqlError"
import type { JournalErrorCode } from "perdure/Errors"
import { JournalError } from "perdure/Errors"

type Code = typeof JournalErrorCode.Type

/** A verdict on one SQLSTATE, and the cure if there is one to name. */
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
  // Rolled back by the server, nothing was written.
  "40001": conflict,
  "40P01": conflict,
  "55P03": conflict,
  "57014": conflict,
  // The server goes down while the statement runs: it may have been committed just before.
  "57P01": unknown,
  "57P02": unknown,
  "40003": unknown,
  "08007": unknown,
  // Not now, but soon: starting up, no connection free, a standby before its promotion.
  "57P03": unavailable,
  "57P05": unavailable,
  "53300": unavailable,
  "25006": unavailable,
  "25P03": unavailable,
  // Full disk, memory: nothing was written; somebody has to act, then it works again.
  "53000": { ...refused, retryable: true },
  "53100": { ...refused, retryable: true },
  "53200": { ...refused, retryable: true },
  "53400": { ...refused, retryable: true },
  // No such schema, table, column or function.
  "3F000": { code: "SchemaVersion", retryable: false, cure: "run the migrations" },
  "42P01": { code: "SchemaVersion", retryable: false, cure: "run the migrations" },
  "42703": { code: "SchemaVersion", retryable: false, cure: "run the migrations" },
  // The server does not know a statement that this connection has prepared, or knows it already.
  "26000": { ...refused, cure: "behind a transaction pooler, use the option prepare: false" },
  "42P05": { ...refused, cure: "behind a transaction pooler, use the option prepare: false" }
}

const field = (cause: unknown, name: string): string | null => {
  if (typeof cause !== "object" || cause === null) return null
  const value: unknown = Reflect.get(cause, name)
  return typeof value === "string" ? value : null
}

/** The first cause that is not a mere wrapper of another. */
const root = (cause: unknown): unknown => {
  let at = cause
  while (typeof at === "object" && at !== null && Reflect.get(at, "_tag") === "SqlError") at = Reflect.get(at, "cause")
  return at
}

const sqlState = /^[0-9A-Z]{5}$/

/**
 * A failed statement as a `JournalError`.
 *
 * An error without SQLSTATE comes from the connection. Before the statement was sent (`Failed to acquire`) that means
 * `Unavailable`, else nobody knows whether the statement was applied.
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
  // A server that is going down has not begun a statement that was waiting for a connection.
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
