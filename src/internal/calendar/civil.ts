/**
 * Civil arithmetic: dates and times of a wall clock, as numbers.
 *
 * - A *wall time* is what a clock shows, in milliseconds since 1970-01-01 00:00:00 as if each day had 24 hours. So it
 *   has the number of an instant of UTC.
 * - A *day* is the number of whole days in a wall time.
 */

export const SECOND_MILLIS = 1_000
export const HOUR_MILLIS = 3_600_000
export const DAY_MILLIS = 86_400_000

/** Wall times go from here to the end of the year 9999. */
export const MIN_YEAR = 1900
export const MIN_WALL_MILLIS = Date.UTC(MIN_YEAR, 0, 1)
export const MAX_WALL_MILLIS = Date.UTC(10_000, 0, 1)

export interface CivilDate {
  readonly year: number
  /** 1 to 12. */
  readonly month: number
  readonly day: number
}

export const dateOf = (day: number): CivilDate => {
  const date = new Date(day * DAY_MILLIS)
  return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() }
}

/** The day of a date. A month below 1 or above 12 belongs to another year. */
export const dayOf = (year: number, month: number, day: number): number => Date.UTC(year, month - 1, day) / DAY_MILLIS

/** 0 is Sunday. */
export const weekdayOf = (day: number): number => (((day + 4) % 7) + 7) % 7

export const weekdays = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"] as const

export type Weekday = typeof weekdays[number]

export const daysInMonth = (year: number, month: number): number => dayOf(year, month + 1, 1) - dayOf(year, month, 1)

/** The first whole second after an instant. */
export const secondAfter = (millis: number): number => (Math.floor(millis / SECOND_MILLIS) + 1) * SECOND_MILLIS

const isoDate = /^(\d{4})-(\d{2})-(\d{2})$/

/** The day of an ISO date such as `2026-12-24`; undefined for other strings. */
export const dayOfIso = (text: string): number | undefined => {
  const [year, month, day] = (isoDate.exec(text) ?? []).slice(1).map(Number)
  if (year === undefined || month === undefined || day === undefined) return undefined
  if (year < MIN_YEAR || month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined
  return dayOf(year, month, day)
}

export interface TimeOfDay {
  readonly hour: number
  readonly minute: number
  readonly second: number
}

const timeOfDay = /^([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?$/

/** The time of a string such as `09:30` or `09:30:15`; undefined for other strings. */
export const timeOfDayOf = (text: string): TimeOfDay | undefined => {
  const [, hour, minute, second = "0"] = timeOfDay.exec(text) ?? []
  return hour === undefined || minute === undefined
    ? undefined
    : { hour: Number(hour), minute: Number(minute), second: Number(second) }
}
