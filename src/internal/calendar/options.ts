/** The options of the constructors of calendars, each with its rule. The public names are in `Calendar.ts`. */
import * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import type { Rule, Table } from "../options/Rule.js"
import { arrayOf, count, either, fields, mustBe, oneOf, oneOrMore, optional, refine, rule } from "../options/Rule.js"
import { instantOf, MAX_DATE_MILLIS, millisOf } from "../util/time.js"
import type { Weekday } from "./civil.js"
import { dayOfIso, timeOfDayOf, weekdays } from "./civil.js"
import { parseCron } from "./cron.js"
import type { Match, Repeated } from "./model.js"
import { zoneOf } from "./zone.js"

export type Zone = string | DateTime.TimeZone

export type Instant = DateTime.DateTime | Date

export const MIN_INTERVAL_MILLIS = 1_000

/** Most instants, dates or ranges of one calendar. */
export const MAX_LIST_COUNT = 10_000

// --- values ---

export const zone: Rule<Zone> = rule(
  `a time zone that this platform has, such as "Europe/Berlin" or "+02:00"`,
  (value) => DateTime.isTimeZone(value) || (typeof value === "string" && zoneOf(value) !== undefined)
)

export const match: Rule<Match> = oneOf("either", "both")

export const repeated: Rule<Repeated> = oneOf("first", "both")

export const isoDate: Rule<string> = rule(
  `a date of the years 1900 to 9999 such as "2026-12-24"`,
  (value) => typeof value === "string" && dayOfIso(value) !== undefined
)

const instant: Rule<Instant> = rule("a valid DateTime or Date", (value) => instantOf(value) !== undefined)

const timesOfDay = oneOrMore<string>(
  rule(
    `a time of day such as "09:30" or "09:30:15"`,
    (value) => typeof value === "string" && timeOfDayOf(value) !== undefined
  )
)

const daysOfWeek: Rule<Weekday | ReadonlyArray<Weekday>> = oneOrMore(oneOf(...weekdays))

const daysOfMonth: Rule<number | "last" | ReadonlyArray<number | "last">> = oneOrMore(
  either(count({ min: 1, max: 31 }), oneOf("last"))
)

const numbers = (min: number, max: number): Rule<number | ReadonlyArray<number>> => oneOrMore(count({ min, max }))

const numbersOrAny = (min: number, max: number): Rule<number | ReadonlyArray<number> | "any"> =>
  either(oneOf("any"), numbers(min, max))

// --- constructors ---

/** The interval of `every`. */
export const interval: Rule<Duration.DurationInput> = rule(
  `a duration of at least 1 second, in whole milliseconds, such as "1 hour"`,
  (value) => {
    const millis = millisOf(value)
    return Number.isInteger(millis) && millis !== undefined && millis >= MIN_INTERVAL_MILLIS &&
      millis <= MAX_DATE_MILLIS
  }
)

export interface EveryOptions {
  /** Default 1970-01-01T00:00:00Z. */
  readonly anchor?: Instant
}

export const everyOptions: Rule<EveryOptions> = fields<EveryOptions>({ anchor: optional(instant) })

export interface ClockOptions {
  /** The zone of the clocks. Default `"UTC"`. */
  readonly zone?: Zone
  /**
   * When clocks show a time twice, fire the `"first"` time or `"both"` times. Default `"both"` for calendars that fire
   * in each hour or minute (`hourly`, `"any"`, a star), so that they do not pause; else `"first"`.
   */
  readonly repeated?: Repeated
}

const clockTable: Table<ClockOptions> = { zone: optional(zone), repeated: optional(repeated) }

export interface HourlyOptions extends ClockOptions {
  /** 0 to 59. Default 0. */
  readonly minute?: number | ReadonlyArray<number>
}

export const hourlyOptions: Rule<HourlyOptions> = fields<HourlyOptions>({
  minute: optional(numbers(0, 59)),
  ...clockTable
})

export interface DailyOptions extends ClockOptions {
  /** Times of day such as `"09:30"` or `"09:30:15"`. */
  readonly at: string | ReadonlyArray<string>
}

export const dailyOptions: Rule<DailyOptions> = fields<DailyOptions>({ at: timesOfDay, ...clockTable })

export interface WeeklyOptions extends DailyOptions {
  readonly on: Weekday | ReadonlyArray<Weekday>
}

export const weeklyOptions: Rule<WeeklyOptions> = fields<WeeklyOptions>({
  on: daysOfWeek,
  at: timesOfDay,
  ...clockTable
})

export interface MonthlyOptions extends DailyOptions {
  /** Days of the month, 1 to 31, or the `"last"` one. */
  readonly on: number | "last" | ReadonlyArray<number | "last">
}

export const monthlyOptions: Rule<MonthlyOptions> = fields<MonthlyOptions>({
  on: daysOfMonth,
  at: timesOfDay,
  ...clockTable
})

/** Public as the union `ClockFields & DayFields`. */
export interface FieldsOptions extends ClockOptions {
  readonly seconds?: number | ReadonlyArray<number> | "any"
  readonly minutes?: number | ReadonlyArray<number> | "any"
  readonly hours?: number | ReadonlyArray<number> | "any"
  readonly months?: number | ReadonlyArray<number> | "any"
  readonly daysOfMonth?: number | "last" | ReadonlyArray<number | "last"> | undefined
  readonly daysOfWeek?: Weekday | ReadonlyArray<Weekday> | undefined
  readonly match?: Match | undefined
}

export const fieldsOptions: Rule<FieldsOptions> = refine(
  fields<FieldsOptions>({
    seconds: optional(numbersOrAny(0, 59)),
    minutes: optional(numbersOrAny(0, 59)),
    hours: optional(numbersOrAny(0, 23)),
    daysOfMonth: optional(daysOfMonth),
    months: optional(numbersOrAny(1, 12)),
    daysOfWeek: optional(daysOfWeek),
    match: optional(match),
    ...clockTable
  }),
  (options) => {
    const { daysOfMonth, daysOfWeek, hours, match, minutes, months, seconds } = options
    if ([seconds, minutes, hours, daysOfMonth, months, daysOfWeek].every((field) => field === undefined)) {
      return [mustBe("", "an object with at least one field, such as { hours: 9 }", options)]
    }
    const hasBoth = daysOfMonth !== undefined && daysOfWeek !== undefined
    if (hasBoth && match === undefined) {
      return [mustBe("match", `"either" or "both" if daysOfMonth and daysOfWeek are both given`, match)]
    }
    return hasBoth || match === undefined
      ? []
      : [mustBe("match", "left out unless daysOfMonth and daysOfWeek are both given", match)]
  }
)

/** The cron string of `cron`. */
export const expression: Rule<string> = {
  expected: "a cron string of 5 or 6 fields, or an alias",
  problems: (value, place) => {
    const parsed = typeof value === "string" ? parseCron(value) : Either.left("")
    if (Either.isRight(parsed)) return []
    return [mustBe(place, expression.expected, value) + (parsed.left === "" ? "" : ` (${parsed.left})`)]
  }
}

export interface CronOptions extends ClockOptions {
  /** How days match if days of the month and of the week are both given. Default: as in crontabs. */
  readonly match?: Match
}

export const cronOptions: Rule<CronOptions> = fields<CronOptions>({ match: optional(match), ...clockTable })

/** The instants of `at`. */
export const instants: Rule<ReadonlyArray<Instant>> = arrayOf(instant, { min: 1, max: MAX_LIST_COUNT })

// --- exclusions ---

interface DateRange {
  readonly from: string
  readonly to: string
}

export const dateRange: Rule<DateRange> = refine(
  fields<DateRange>({ from: isoDate, to: isoDate }),
  (range, place) => range.from <= range.to ? [] : [mustBe(place, `{ from, to } with "to" not before "from"`, range)]
)

interface InstantRange {
  readonly from: Instant
  readonly to: Instant
}

const instantRange: Rule<InstantRange> = refine(
  fields<InstantRange>({ from: instant, to: instant }),
  (range, place) =>
    (instantOf(range.from) ?? 0) < (instantOf(range.to) ?? 0)
      ? []
      : [mustBe(place, `{ from, to } with "to" after "from"`, range)]
)

export interface Exclusions {
  /**
   * Dates such as `"2026-12-24"`, or `{ from, to }` with `to` included, as clocks show them when a slot fires. At most
   * 10,000.
   */
  readonly dates?: ReadonlyArray<string | DateRange>
  /** Ranges of instants; `to` is excluded. At most 10,000. */
  readonly ranges?: ReadonlyArray<InstantRange>
  /**
   * The zone of the dates. Default: the zone of the calendar, or `"UTC"` if it has no clocks. Required if the calendar
   * has clocks in several zones.
   */
  readonly zone?: Zone
}

/** `zones` are the zones of the calendar. With several of them, dates need a zone of their own. */
export const exclusionsOf = (zones: ReadonlyArray<string>): Rule<Exclusions> =>
  refine(
    fields<Exclusions>({
      dates: optional(arrayOf(either(isoDate, dateRange), { max: MAX_LIST_COUNT })),
      ranges: optional(arrayOf(instantRange, { max: MAX_LIST_COUNT })),
      zone: optional(zone)
    }),
    ({ dates = [], zone }) =>
      dates.length === 0 || zones.length < 2 || zone !== undefined
        ? []
        : [mustBe("zone", `the zone of the dates, because the calendar has clocks in ${zones.join(" and ")}`, zone)]
  )
