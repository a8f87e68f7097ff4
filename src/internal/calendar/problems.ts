/** What is wrong with a calendar, in words: the place, the value, and what would be right. It is looked at as it is. */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { MAX_DATE_MILLIS } from "../util/time.js"
import { isFields, quote, show } from "../util/show.js"
import { dayOfIso } from "./civil.js"
import type { At, Calendar, Every, Except, Join, Wall } from "./model.js"
import { schema } from "./model.js"
import { hasDay } from "./wall.js"
import { zoneOf } from "./zone.js"

/** Calendars in one, each join and exception counted. */
const PARTS = 1_000

/** Joins and exceptions in each other. */
const DEPTH = 50

/** Instants of one list; as many dates, and as many ranges. */
const ENTRIES = 10_000

const SHORTEST = 1_000

type Problems = ReadonlyArray<string | undefined>

const isInteger = (value: unknown, least: number, most: number): boolean =>
  typeof value === "number" && Number.isInteger(value) && value >= least && value <= most

const everyProblems = ({ anchor, millis }: Every): Problems => [
  isInteger(millis, SHORTEST, MAX_DATE_MILLIS)
    ? undefined
    : `the interval is ${show(millis)} ms, it must be a whole number of milliseconds and at least ${SHORTEST}`,
  isInteger(anchor, -MAX_DATE_MILLIS, MAX_DATE_MILLIS)
    ? undefined
    : `the anchor is ${show(anchor)}, it must be an instant`
]

export const zoneProblem = (zone: string): string | undefined =>
  typeof zone === "string" && zoneOf(zone) !== undefined
    ? undefined
    : `zone ${quote(zone)} is not known here: give an IANA name such as "Europe/Berlin", or an offset such as "+02:00"`

const fieldProblems = (
  name: string,
  values: ReadonlyArray<number> | null,
  least: number,
  most: number,
  last?: string
): Problems => {
  if (values === null) return []
  if (!Array.isArray(values)) return [`${name} is ${quote(values)}, it must be a list of integers`]
  if (values.length === 0) return [`${name} is an empty list: name at least one, or leave it out`]
  if (values.length > most + 2) return [`${name} has ${values.length} entries, more than there are: name each once`]
  return values
    .filter((value) => !isInteger(value, least, most) && !(last !== undefined && value === -1))
    .map((value) => `${name} has ${quote(value)}, it must be an integer from ${least} to ${most}${last ?? ""}`)
}

const choiceProblem = (name: string, value: unknown, choices: ReadonlyArray<string>): string | undefined =>
  choices.some((choice) => choice === value)
    ? undefined
    : `${name} is ${quote(value)}, it must be ${choices.map((choice) => `"${choice}"`).join(" or ")}`

const wallProblems = (wall: Wall): Problems => {
  const problems = [
    zoneProblem(wall.zone),
    ...fieldProblems("second", wall.seconds, 0, 59),
    ...fieldProblems("minute", wall.minutes, 0, 59),
    ...fieldProblems("hour", wall.hours, 0, 23),
    ...fieldProblems("day of the month", wall.days, 1, 31, `, or "last" (which is stored as -1)`),
    ...fieldProblems("month", wall.months, 1, 12),
    ...fieldProblems("day of the week", wall.weekdays, 0, 6),
    choiceProblem("match", wall.match, ["either", "both"]),
    choiceProblem("repeated", wall.repeated, ["first", "both"])
  ].filter((problem) => problem !== undefined)
  return problems.length > 0 || hasDay(wall) ? problems : [
    `no year has day ${wall.days?.join(", ")} in month ${wall.months?.join(", ")}, so it would never fire: ` +
    `mend the days or the months, or use "last" for the last day of a month`
  ]
}

const sizeProblem = (name: string, values: ReadonlyArray<unknown>): string | undefined =>
  values.length > ENTRIES ? `${name} has ${values.length} entries, at most ${ENTRIES} are taken` : undefined

const atProblems = ({ instants }: At): Problems => [
  instants.length === 0 ? "no instant is given: give at least one" : undefined,
  sizeProblem("at", instants),
  ...instants.filter((instant) => !isInteger(instant, -MAX_DATE_MILLIS, MAX_DATE_MILLIS)).slice(0, 1).map((instant) =>
    `at has ${quote(instant)}, which is no instant: give a DateTime or a Date`
  )
]

const dateProblem = (date: string): string | undefined =>
  dayOfIso(date) === undefined
    ? `dates has ${quote(date)}, it must be a date of the years 1900 to 9999 such as "2026-12-24"`
    : undefined

const datesProblems = (dates: Except["dates"][number]): Problems => {
  if (!isFields(dates)) return [`dates has ${quote(dates)}, it must be { from, to }`]
  const { from, to } = dates
  const problems = [dateProblem(from), from === to ? undefined : dateProblem(to)]
  return problems.some((problem) => problem !== undefined) || from <= to
    ? problems
    : [`dates has one from "${from}" to "${to}", which is before it: swap them`]
}

const rangeProblem = (range: Except["ranges"][number]): string | undefined => {
  if (!isFields(range)) return `ranges has ${quote(range)}, it must be { from, to }`
  const { from, to } = range
  if (!isInteger(from, -MAX_DATE_MILLIS, MAX_DATE_MILLIS) || !isInteger(to, -MAX_DATE_MILLIS, MAX_DATE_MILLIS)) {
    return `ranges has one from ${quote(from)} to ${quote(to)}, both must be instants: give a DateTime or a Date`
  }
  return from < to ? undefined : `ranges has one from ${iso(from)} to ${iso(to)}, it must end after it begins`
}

const iso = (millis: number): string => new Date(millis).toISOString()

const exceptProblems = (except: Except): Problems => {
  const sizes = [sizeProblem("dates", except.dates), sizeProblem("ranges", except.ranges)]
  return [zoneProblem(except.zone), ...sizes].some((problem) => problem !== undefined)
    ? [zoneProblem(except.zone), ...sizes]
    : [...except.dates.flatMap(datesProblems), ...except.ranges.map(rangeProblem)]
}

const joinProblems = ({ calendars }: Join): Problems => [
  calendars.length === 0 ? "it joins no calendars: give at least one" : undefined
]

/** The fields of each kind of calendar; and those that are lists. */
const kinds = new Map<unknown, { readonly fields: ReadonlyArray<string>; readonly lists: ReadonlyArray<string> }>([
  ["Every", { fields: ["millis", "anchor"], lists: [] }],
  [
    "Wall",
    {
      fields: ["zone", "seconds", "minutes", "hours", "days", "months", "weekdays", "match", "repeated"],
      lists: ["seconds", "minutes", "hours"]
    }
  ],
  ["At", { fields: ["instants"], lists: ["instants"] }],
  ["Join", { fields: ["calendars"], lists: ["calendars"] }],
  ["Except", { fields: ["calendar", "zone", "dates", "ranges"], lists: ["dates", "ranges"] }],
  ["Invalid", { fields: ["problems"], lists: ["problems"] }]
])

/** What is wrong with the fields of a calendar that no constructor has made, before anybody reads them. */
const shapeProblems = (calendar: unknown): ReadonlyArray<string> => {
  const kind = isFields(calendar) ? kinds.get(calendar["_tag"]) : undefined
  if (!isFields(calendar) || kind === undefined) {
    return [`${show(calendar)} is no calendar: make one by Calendar.daily, or another of its constructors`]
  }
  const { fields, lists } = kind
  return [
    ...lists.filter((name) => !Array.isArray(calendar[name])).map((name) =>
      `${name} is ${quote(calendar[name])}, it must be a list: make it by a constructor of perdure/Calendar`
    ),
    ...Object.keys(calendar).filter((name) => name !== "_tag" && !fields.includes(name)).map((name) =>
      `${quote(name)} is no field of it, there are ${fields.join(", ")}: leave it out`
    )
  ]
}

/** What is wrong with a calendar of the right shape, but for the calendars in it. */
const ownProblems = (calendar: Calendar): Problems => {
  switch (calendar._tag) {
    case "Every":
      return everyProblems(calendar)
    case "Wall":
      return wallProblems(calendar)
    case "At":
      return atProblems(calendar)
    case "Join":
      return joinProblems(calendar)
    case "Except":
      return exceptProblems(calendar)
    case "Invalid":
      return calendar.problems.map((problem) => typeof problem === "string" ? problem : show(problem))
  }
}

interface Part {
  readonly place: string
  readonly calendar: Calendar
  readonly depth: number
}

const partsOf = ({ calendar, depth, place }: Part): ReadonlyArray<Part> => {
  switch (calendar._tag) {
    case "Join":
      return calendar.calendars.map((calendar, index) => ({
        place: `${place}calendars[${index}].`,
        calendar,
        depth: depth + 1
      }))
    case "Except":
      return [{ place: `${place}calendar.`, calendar: calendar.calendar, depth: depth + 1 }]
    default:
      return []
  }
}

/** What is wrong with how it would be written, though its parts are right. */
const schemaProblems = (calendar: Calendar): ReadonlyArray<string> =>
  Either.match(validate(calendar), {
    onLeft: (error) => [`it cannot be stored: ${show(ParseResult.TreeFormatter.formatErrorSync(error))}`],
    onRight: () => []
  })

const validate = Schema.validateEither(schema)

/** Whatever the value is: nothing here throws. */
export const problemsOf = (calendar: Calendar): ReadonlyArray<string> => {
  const found: Array<string> = []
  const parts: Array<Part> = [{ place: "", calendar, depth: 0 }]
  for (let index = 0; index < parts.length; index++) {
    const part = parts[index]
    if (part === undefined) break
    const label = part.place === "" ? "" : `${part.place.slice(0, -1)}: `
    const shape = shapeProblems(part.calendar)
    const own = shape.length > 0 ? shape : ownProblems(part.calendar)
    found.push(...own.filter((problem) => problem !== undefined).map((text) => label + text))
    if (shape.length > 0) continue
    if (part.depth >= DEPTH) return [...found, `it is nested more than ${DEPTH} deep: join its parts side by side`]
    const inner = partsOf(part)
    if (parts.length + inner.length > PARTS) return [...found, `it has more than ${PARTS} parts: make it of fewer`]
    parts.push(...inner)
  }
  return found.length > 0 ? found : schemaProblems(calendar)
}
