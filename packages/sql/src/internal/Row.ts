/**
 * Strict reading of rows: a field of another type than expected makes the row `Corrupt`. Rows have only types that `pg`
 * and PGlite return alike: text, int4, float8, bool. Nested values come as JSON text.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Driver from "perdure/JournalDriver"

/** A row as the client returns it, or a parsed JSON array. */
export type Fields = { readonly [key: string | number]: unknown }

/** Thrown by the readers below, and caught only where rows are decoded. */
export class FieldError extends Error {
  override readonly name = "FieldError"
}

const unreadable = (key: string | number, expected: string, value: unknown): never => {
  throw new FieldError(`field ${key} must be ${expected}, got ${JSON.stringify(value) ?? typeof value}`)
}

export const text = (row: Fields, key: string | number): string => {
  const value = row[key]
  return typeof value === "string" ? value : unreadable(key, "text", value)
}

export const textOrNull = (row: Fields, key: string | number): string | null =>
  row[key] === null ? null : text(row, key)

export const integer = (row: Fields, key: string | number): number => {
  const value = row[key]
  return typeof value === "number" && Number.isSafeInteger(value) ? value : unreadable(key, "an integer", value)
}

export const integerOrNull = (row: Fields, key: string | number): number | null =>
  row[key] === null ? null : integer(row, key)

export const scalar = (row: Fields, key: string | number): string | number | boolean => {
  const value = row[key]
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? value
    : unreadable(key, "text, a number or a boolean", value)
}

/** A finite number. */
export const number = (row: Fields, key: string | number): number => {
  const value = row[key]
  return typeof value === "number" && Number.isFinite(value) ? value : unreadable(key, "a number", value)
}

export const flag = (row: Fields, key: string | number): boolean => {
  const value = row[key]
  return typeof value === "boolean" ? value : unreadable(key, "a boolean", value)
}

/** Milliseconds. JSON has infinity as a string. */
export const instant = (row: Fields, key: string | number): Driver.Millis => {
  const value = row[key]
  if (typeof value === "number" && !Number.isNaN(value)) return Math.round(value)
  return value === "Infinity" ? Infinity : unreadable(key, "an instant", value)
}

export const instantOrNull = (row: Fields, key: string | number): Driver.Millis | null =>
  row[key] === null ? null : instant(row, key)

export const oneOf = <A extends string>(row: Fields, key: string | number, values: ReadonlySet<A>): A => {
  const value = row[key]
  for (const each of values) if (each === value) return each
  return unreadable(key, `one of ${[...values].join(", ")}`, value)
}

const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null

export const fields = (value: unknown): Fields => isFields(value) ? value : unreadable("row", "a row", value)

const isArray: (value: unknown) => value is ReadonlyArray<unknown> = Array.isArray

/** The JSON array in a field; empty for null. */
export const json = (row: Fields, key: string | number): ReadonlyArray<unknown> => {
  const value = row[key]
  if (value === null) return []
  const parsed: unknown = typeof value === "string" ? JSON.parse(value) : value
  return isArray(parsed) ? parsed : unreadable(key, "a JSON array", value)
}

/** As `json`, of rows. */
export const list = (row: Fields, key: string | number): ReadonlyArray<Fields> => json(row, key).map(fields)

/** As `json`, of strings. */
export const texts = (row: Fields, key: string | number): ReadonlyArray<string> =>
  json(row, key).map((each) => typeof each === "string" ? each : unreadable(key, "an array of strings", each))

/** The result of reading one row among others, or why it cannot be read. */
export const attempt = <A>(read: () => A): Either.Either<A, string> =>
  Either.try({ try: read, catch: (cause) => cause instanceof Error ? cause.message : String(cause) })

/** Makes the whole answer unreadable, because of one run. */
export const unreadableRun = (id: string, detail: string): never => {
  throw new FieldError(`run ${id}: ${detail}`)
}

/** The meaning of a code. */
export const meaning = <A>(table: Readonly<Record<string, A>>, code: string): A =>
  table[code] ?? unreadable("code", `one of ${Object.keys(table).join("")}`, code)

export const first = (rows: ReadonlyArray<Fields>): Fields => rows[0] ?? unreadable("rows", "at least one", rows)

const statuses: ReadonlySet<Driver.RunStatus> = new Set(Driver.RunStatus.literals)

const finalStatuses: ReadonlySet<Driver.FinalStatus> = new Set(Driver.FinalStatus.literals)

const exitKinds = new Set<Driver.EncodedExit["kind"]>(["success", "failure", "defect", "interrupt"])

const messageKinds = new Set<Driver.MessageKind>(["signal", "child", "callback", "cancel", "defect"])

export const status = (row: Fields, key: string | number): Driver.RunStatus => oneOf(row, key, statuses)

export const finalStatus = (row: Fields, key: string | number): Driver.FinalStatus => oneOf(row, key, finalStatuses)

export const messageKind = (row: Fields, key: string | number): Driver.MessageKind => oneOf(row, key, messageKinds)

export const exit = (row: Fields, kind: string | number, value: string | number): Driver.EncodedExit => ({
  kind: oneOf(row, kind, exitKinds),
  value: textOrNull(row, value)
})

/** What ended a run of this status from outside; null for other statuses. `at` has the fields. */
export const endCauseOrNull = (
  row: Fields,
  status: Driver.RunStatus,
  at: { readonly [Name in "by" | "reason" | "crashes" | "worker"]: string | number }
): Driver.EndCause | null => {
  switch (status) {
    case "terminated":
      return { _tag: "Terminated", by: textOrNull(row, at.by), reason: textOrNull(row, at.reason) }
    case "exhausted":
      return { _tag: "Exhausted", crashes: integer(row, at.crashes), worker: textOrNull(row, at.worker) }
    default:
      return null
  }
}

export const exitOrNull = (row: Fields, kind: string | number, value: string | number): Driver.EncodedExit | null =>
  row[kind] === null ? null : exit(row, kind, value)
