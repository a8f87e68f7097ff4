/**
 * Makes calendars from the arguments of constructors. Nothing here throws: invalid arguments make an `Invalid`
 * calendar.
 */
import type * as Cron from "effect/Cron"
import * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import type { Problems } from "../options/Rule.js"
import { instantOf } from "../util/time.js"
import type { TimeOfDay, Weekday } from "./civil.js"
import { timeOfDayOf, weekdays } from "./civil.js"
import { parseCron } from "./cron.js"
import type { At, Calendar, Except, Match, Wall } from "./model.js"
import type { ClockOptions, CronOptions, Exclusions, FieldsOptions, Instant, Zone } from "./options.js"
import { problemsOf } from "./problems.js"

const invalid = (constructor: string, problems: Problems): Calendar => ({
  _tag: "Invalid",
  problems: problems.map((problem) => `${constructor}: ${problem}`)
})

/** The calendar, or an invalid one that has the problems of the constructor's arguments. */
export const checked = (constructor: string, problems: Problems, make: () => Calendar): Calendar =>
  problems.length === 0 ? make() : invalid(constructor, problems)

const isList = (value: unknown): value is ReadonlyArray<unknown> => Array.isArray(value)

const listOf = <A>(value: A | ReadonlyArray<A>): ReadonlyArray<A> => isList(value) ? value : [value]

/** Sorted, without duplicates. Equal calendars have equal JSON text. */
const ordered = (values: ReadonlyArray<number>): ReadonlyArray<number> => [...new Set(values)].sort((a, b) => a - b)

const range = (from: number, to: number): ReadonlyArray<number> =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)

const ALL_HOURS = range(0, 23)
const ALL_MINUTES = range(0, 59)

const zoneNameOf = (zone: Zone | undefined): string =>
  zone === undefined ? "UTC" : DateTime.isTimeZone(zone) ? DateTime.zoneToString(zone) : zone

// --- wall clocks ---

/**
 * The fields of a wall clock. A finer field that is left out has its first value; days, months and weekdays have all.
 */
interface WallFields {
  readonly seconds?: ReadonlyArray<number>
  readonly minutes?: ReadonlyArray<number>
  readonly hours?: ReadonlyArray<number>
  readonly days?: ReadonlyArray<number> | null
  readonly months?: ReadonlyArray<number> | null
  readonly weekdays?: ReadonlyArray<number> | null
  readonly match?: Match | undefined
}

const orderedOrNull = (values: ReadonlyArray<number> | null | undefined) => values ? ordered(values) : null

const wall = (clock: ClockOptions, fields: WallFields): Wall => ({
  _tag: "Wall",
  zone: zoneNameOf(clock.zone),
  seconds: ordered(fields.seconds ?? [0]),
  minutes: ordered(fields.minutes ?? [0]),
  hours: ordered(fields.hours ?? [0]),
  days: orderedOrNull(fields.days),
  months: orderedOrNull(fields.months),
  weekdays: orderedOrNull(fields.weekdays),
  // `match` has no effect unless both kinds of days are given.
  match: fields.days && fields.weekdays ? fields.match ?? "either" : "both",
  repeated: clock.repeated ?? "first"
})

/** The clock of a calendar that fires in each hour or minute: it continues while clocks show an hour again. */
const continuing = (clock: ClockOptions): ClockOptions => ({ ...clock, repeated: clock.repeated ?? "both" })

export const hourlyWall = (clock: ClockOptions, minutes: number | ReadonlyArray<number>): Wall =>
  wall(continuing(clock), { minutes: listOf(minutes), hours: ALL_HOURS })

/** The times of day on these days. Times with the same minute and second are one wall clock. */
export const dailyWalls = (
  clock: ClockOptions,
  times: string | ReadonlyArray<string>,
  days: Pick<WallFields, "days" | "weekdays">
): Calendar => {
  const groups = new Map<string, Array<TimeOfDay>>()
  for (const time of listOf(times).map(timeOfDayOf).filter((time) => time !== undefined)) {
    const key = `${time.minute}:${time.second}`
    groups.set(key, [...groups.get(key) ?? [], time])
  }
  const calendars = [...groups.values()].map((group) =>
    wall(clock, {
      ...days,
      hours: group.map(({ hour }) => hour),
      minutes: group.map(({ minute }) => minute),
      seconds: group.map(({ second }) => second)
    })
  )
  const [only] = calendars
  return only !== undefined && calendars.length === 1 ? only : { _tag: "Join", calendars }
}

export const weekdayNumbers = (days: Weekday | ReadonlyArray<Weekday>): ReadonlyArray<number> =>
  listOf(days).map((day) => weekdays.indexOf(day))

export const dayNumbers = (days: number | "last" | ReadonlyArray<number | "last">): ReadonlyArray<number> =>
  listOf(days).map((day) => day === "last" ? -1 : day)

/** A field that is left out has all values if a finer field is given, else its first value. */
export const fieldsWall = (options: FieldsOptions): Wall => {
  const { daysOfMonth, daysOfWeek, hours, match, minutes, months, seconds } = options
  const bySecond = seconds !== undefined
  const byMinute = bySecond || minutes !== undefined
  const byHour = byMinute || hours !== undefined
  const valuesOf = (
    field: number | ReadonlyArray<number> | "any" | undefined,
    all: ReadonlyArray<number>,
    isCoarser: boolean
  ) => field === "any" || (field === undefined && isCoarser) ? all : listOf(field ?? 0)
  const days = daysOfMonth === undefined ? undefined : dayNumbers(daysOfMonth)
  const isAny = [seconds, minutes, hours].includes("any") || (bySecond && minutes === undefined) ||
    (byMinute && hours === undefined)
  return wall(isAny ? continuing(options) : options, {
    seconds: valuesOf(seconds, ALL_MINUTES, false),
    minutes: valuesOf(minutes, ALL_MINUTES, bySecond),
    hours: valuesOf(hours, ALL_HOURS, byMinute),
    days: days ?? (byHour || daysOfWeek !== undefined ? null : [1]),
    months: months === undefined || months === "any" ? null : listOf(months),
    weekdays: daysOfWeek === undefined ? null : weekdayNumbers(daysOfWeek),
    match
  })
}

/** Effect's `Cron` has an empty set for `*`. */
const valuesOr = <A>(values: ReadonlySet<number>, all: A): ReadonlyArray<number> | A =>
  values.size === 0 ? all : [...values]

const wallOf = (cron: Cron.Cron, clock: ClockOptions, match: Match): Wall =>
  wall(clock, {
    seconds: valuesOr(cron.seconds, ALL_MINUTES),
    minutes: valuesOr(cron.minutes, ALL_MINUTES),
    hours: valuesOr(cron.hours, ALL_HOURS),
    days: valuesOr(cron.days, null),
    months: valuesOr(cron.months, null),
    weekdays: valuesOr(cron.weekdays, null),
    match
  })

export const cronWall = (text: string, options: CronOptions): Calendar =>
  Either.match(parseCron(text), {
    onLeft: (problem) => invalid("cron", [problem]),
    onRight: ({ cron, match, repeated }) =>
      wallOf(cron, { ...options, repeated: options.repeated ?? repeated }, options.match ?? match)
  })

// --- instants and exclusions ---

const millisOf = (instant: Instant): number => instantOf(instant) ?? NaN

export const atInstants = (instants: ReadonlyArray<Instant>): At => ({
  _tag: "At",
  instants: ordered(instants.map(millisOf))
})

/** The zones of the clocks in a calendar; none if it has problems. */
export const zonesOf = (calendar: Calendar): ReadonlyArray<string> =>
  problemsOf(calendar).length > 0 ? [] : zonesIn(calendar)

const zonesIn = (calendar: Calendar): ReadonlyArray<string> => {
  switch (calendar._tag) {
    case "Wall":
      return [calendar.zone]
    case "Join":
      return [...new Set(calendar.calendars.flatMap(zonesIn))]
    case "Except":
      return zonesIn(calendar.calendar)
    default:
      return []
  }
}

export const withExclusions = (calendar: Calendar, { dates, ranges, zone }: Exclusions): Except => ({
  _tag: "Except",
  calendar,
  zone: zoneNameOf(zone ?? zonesOf(calendar)[0]),
  dates: (dates ?? []).map((date) =>
    typeof date === "string" ? { from: date, to: date } : { from: date.from, to: date.to }
  ),
  ranges: (ranges ?? []).map(({ from, to }) => ({ from: millisOf(from), to: millisOf(to) }))
})
