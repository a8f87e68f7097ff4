/**
 * The problems of a calendar as data. It may come from storage, or from code that used no constructor, so nothing here
 * trusts its type, and nothing throws.
 */
import type { Problems, Rule } from "../options/Rule.js"
import { arrayOf, count, fields, mustBe, nullable, oneOf, refine, rule, string } from "../options/Rule.js"
import { isFields } from "../util/show.js"
import { MAX_DATE_MILLIS } from "../util/time.js"
import type * as Model from "./model.js"
import { dateRange, match, MAX_LIST_COUNT, MIN_INTERVAL_MILLIS, repeated } from "./options.js"
import { hasDay } from "./wall.js"
import { zoneOf } from "./zone.js"

/** Calendars in one calendar, itself included. */
const MAX_PART_COUNT = 1_000

/** Levels of joins and exceptions. */
const MAX_DEPTH_COUNT = 50

const millis = count({ min: -MAX_DATE_MILLIS, max: MAX_DATE_MILLIS })

const zoneName: Rule<string> = rule(
  `a time zone that this platform has, such as "Europe/Berlin" or "+02:00"`,
  (value) => typeof value === "string" && zoneOf(value) !== undefined
)

const numbers = (min: number, max: number): Rule<ReadonlyArray<number>> =>
  arrayOf(count({ min, max }), { min: 1, max: max - min + 1 })

const dayOfMonth: Rule<number> = rule(
  "an integer from 1 to 31, or -1 for the last day",
  (value) => typeof value === "number" && Number.isInteger(value) && (value === -1 || (value >= 1 && value <= 31))
)

interface MillisRange {
  readonly from: number
  readonly to: number
}

const millisRange: Rule<MillisRange> = refine(
  fields<MillisRange>({ from: millis, to: millis }),
  (range, place) => range.from < range.to ? [] : [mustBe(place, `{ from, to } with "to" after "from"`, range)]
)

/** The calendars within a calendar are checked one by one. */
const part: Rule<Model.Calendar> = rule("a calendar", () => true)

const every: Rule<Model.Every> = fields<Model.Every>({
  _tag: oneOf("Every"),
  millis: count({ min: MIN_INTERVAL_MILLIS, max: MAX_DATE_MILLIS }),
  anchor: millis
})

const wall: Rule<Model.Wall> = refine(
  fields<Model.Wall>({
    _tag: oneOf("Wall"),
    zone: zoneName,
    seconds: numbers(0, 59),
    minutes: numbers(0, 59),
    hours: numbers(0, 23),
    days: nullable(arrayOf(dayOfMonth, { min: 1, max: 32 })),
    months: nullable(numbers(1, 12)),
    weekdays: nullable(numbers(0, 6)),
    match,
    repeated
  }),
  (wall, place) =>
    hasDay(wall) ? [] : [
      `${place}: no year has day ${wall.days?.join(" or ")} in month ${wall.months?.join(" or ")}: ` +
      `correct the days or the months, or use "last" for the last day of a month`
    ]
)

const at: Rule<Model.At> = fields<Model.At>({
  _tag: oneOf("At"),
  instants: arrayOf(millis, { min: 1, max: MAX_LIST_COUNT })
})

const join: Rule<Model.Join> = fields<Model.Join>({ _tag: oneOf("Join"), calendars: arrayOf(part, { min: 1 }) })

const except: Rule<Model.Except> = fields<Model.Except>({
  _tag: oneOf("Except"),
  calendar: part,
  zone: zoneName,
  dates: arrayOf(dateRange, { max: MAX_LIST_COUNT }),
  ranges: arrayOf(millisRange, { max: MAX_LIST_COUNT })
})

const invalid: Rule<Model.Invalid> = fields<Model.Invalid>({
  _tag: oneOf("Invalid"),
  problems: arrayOf(string(), { min: 1 })
})

const rules: { readonly [Tag in Model.Calendar["_tag"]]: Pick<Rule<never>, "problems"> } = {
  Every: every,
  Wall: wall,
  At: at,
  Join: join,
  Except: except,
  Invalid: invalid
}

const isTag = (tag: unknown): tag is Model.Calendar["_tag"] => typeof tag === "string" && Object.hasOwn(rules, tag)

/** The problems of a calendar, without those of the calendars in it. */
const check = (calendar: unknown, place: string): Problems => {
  const tag = isFields(calendar) ? calendar["_tag"] : undefined
  return isTag(tag)
    ? rules[tag].problems(calendar, place)
    : [mustBe(place, "a calendar made by Calendar.daily or another constructor", calendar)]
}

interface Part {
  readonly place: string
  readonly calendar: Model.Calendar
  readonly depth: number
}

const partsOf = ({ calendar, depth, place }: Part): ReadonlyArray<Part> => {
  switch (calendar._tag) {
    case "Join":
      return calendar.calendars.map((calendar, index) => ({
        place: `${place}.calendars[${index}]`,
        calendar,
        depth: depth + 1
      }))
    case "Except":
      return [{ place: `${place}.calendar`, calendar: calendar.calendar, depth: depth + 1 }]
    default:
      return []
  }
}

/** `place` names the calendar in messages, for example `calendar` for the option of a schedule. */
export const problemsOf = (calendar: Model.Calendar, place?: string): Problems => {
  const found: Array<string> = []
  const root = place ?? "calendar"
  const parts: Array<Part> = [{ place: root, calendar, depth: 0 }]
  for (const part of parts) {
    const problems = check(part.calendar, part.place)
    found.push(...problems)
    if (problems.length > 0) continue
    if (part.calendar._tag === "Invalid") {
      // The problems of a constructor name the constructor; the place is needed only for a part, or if it is given.
      const prefix = place === undefined && part.depth === 0 ? "" : `${part.place}: `
      found.push(...part.calendar.problems.map((problem) => prefix + problem))
    }
    if (part.depth >= MAX_DEPTH_COUNT)
      return [...found, `${root} is nested more than ${MAX_DEPTH_COUNT} deep: join its parts side by side`]
    const inner = partsOf(part)
    if (parts.length + inner.length > MAX_PART_COUNT)
      return [...found, `${root} has more than ${MAX_PART_COUNT} parts: use fewer`]
    parts.push(...inner)
  }
  return found
}
