/** Instants and durations as users give them: types are no promise for what comes out of a configuration or a request. */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"

/**
 * The last instant that a `Date` can be, in milliseconds since the epoch; the first is as far on the other side. What
 * Postgres can store ends somewhat later.
 */
export const LAST = 8.64e15

/** When something is due: beyond the end of all calendars is never. */
export const dueAt = (millis: number): number => millis > LAST ? Infinity : millis

/** Year -4000, some centuries after what Postgres can store begins. */
export const EARLIEST = -188_395_027_200_000

/** Milliseconds of a point in time; undefined for what is none. */
export const instantOf = (value: unknown): number | undefined => {
  const millis = value instanceof Date
    ? value.getTime()
    : DateTime.isDateTime(value)
    ? DateTime.toEpochMillis(value)
    : NaN
  return Number.isNaN(millis) ? undefined : millis
}

/** What Effect would take for no time at all: less than nothing, and what is no number. */
const isNoTime = (value: unknown): boolean =>
  typeof value === "number"
    ? !(value >= 0)
    : typeof value === "bigint"
    ? value < 0n
    : typeof value === "string"
    ? value.startsWith("-")
    : Array.isArray(value) && !(Number(value[0]) * 1e9 + Number(value[1]) >= 0)

/** Milliseconds of a duration, at least 0; undefined for what is none. */
export const millisOf = (value: unknown): number | undefined =>
  isNoTime(value) ? undefined : Option.getOrUndefined(Option.map(Duration.decodeUnknown(value), Duration.toMillis))
