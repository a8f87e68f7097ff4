/**
 * Instants and durations as users write them. Nothing here trusts a type: values also come from configuration files.
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"

/** The last instant of a `Date`; the first is its negative. Postgres stores somewhat later instants, too. */
export const MAX_DATE_MILLIS = 8.64e15

/** The first instant that every storage can hold: year -4000, some centuries after Postgres begins. */
export const MIN_STORED_MILLIS = -188_395_027_200_000

/**
 * The instant at which something is due, rounded up: the clocks of storage and of workers count whole milliseconds, and
 * nothing is early. `Infinity` (never) beyond the last date.
 */
export const dueAt = (millis: number): number => millis > MAX_DATE_MILLIS ? Infinity : Math.ceil(millis)

/** Milliseconds since the epoch of a `Date` or `DateTime`; undefined for other values. */
export const instantOf = (value: unknown): number | undefined => {
  const millis = value instanceof Date
    ? value.getTime()
    : DateTime.isDateTime(value)
    ? DateTime.toEpochMillis(value)
    : NaN
  return Number.isNaN(millis) ? undefined : millis
}

/** Inputs that Effect would decode to a duration of zero: negative numbers and values that are not numbers. */
const isNegativeOrNaN = (value: unknown): boolean =>
  typeof value === "number"
    ? !(value >= 0)
    : typeof value === "bigint"
    ? value < 0n
    : typeof value === "string"
    ? value.startsWith("-")
    : Array.isArray(value) && !(Number(value[0]) * 1e9 + Number(value[1]) >= 0)

/** Milliseconds of a duration, at least 0; undefined for other values. */
export const millisOf = (value: unknown): number | undefined =>
  isNegativeOrNaN(value)
    ? undefined
    : Option.getOrUndefined(Option.map(Duration.decodeUnknown(value), Duration.toMillis))
