/**
 * Civil arithmetic: what a clock on the wall shows, as a number. A wall time is the milliseconds from 1970-01-01 00:00:00 to
 * it as if all days had 24 hours (so it is an instant of UTC by another name); a day is the whole days in it.
 */

export const SECOND = 1_000
export const HOUR = 3_600_000
export const DAY = 86_400_000

export interface Civil {
  readonly year: number
  /** 1 to 12. */
  readonly month: number
  readonly day: number
}

export const civilOf = (day: number): Civil => {
  const date = new Date(day * DAY)
  return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() }
}

/** The day of a date. A month above 12, or below 1, is one of another year. */
export const dayOf = (year: number, month: number, day: number): number => Date.UTC(year, month - 1, day) / DAY

/** 0 is Sunday. */
export const weekdayOf = (day: number): number => (((day + 4) % 7) + 7) % 7

export const daysIn = (year: number, month: number): number => dayOf(year, month + 1, 1) - dayOf(year, month, 1)

/** The first instant, on a whole second, that is no earlier. */
export const secondFrom = (millis: number): number => Math.ceil(millis / SECOND) * SECOND

/** The first instant, on a whole second, that is later. */
export const secondAfter = (millis: number): number => (Math.floor(millis / SECOND) + 1) * SECOND

const isoDate = /^(\d{4})-(\d{2})-(\d{2})$/

/** The day of an ISO date; undefined for what is none. */
export const dayOfIso = (text: string): number | undefined => {
  const [year, month, day] = (isoDate.exec(text) ?? []).slice(1).map(Number)
  if (year === undefined || month === undefined || day === undefined) return undefined
  if (year < FIRST_YEAR || month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return undefined
  return dayOf(year, month, day)
}

/** Local clocks are read from here to the end of the year 9999. */
export const FIRST_YEAR = 1900
export const FIRST_WALL = Date.UTC(FIRST_YEAR, 0, 1)
export const LAST_WALL = Date.UTC(10_000, 0, 1)
