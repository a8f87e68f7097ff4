/** How calendars are made of what users write. What cannot become one is `Invalid`, and nothing throws. */
import * as Cron from "effect/Cron"
import * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import { quote } from "../util/show.js"
import { instantOf } from "../util/time.js"
import type { At, Calendar, Except, Invalid, Match, Repeated, Wall } from "./model.js"
import { problemsOf, zoneProblem } from "./problems.js"

export const invalid = (problems: ReadonlyArray<string>): Invalid => ({ _tag: "Invalid", problems })

type Problems = ReadonlyArray<string | undefined>

/** Options are looked at as they are, whatever their type says. */
export type Given = Readonly<Record<string, unknown>>

const optionsProblems = (what: string, options: unknown, known: ReadonlyArray<string>): Problems =>
  typeof options !== "object" || options === null || Array.isArray(options)
    ? [`${what}: the options are ${quote(options)}, they must be an object`]
    : Object.keys(options).filter((key) => !known.includes(key)).map((key) =>
      `${what}: ${quote(key)} is no option, there are ${known.join(", ")}: leave it out, or mend its name`
    )

/** A calendar, if nothing is wrong with its options. */
export const checked = (
  what: string,
  options: unknown,
  known: ReadonlyArray<string>,
  problems: () => Problems,
  make: () => Calendar
): Calendar => {
  const strangers = optionsProblems(what, options, known)
  const found = (strangers.length > 0 ? strangers : problems()).filter((problem) => problem !== undefined)
  if (found.length === 0) return make()
  // Of a calendar that is made, its problems are told when it is looked at.
  const { zone } = typeof options === "object" && options !== null ? options as Clock : {}
  const unknown = zone === undefined ? undefined : zoneProblem(zoneName(zone))
  return invalid(unknown === undefined ? found : [...found, `${what}: ${unknown}`])
}

const isList = (value: unknown): value is ReadonlyArray<unknown> => Array.isArray(value)

export const listOf = <A>(value: A | ReadonlyArray<A>): ReadonlyArray<A> => isList(value) ? value : [value]

/** In order, each once. */
const ordered = (values: ReadonlyArray<number>): ReadonlyArray<number> => [...new Set(values)].sort((a, b) => a - b)

const range = (from: number, to: number): ReadonlyArray<number> =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)

export const allHours = range(0, 23)
export const sixty = range(0, 59)

export const zoneName = (zone: string | DateTime.TimeZone | undefined): string =>
  zone === undefined ? "UTC" : DateTime.isTimeZone(zone) ? DateTime.zoneToString(zone) : zone

/** What wall clocks have in common. */
export interface Clock {
  readonly zone?: string | DateTime.TimeZone | undefined
  readonly repeated?: Repeated | undefined
}

export interface Fields {
  readonly seconds?: ReadonlyArray<number>
  readonly minutes?: ReadonlyArray<number>
  readonly hours?: ReadonlyArray<number>
  readonly days?: ReadonlyArray<number> | null
  readonly months?: ReadonlyArray<number> | null
  readonly weekdays?: ReadonlyArray<number> | null
  readonly match?: Match | undefined
}

const orderedOrAny = (values: ReadonlyArray<number> | null | undefined) => values ? ordered(values) : null

/** How days are matched makes a difference only where both are given; elsewhere it is written in one way. */
export const wall = (clock: Clock, fields: Fields): Wall => ({
  _tag: "Wall",
  zone: zoneName(clock.zone),
  seconds: ordered(fields.seconds ?? [0]),
  minutes: ordered(fields.minutes ?? [0]),
  hours: ordered(fields.hours ?? [0]),
  days: orderedOrAny(fields.days),
  months: orderedOrAny(fields.months),
  weekdays: orderedOrAny(fields.weekdays),
  match: fields.days && fields.weekdays ? fields.match ?? "either" : "both",
  repeated: clock.repeated ?? "first"
})

const timeOfDay = /^([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?$/

interface Time {
  readonly hour: number
  readonly minute: number
  readonly second: number
}

const timeOf = (text: string): Time | undefined => {
  const [, hour, minute, second = "0"] = timeOfDay.exec(text) ?? []
  return hour === undefined || minute === undefined
    ? undefined
    : { hour: Number(hour), minute: Number(minute), second: Number(second) }
}

export const timesProblems = (what: string, given: unknown): Problems => {
  const times = listOf(given)
  if (times.length === 0) return [`${what} is an empty list: give at least one time of day such as "09:30"`]
  return times
    .filter((time) => typeof time !== "string" || timeOf(time) === undefined)
    .map((time) =>
      `${what} has ${quote(time)}, it must be a time of day from "00:00" to "23:59:59" such as "09:30" or "09:30:15"`
    )
}

/** Times that have minute and second in common are one wall clock. */
export const walls = (clock: Clock, times: string | ReadonlyArray<string>, days: Fields): Calendar => {
  const groups = new Map<string, Array<Time>>()
  for (const time of listOf(times).map(timeOf).filter((time) => time !== undefined)) {
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

export const weekdays = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"] as const

export type Weekday = typeof weekdays[number]

export const weekdaysProblems = (what: string, given: unknown): Problems =>
  listOf(given)
    .filter((day) => !weekdays.some((name) => name === day))
    .map((day) => `${what} has ${quote(day)}, it must be one of ${weekdays.join(", ")}`)

export const weekdayNumbers = (given: Weekday | ReadonlyArray<Weekday>): ReadonlyArray<number> =>
  listOf(given).map((day) => weekdays.indexOf(day))

export const dayNumbers = (given: number | "last" | ReadonlyArray<number | "last">): ReadonlyArray<number> =>
  listOf(given).map((day) => day === "last" ? -1 : day)

const aliases: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *"
}

const valuesOr = <A>(values: ReadonlySet<number>, all: A): ReadonlyArray<number> | A =>
  values.size === 0 ? all : [...values]

/**
 * The fields of a cron string. Effect's `Cron` reads it, and gives an empty set for `*`; when it fires is found here.
 * As in crontabs, days need match only one of the two fields, unless one of these begins with a star.
 */
export const cronWall = (text: string, clock: Clock, match: Match | undefined): Calendar => {
  if (typeof text !== "string") return invalid([`cron: ${quote(text)} is no cron string`])
  // In lower case, as the names of days and months are read in the language of the machine.
  const given = text.trim().toLowerCase()
  const expression = given.startsWith("@") ? aliases[given] : given
  if (expression === undefined) {
    return invalid([`cron: ${quote(text)} is no alias, there are ${Object.keys(aliases).join(", ")}`])
  }
  const [dayOfWeek, , dayOfMonth] = expression.split(/\s+/).toReversed()
  const starred = [dayOfWeek, dayOfMonth].some((field) => field?.startsWith("*"))
  return Either.match(Cron.parse(expression), {
    onLeft: ({ input, message }) => invalid([`cron: ${quote(text)} is no cron string: ${message} (at "${input}")`]),
    onRight: (cron) =>
      wall(clock, {
        seconds: valuesOr(cron.seconds, sixty),
        minutes: valuesOr(cron.minutes, sixty),
        hours: valuesOr(cron.hours, allHours),
        days: valuesOr(cron.days, null),
        months: valuesOr(cron.months, null),
        weekdays: valuesOr(cron.weekdays, null),
        match: match ?? (starred ? "both" : "either")
      })
  })
}

/** What may be said of each field; the finest first. */
export interface FieldsGiven extends Clock {
  readonly seconds?: number | ReadonlyArray<number> | "any" | undefined
  readonly minutes?: number | ReadonlyArray<number> | "any" | undefined
  readonly hours?: number | ReadonlyArray<number> | "any" | undefined
  readonly months?: number | ReadonlyArray<number> | "any" | undefined
  readonly daysOfMonth?: number | "last" | ReadonlyArray<number | "last"> | undefined
  readonly daysOfWeek?: Weekday | ReadonlyArray<Weekday> | undefined
  readonly match?: Match | undefined
}

export const fieldsProblems = (given: FieldsGiven): Problems => {
  const { daysOfMonth, daysOfWeek, hours, match, minutes, months, seconds } = given
  if ([seconds, minutes, hours, daysOfMonth, months, daysOfWeek].every((field) => field === undefined)) {
    return ["fields: no field is given: give at least one, such as { hours: 9 }"]
  }
  const both = daysOfMonth !== undefined && daysOfWeek !== undefined
  return [
    ...(daysOfWeek === undefined ? [] : weekdaysProblems("fields: daysOfWeek", daysOfWeek)),
    both && match === undefined
      ? `fields: daysOfMonth and daysOfWeek are both given: say by match whether a day must be "either" or "both"`
      : undefined,
    !both && match !== undefined
      ? `fields: match is ${
        quote(match)
      }, which says something only of daysOfMonth and daysOfWeek together: leave it out`
      : undefined
  ]
}

/** What is left out is any if something finer is given, and else its first value. */
export const fieldsWall = (given: FieldsGiven): Wall => {
  const { daysOfMonth, daysOfWeek, hours, match, minutes, months, seconds } = given
  const bySecond = seconds !== undefined
  const byMinute = bySecond || minutes !== undefined
  const byHour = byMinute || hours !== undefined
  const valuesOf = (
    field: number | ReadonlyArray<number> | "any" | undefined,
    all: ReadonlyArray<number>,
    coarser: boolean
  ) => field === "any" || (field === undefined && coarser) ? all : listOf(field ?? 0)
  const daysGiven = daysOfMonth === undefined ? undefined : dayNumbers(daysOfMonth)
  return wall(given, {
    seconds: valuesOf(seconds, sixty, false),
    minutes: valuesOf(minutes, sixty, bySecond),
    hours: valuesOf(hours, allHours, byMinute),
    days: daysGiven ?? (byHour || daysOfWeek !== undefined ? null : [1]),
    months: months === undefined || months === "any" ? null : listOf(months),
    weekdays: daysOfWeek === undefined ? null : weekdayNumbers(daysOfWeek),
    match
  })
}

export const atInstants = (instants: ReadonlyArray<unknown>): At | Invalid => {
  const found = instants.map(instantOf)
  const problems = instants.filter((_, index) => found[index] === undefined).map((instant) =>
    `at: ${quote(instant)} is no instant: give a DateTime or a Date`
  )
  return problems.length > 0
    ? invalid(problems)
    : { _tag: "At", instants: ordered(found.filter((instant) => instant !== undefined)) }
}

interface Exclusions {
  readonly dates?: ReadonlyArray<string | { readonly from: string; readonly to: string }> | undefined
  readonly ranges?: ReadonlyArray<{ readonly from: unknown; readonly to: unknown }> | undefined
  readonly zone?: string | DateTime.TimeZone | undefined
}

/** The zones of the clocks in a calendar; of one with problems there are none. */
const zonesOf = (calendar: Calendar): ReadonlyArray<string> => problemsOf(calendar).length > 0 ? [] : zonesIn(calendar)

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

export const exclusionsProblems = (calendar: Calendar, { dates, ranges, zone }: Exclusions): Problems => {
  const lists = [["dates", dates], ["ranges", ranges]].filter(([, list]) => list !== undefined && !isList(list))
  if (lists.length > 0) return lists.map(([name, list]) => `except: ${name} is ${quote(list)}, it must be a list`)
  const zones = zonesOf(calendar)
  return [
    zone === undefined && dates !== undefined && dates.length > 0 && zones.length > 1
      ? `except: zone is not given, and the calendar has clocks in ${zones.join(", ")}: say in which zone the dates are`
      : undefined,
    ...(dates ?? []).filter((date) => typeof date !== "string" && (typeof date !== "object" || date === null)).map((
      date
    ) => `except: dates has ${quote(date)}, it must be a date such as "2026-12-24", or { from, to }`),
    ...(ranges ?? []).filter((range) => instantOf(range?.from) === undefined || instantOf(range?.to) === undefined).map(
      (
        range
      ) => `except: ranges has ${quote(range)}, it must be { from, to }, both a DateTime or a Date`
    )
  ]
}

export const withExclusions = (calendar: Calendar, { dates, ranges, zone }: Exclusions): Except => ({
  _tag: "Except",
  calendar,
  zone: zoneName(zone ?? zonesOf(calendar)[0]),
  dates: (dates ?? []).map((date) =>
    typeof date === "string" ? { from: date, to: date } : { from: date.from, to: date.to }
  ),
  ranges: (ranges ?? []).map(({ from, to }) => ({ from: instantOf(from) ?? 0, to: instantOf(to) ?? 0 }))
})
