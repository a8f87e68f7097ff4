/**
 * Calendars: when something is due, as plain data. A calendar does not say what happens then.
 *
 * A **slot** is an instant at which a calendar fires. Slots are on whole seconds, except those of `every` and `at`. The
 * slots of a calendar are the same for every caller, at any time and place. Each instant is at most one slot.
 *
 * | constructor                            | fires                                                             |
 * |----------------------------------------|-------------------------------------------------------------------|
 * | `every`                                | at a fixed interval, from an anchor                               |
 * | `hourly`, `daily`, `weekly`, `monthly` | at times of the clocks in a time zone                             |
 * | `fields`, `cron`                       | at times of the clocks in a time zone, by the fields of the clock |
 * | `at`                                   | at single instants                                                |
 * | `join`                                 | when one of several calendars does; a common instant is one slot  |
 * | `except`                               | as another calendar, except on some dates or in some ranges       |
 *
 * ## Changes of the clocks
 *
 * A time of the wall clock fires at the first instant at which clocks show it or a later time. So:
 *
 * - A time that clocks skip fires at the first instant after the gap, together with the other slots of that instant.
 *   The same holds for a day that a place leaves out, as Apia did on 2011-12-30.
 * - A time that clocks show twice fires the first time; with `repeated: "both"`, each time. Calendars that fire in each
 *   hour or minute (`hourly`, fields with `"any"`, cron strings with a star in the hours or minutes) have `"both"` by
 *   default, so they do not pause for the repeated hour.
 * - Fixed intervals (`every`) ignore clocks.
 *
 * ## Invalid calendars
 *
 * No constructor throws. Invalid arguments (`"25:61"`, an unknown zone, the 30th of February) make a calendar without
 * slots, and `problems` lists all of them. A schedule with such a calendar is refused.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as civil from "./internal/calendar/civil.js"
import * as make from "./internal/calendar/make.js"
import * as model from "./internal/calendar/model.js"
import * as rules from "./internal/calendar/options.js"
import { problemsOf } from "./internal/calendar/problems.js"
import { lastSlot, nextSlot, slotsIn } from "./internal/calendar/slots.js"
import { instantOf, millisOf } from "./internal/util/time.js"

/**
 * A calendar: plain data that JSON keeps unchanged. Calendars with the same fields have the same JSON text.
 *
 * @since 0.1.0
 * @category models
 */
export type Calendar = model.Calendar

/**
 * A time zone: an IANA name (`"Europe/Berlin"`), an offset from UTC (`"+02:00"`), or a zone of Effect's `DateTime`.
 *
 * @since 0.1.0
 * @category models
 */
export type Zone = rules.Zone

/**
 * An instant: a `DateTime` of Effect, or a `Date`.
 *
 * @since 0.1.0
 * @category models
 */
export type Instant = rules.Instant

/**
 * `"sunday"` to `"saturday"`.
 *
 * @since 0.1.0
 * @category models
 */
export type Weekday = civil.Weekday

/**
 * If days of the month and days of the week are both given: a day must match `"either"` of the two, or `"both"`.
 *
 * @since 0.1.0
 * @category models
 */
export type Match = model.Match

/**
 * The common options of calendars by the wall clock.
 *
 * @since 0.1.0
 * @category models
 */
export type ClockOptions = rules.ClockOptions

/**
 * The stored form of calendars: strict JSON. An invalid calendar can be neither encoded nor decoded. A decoded calendar
 * can still have `problems`, for example a zone that this platform does not have.
 *
 * @since 0.1.0
 * @category schemas
 */
export const schema: Schema.Schema<Calendar> = model.schema

/**
 * At a fixed interval of at least one second, in whole milliseconds: at `anchor`, and at each whole number of intervals
 * after or before it. The default anchor is 1970-01-01T00:00:00Z. So `every("1 hour")` fires on the hour of UTC, and
 * all calendars of one interval fire together.
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
export const every = (interval: Duration.DurationInput, options: rules.EveryOptions = {}): Calendar =>
  make.checked(
    "every",
    [...rules.interval.problems(interval, "interval"), ...rules.everyOptions.problems(options, "")],
    () => ({
      _tag: "Every",
      millis: millisOf(interval) ?? 0,
      anchor: options.anchor === undefined ? 0 : toMillis(options.anchor)
    })
  )

/**
 * Each hour, at one or more minutes (0 to 59). Default minute 0.
 *
 * The minutes are those of the clocks, also in zones that are not whole hours from UTC, and where clocks change by half
 * an hour. For a steady interval use `every("1 hour")`.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import * as Calendar from "perdure/Calendar"
 *
 * const halfHourly = Calendar.hourly({ minute: [0, 30] })
 * ```
 */
export const hourly = (options: rules.HourlyOptions = {}): Calendar =>
  make.checked(
    "hourly",
    rules.hourlyOptions.problems(options, ""),
    () => make.hourlyWall(options, options.minute ?? 0)
  )

/**
 * Each day, at one or more times of the wall clock, such as `"09:30"` or `"09:30:15"`.
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
export const daily = (options: rules.DailyOptions): Calendar =>
  make.checked(
    "daily",
    rules.dailyOptions.problems(options, ""),
    () => make.dailyWalls(options, options.at, {})
  )

/**
 * On one or more days of each week, at one or more times of the wall clock.
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
export const weekly = (options: rules.WeeklyOptions): Calendar =>
  make.checked(
    "weekly",
    rules.weeklyOptions.problems(options, ""),
    () => make.dailyWalls(options, options.at, { weekdays: make.weekdayNumbers(options.on) })
  )

/**
 * On one or more days of each month (1 to 31, or `"last"`), at one or more times of the wall clock. A month without the
 * day is skipped.
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
export const monthly = (options: rules.MonthlyOptions): Calendar =>
  make.checked(
    "monthly",
    rules.monthlyOptions.problems(options, ""),
    () => make.dailyWalls(options, options.at, { days: make.dayNumbers(options.on) })
  )

/**
 * The fields of the wall clock. `"any"` stands for each value of the field.
 *
 * A field that is left out has each value if it is coarser than a given field, and its first value if it is finer than
 * all given fields: `{ hours: 9 }` is each day at 09:00:00, `{ minutes: [0, 30] }` each half hour, `{ months: 4 }` the
 * 1st of April at midnight. For each minute from 09:00 to 09:59, use `{ hours: 9, minutes: "any" }`.
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
 * The days: of the month (1 to 31, or `"last"`), of the week, or both of them. `match` is required if both are given.
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
 * By the fields of the wall clock: as `cron`, with types.
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
    rules.fieldsOptions.problems(options, ""),
    () => make.fieldsWall(options)
  )

/**
 * By a cron string of 5 fields (minute, hour, day of the month, month, day of the week) or 6 (seconds first), or by an
 * alias: `@yearly` (or `@annually`), `@monthly`, `@weekly`, `@daily` (or `@midnight`), `@hourly`. Effect's `Cron`
 * parses it:
 *
 * - A field is `*`, a value, a range `1-5`, or several of them, separated by commas. `/2` after `*` or a range selects
 *   each second value; after a value, each second value from it on.
 * - Months are 1 to 12 or `jan` to `dec`. Days of the week are 0 to 6 or `sun` to `sat`; 7 is also Sunday. A range can
 *   go over the end of its field: `22-2`, `fri-mon`.
 * - `?`, `L`, `W` and `#` are not supported. For the last day of a month, use `monthly` or `fields`.
 *
 * If days of the month and of the week are both given, a day must match `"either"` of the two, as in crontabs. As
 * there, it must match `"both"` if one of the fields starts with a star (`*` followed by a step). `match` overrides
 * this.
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
export const cron = (expression: string, options: rules.CronOptions = {}): Calendar =>
  make.checked(
    "cron",
    [...rules.expression.problems(expression, "expression"), ...rules.cronOptions.problems(options, "")],
    () => make.cronWall(expression, options)
  )

/**
 * At one or more instants, at most 10,000.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import * as Calendar from "perdure/Calendar"
 *
 * const launch = Calendar.at(new Date("2026-09-01T12:00:00Z"))
 * ```
 */
export const at = (...instants: ReadonlyArray<Instant>): Calendar =>
  make.checked("at", rules.instants.problems(instants, "instants"), () => make.atInstants(instants))

/**
 * When one of several calendars fires. An instant at which more than one fires is one slot.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import * as Calendar from "perdure/Calendar"
 *
 * const office = Calendar.join(
 *   Calendar.weekly({ on: ["monday", "tuesday", "wednesday", "thursday"], at: "17:00" }),
 *   Calendar.weekly({ on: "friday", at: "15:00" })
 * )
 * ```
 */
export const join = (...calendars: ReadonlyArray<Calendar>): Calendar => ({ _tag: "Join", calendars })

/**
 * The exclusions of a calendar.
 *
 * @since 0.1.0
 * @category models
 */
export type Exclusions = rules.Exclusions

/**
 * A calendar without the slots on some dates or in some ranges. They are not moved to another time.
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
export const except: {
  (exclusions: Exclusions): (self: Calendar) => Calendar
  (self: Calendar, exclusions: Exclusions): Calendar
} = dual(2, (self: Calendar, exclusions: Exclusions): Calendar =>
  make.checked(
    "except",
    rules.exclusionsOf(make.zonesOf(self)).problems(exclusions, ""),
    () => make.withExclusions(self, exclusions)
  ))

/**
 * All problems of a calendar: one sentence each, with the place, the value and the cure. Empty for a valid calendar. A
 * calendar with problems has no slots.
 *
 * @since 0.1.0
 * @category operations
 * @example
 * ```ts
 * import * as Calendar from "perdure/Calendar"
 *
 * // [`daily: "at" must be a time of day such as "09:30" or …, got "25:00"`]
 * const problems = Calendar.problems(Calendar.daily({ at: "25:00" }))
 * ```
 */
export const problems = (self: Calendar): ReadonlyArray<string> => problemsOf(self)

const toUtc = (millis: number | null): Option.Option<DateTime.Utc> =>
  Option.map(Option.fromNullable(millis), DateTime.unsafeMake)

const toMillis = (instant: Instant): number => instantOf(instant) ?? NaN

/**
 * The first slot after an instant, which is excluded. `None` if the calendar has no later slot.
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
 * The last slot from `after`, excluded, to `until`, included. `None` if no slot is in the range.
 *
 * @since 0.1.0
 * @category operations
 * @example
 * ```ts
 * import * as Calendar from "perdure/Calendar"
 *
 * const before = Calendar.last(Calendar.every("1 hour"), {
 *   after: new Date("2030-01-01T00:00:00Z"),
 *   until: new Date("2030-01-02T00:00:00Z")
 * })
 * ```
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
 * A range of a calendar.
 *
 * @since 0.1.0
 * @category models
 */
export interface SlotsOptions {
  /** The start of the range, included. */
  readonly from: Instant
  /** The end of the range, excluded. */
  readonly to: Instant
  /** The largest number of slots: the first ones of the range. */
  readonly limit: number
}

/**
 * The first slots of a range, in order.
 *
 * @since 0.1.0
 * @category operations
 * @example
 * ```ts
 * import * as Calendar from "perdure/Calendar"
 *
 * const december = Calendar.slots(Calendar.daily({ at: "08:00" }), {
 *   from: new Date("2026-12-01T00:00:00Z"),
 *   to: new Date("2027-01-01T00:00:00Z"),
 *   limit: 100
 * })
 * ```
 */
export const slots: {
  (options: SlotsOptions): (self: Calendar) => ReadonlyArray<DateTime.Utc>
  (self: Calendar, options: SlotsOptions): ReadonlyArray<DateTime.Utc>
} = dual(
  2,
  (self: Calendar, { from, limit, to }: SlotsOptions) =>
    slotsIn(self, toMillis(from), toMillis(to), limit).map((millis) => DateTime.unsafeMake(millis))
)
