/**
 * Calendars: when something is due, as plain data. A calendar says nothing of what happens then.
 *
 * A **slot** is an instant, on a whole second for all but fixed intervals and single instants, at which a calendar
 * fires. The slots of a calendar are the same for whoever asks, wherever and whenever; each instant is at most one
 * slot.
 *
 * | constructor                           | fires                                                                  |
 * |---------------------------------------|------------------------------------------------------------------------|
 * | `every`                               | in a fixed interval, counted from an anchor                             |
 * | `hourly`, `daily`, `weekly`, `monthly` | at times that clocks show in a time zone                                |
 * | `fields`, `cron`                      | the same, with each field of the clock spoken of                        |
 * | `at`                                  | at single instants                                                      |
 * | `join`                                | whenever one of several does; what they have in common is one slot      |
 * | `except`                              | as another calendar, but for some dates or stretches of time            |
 *
 * ## When clocks are changed
 *
 * - A time that clocks do not show, because they are set forward over it, fires at the first instant after the gap. All
 *   that fall into one gap are one slot there, and one with what is regularly due at that instant. The same holds for a
 *   whole day that a place leaves out, as Apia did on 2011-12-30.
 * - A time that clocks show twice, because they are set back, fires the first time only; with `repeated: "both"` it
 *   fires each time. So an hourly calendar pauses while clocks repeat an hour, unless told otherwise.
 * - Fixed intervals (`every`) ignore what clocks show.
 *
 * In other words: a time of the wall clock fires at the first instant at which clocks show it or a later one.
 *
 * ## What cannot be
 *
 * No constructor throws. What cannot be (`"25:61"`, a zone that nobody knows, the 30th of February) makes a calendar
 * that has no slots, and `problems` says what is wrong with it, so that a program is told all of it when it starts.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import * as make from "./internal/calendar/make.js"
import * as model from "./internal/calendar/model.js"
import { problemsOf } from "./internal/calendar/problems.js"
import { lastSlot, nextSlot, slotsIn } from "./internal/calendar/slots.js"
import { quote } from "./internal/util/show.js"
import { instantOf, millisOf } from "./internal/util/time.js"

/**
 * A calendar: plain data that is the same after JSON. Calendars of the same fields are equal in text, too.
 *
 * @since 0.1.0
 * @category models
 */
export type Calendar = model.Calendar

/**
 * A time zone: an IANA name (`"Europe/Berlin"`), an offset from UTC (`"+02:00"`), or one of Effect's.
 *
 * @since 0.1.0
 * @category models
 */
export type Zone = string | DateTime.TimeZone

/**
 * An instant.
 *
 * @since 0.1.0
 * @category models
 */
export type Instant = DateTime.DateTime | Date

/**
 * @since 0.1.0
 * @category models
 */
export type Weekday = make.Weekday

/**
 * What a day must be where days of the month and days of the week are both given: `"either"` of the two (as in
 * crontabs), or `"both"`.
 *
 * @since 0.1.0
 * @category models
 */
export type Match = model.Match

/**
 * What calendars by the wall clock have in common.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClockOptions {
  /** Whose clocks. Default `"UTC"`. */
  readonly zone?: Zone
  /** When clocks are set back and show times again: fire the `"first"` time only (the default), or `"both"` times. */
  readonly repeated?: model.Repeated
}

const CLOCK = ["zone", "repeated"]

/**
 * How calendars are stored: as JSON, strictly. A calendar that could not be made is neither written nor read; what else
 * is wrong with one that was read (a zone that this platform does not know), `problems` tells.
 *
 * @since 0.1.0
 * @category schemas
 */
export const schema: Schema.Schema<Calendar> = model.schema

/**
 * In a fixed interval of at least a second, whatever clocks show: at `anchor`, and at all instants that are a whole
 * number of intervals after it, or before. The anchor is 1970-01-01T00:00:00Z by default, so `every("1 hour")` fires on
 * the hour of UTC, and all calendars of the same interval fire together.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import * as Calendar from "perdure/Calendar"
 *
 * const fortnightly = Calendar.every("14 days", { anchor: new Date("2026-01-05T08:00:00Z") })
 * ```
 */
export const every = (interval: Duration.DurationInput, options: { readonly anchor?: Instant } = {}): Calendar => {
  const millis = millisOf(interval)
  const anchor = options?.anchor === undefined ? 0 : instantOf(options.anchor)
  return make.checked("every", options, ["anchor"], () => [
    millis === undefined
      ? `every: the interval is ${quote(interval)}, it must be a duration such as "1 hour"`
      : undefined,
    anchor === undefined
      ? `every: anchor is ${quote(options.anchor)}, it must be an instant: give a DateTime or a Date`
      : undefined
  ], () => ({ _tag: "Every", millis: millis ?? 0, anchor: anchor ?? 0 }))
}

/**
 * Each hour, at a minute (or several), 0 by default.
 *
 * Where clocks are set by half an hour, or in zones that are not whole hours from UTC, it follows the clocks: for
 * steady hours use `every("1 hour")`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const hourly = (
  options: ClockOptions & { readonly minute?: number | ReadonlyArray<number> } = {}
): Calendar =>
  make.checked(
    "hourly",
    options,
    ["minute", ...CLOCK],
    () => [],
    () => make.wall(options, { minutes: make.listOf(options.minute ?? 0), hours: make.allHours })
  )

/**
 * Each day, at a time of the wall clock (or several), as `"09:30"` or `"09:30:15"`.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import * as Calendar from "perdure/Calendar"
 *
 * const reports = Calendar.daily({ at: ["09:30", "17:00"], zone: "Europe/Berlin" })
 * ```
 */
export const daily = (options: ClockOptions & { readonly at: string | ReadonlyArray<string> }): Calendar =>
  make.checked(
    "daily",
    options,
    ["at", ...CLOCK],
    () => make.timesProblems("daily: at", options.at),
    () => make.walls(options, options.at, {})
  )

/**
 * On some days of each week, at a time of the wall clock (or several).
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import * as Calendar from "perdure/Calendar"
 *
 * const backups = Calendar.weekly({ on: ["saturday", "sunday"], at: "02:30", zone: "America/New_York" })
 * ```
 */
export const weekly = (
  options: ClockOptions & {
    readonly on: Weekday | ReadonlyArray<Weekday>
    readonly at: string | ReadonlyArray<string>
  }
): Calendar =>
  make.checked("weekly", options, ["on", "at", ...CLOCK], () => [
    ...make.weekdaysProblems("weekly: on", options.on),
    ...make.timesProblems("weekly: at", options.at)
  ], () => make.walls(options, options.at, { weekdays: make.weekdayNumbers(options.on) }))

/**
 * On some days of each month, at a time of the wall clock (or several). A month that does not have a day is passed
 * over; the `"last"` day each month has.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import * as Calendar from "perdure/Calendar"
 *
 * const invoices = Calendar.monthly({ on: [15, "last"], at: "18:00", zone: "Asia/Tokyo" })
 * ```
 */
export const monthly = (
  options: ClockOptions & {
    readonly on: number | "last" | ReadonlyArray<number | "last">
    readonly at: string | ReadonlyArray<string>
  }
): Calendar =>
  make.checked(
    "monthly",
    options,
    ["on", "at", ...CLOCK],
    () => make.timesProblems("monthly: at", options.at),
    () => make.walls(options, options.at, { days: make.dayNumbers(options.on) })
  )

/**
 * Each field of the wall clock that may be spoken of. `"any"` is each of its values.
 *
 * A field that is left out is any, if it is coarser than one that is given, and its first value if it is finer than all
 * that are: `{ hours: 9 }` is each day at 09:00:00, `{ minutes: [0, 30] }` each half hour, and `{ months: 4 }` the 1st
 * of April at midnight. For each minute from 09:00 to 09:59 say `{ hours: 9, minutes: "any" }`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClockFields extends ClockOptions {
  /** 0 to 59. */
  readonly seconds?: number | ReadonlyArray<number> | "any"
  /** 0 to 59. */
  readonly minutes?: number | ReadonlyArray<number> | "any"
  /** 0 to 23. */
  readonly hours?: number | ReadonlyArray<number> | "any"
  /** 1 to 12. */
  readonly months?: number | ReadonlyArray<number> | "any"
}

/**
 * Which days: if both of the month and of the week are given, `match` says what that means.
 *
 * @since 0.1.0
 * @category models
 */
export type DayFields =
  | {
    readonly daysOfMonth?: number | "last" | ReadonlyArray<number | "last">
    readonly daysOfWeek?: undefined
    readonly match?: undefined
  }
  | {
    readonly daysOfMonth?: undefined
    readonly daysOfWeek?: Weekday | ReadonlyArray<Weekday>
    readonly match?: undefined
  }
  | {
    readonly daysOfMonth: number | "last" | ReadonlyArray<number | "last">
    readonly daysOfWeek: Weekday | ReadonlyArray<Weekday>
    readonly match: Match
  }

/**
 * By the fields of the wall clock, as `cron`, but typed.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import * as Calendar from "perdure/Calendar"
 *
 * // Each Friday the 13th, at noon and at midnight.
 * const unlucky = Calendar.fields({ hours: [0, 12], daysOfMonth: 13, daysOfWeek: "friday", match: "both" })
 * ```
 */
export const fields = (options: ClockFields & DayFields): Calendar =>
  make.checked(
    "fields",
    options,
    ["seconds", "minutes", "hours", "daysOfMonth", "months", "daysOfWeek", "match", ...CLOCK],
    () => make.fieldsProblems(options),
    () => make.fieldsWall(options)
  )

/**
 * By a cron string of 5 fields (minute, hour, day of the month, month, day of the week) or 6 (seconds first), or by an
 * alias: `@yearly` (or `@annually`), `@monthly`, `@weekly`, `@daily` (or `@midnight`), `@hourly`. It is read by
 * Effect's `Cron`:
 *
 * - a field is `*`, a value, a range `1-5`, or several of them with commas; `/2` after `*`, a range or a value takes
 *   each second one of it (of a value: of all from it on);
 * - months are 1 to 12 or `jan` to `dec`; days of the week are 0 to 6 or `sun` to `sat`, and 7 is Sunday, too, so that
 *   ranges such as `5-7` can end on it (`fri-sun` can not);
 * - `?`, `L`, `W` and `#` are not known. For the last day of a month use `monthly` or `fields`.
 *
 * If days of the month and of the week are both given, a day must be `"either"` of the two, as in crontabs; and, as
 * there, if one of these fields begins with a star (`*` followed by a step), `"both"`. With `match` it is as you say.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import * as Calendar from "perdure/Calendar"
 *
 * const workdays = Calendar.cron("0 9 * * 1-5", { zone: "Europe/London" })
 * const nightly = Calendar.cron("@daily")
 * ```
 */
export const cron = (expression: string, options: ClockOptions & { readonly match?: Match } = {}): Calendar =>
  make.checked("cron", options, ["match", ...CLOCK], () => [], () => make.cronWall(expression, options, options.match))

/**
 * At an instant, or at several.
 *
 * @since 0.1.0
 * @category constructors
 */
export const at = (...instants: ReadonlyArray<Instant>): Calendar => make.atInstants(instants)

/**
 * Whenever one of several calendars fires. An instant at which more than one does is one slot.
 *
 * @since 0.1.0
 * @category constructors
 */
export const join = (...calendars: ReadonlyArray<Calendar>): Calendar => ({ _tag: "Join", calendars })

/**
 * What is left out of a calendar.
 *
 * @since 0.1.0
 * @category models
 */
export interface Exclusions {
  /** Dates (`"2026-12-24"`), or stretches of them with their last day, as clocks show them when the slot fires. */
  readonly dates?: ReadonlyArray<string | { readonly from: string; readonly to: string }>
  /** Stretches of time; the instant at which one ends is no more in it. */
  readonly ranges?: ReadonlyArray<{ readonly from: Instant; readonly to: Instant }>
  /**
   * Whose dates. Default: those of the calendar, if all its clocks are in one zone, and `"UTC"` if it has no clocks. If
   * they are in several, it must be given.
   */
  readonly zone?: Zone
}

/**
 * A calendar without some of its slots. They are not made up for.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import * as Calendar from "perdure/Calendar"
 *
 * const payouts = Calendar.except(Calendar.daily({ at: "08:00", zone: "Europe/Paris" }), {
 *   dates: ["2026-05-01", { from: "2026-12-24", to: "2027-01-01" }]
 * })
 * ```
 */
export const except = (calendar: Calendar, exclusions: Exclusions): Calendar =>
  make.checked(
    "except",
    exclusions,
    ["dates", "ranges", "zone"],
    () => make.exclusionsProblems(calendar, exclusions),
    () => make.withExclusions(calendar, exclusions)
  )

/**
 * What is wrong with a calendar, in words; empty if nothing is. A calendar with problems has no slots.
 *
 * @since 0.1.0
 * @category operations
 */
export const problems = (self: Calendar): ReadonlyArray<string> => problemsOf(self)

const toUtc = (millis: number | null): Option.Option<DateTime.Utc> =>
  Option.map(Option.fromNullable(millis), DateTime.unsafeMake)

const toMillis = (instant: Instant): number => instantOf(instant) ?? NaN

/**
 * The first slot after an instant, that instant left out. None if there is no more.
 *
 * @since 0.1.0
 * @category operations
 * @example
 * ```ts
 * import * as Calendar from "perdure/Calendar"
 * import * as DateTime from "effect/DateTime"
 * import * as Effect from "effect/Effect"
 *
 * const soon = Effect.map(DateTime.now, (now) => Calendar.next(Calendar.cron("@hourly"), now))
 * ```
 */
export const next: {
  (after: Instant): (self: Calendar) => Option.Option<DateTime.Utc>
  (self: Calendar, after: Instant): Option.Option<DateTime.Utc>
} = dual(2, (self: Calendar, after: Instant) => toUtc(nextSlot(self, toMillis(after))))

/**
 * The last slot after `after`, that instant left out, up to `until`, that included.
 *
 * @since 0.1.0
 * @category operations
 */
export const last: {
  (range: { readonly after: Instant; readonly until: Instant }): (self: Calendar) => Option.Option<DateTime.Utc>
  (self: Calendar, range: { readonly after: Instant; readonly until: Instant }): Option.Option<DateTime.Utc>
} = dual(
  2,
  (self: Calendar, range: { readonly after: Instant; readonly until: Instant }) =>
    toUtc(lastSlot(self, toMillis(range.after), toMillis(range.until)))
)

/**
 * Some of the slots of a calendar.
 *
 * @since 0.1.0
 * @category models
 */
export interface SlotsOptions {
  /** From this instant on. */
  readonly from: Instant
  /** Before this instant. */
  readonly to: Instant
  /** At most so many, the first ones. */
  readonly most: number
}

/**
 * The slots in a range of time, in order.
 *
 * @since 0.1.0
 * @category operations
 */
export const slots: {
  (options: SlotsOptions): (self: Calendar) => ReadonlyArray<DateTime.Utc>
  (self: Calendar, options: SlotsOptions): ReadonlyArray<DateTime.Utc>
} = dual(
  2,
  (self: Calendar, { from, most, to }: SlotsOptions) =>
    slotsIn(self, toMillis(from), toMillis(to), most).map((millis) => DateTime.unsafeMake(millis))
)

/**
 * `next`, in milliseconds since the epoch; null for none.
 *
 * @internal
 */
export const nextMillis: (self: Calendar, after: number) => number | null = nextSlot

/**
 * The last slot after `from` and up to `to`, in milliseconds since the epoch; null for none.
 *
 * @internal
 */
export const lastMillis: (self: Calendar, from: number, to: number) => number | null = lastSlot

/**
 * At most `most` slots from `from` on and before `to`, in milliseconds since the epoch.
 *
 * @internal
 */
export const slotsMillis: (self: Calendar, from: number, to: number, most: number) => ReadonlyArray<number> = slotsIn
