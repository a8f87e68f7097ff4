/** Cron strings. Effect's `Cron` parses them; the slots are computed here, as for any wall clock. */
import * as Cron from "effect/Cron"
import * as Either from "effect/Either"
import type { Match, Repeated } from "./model.js"

const aliases: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *"
}

export const aliasNames = Object.keys(aliases)

export interface ParsedCron {
  readonly cron: Cron.Cron
  /** How days of the month and days of the week match if the caller does not say it. */
  readonly match: Match
  /** What happens when clocks show a time twice, if the caller does not say it. */
  readonly repeated: Repeated
}

interface Field {
  readonly noun: string
  readonly min: number
  readonly max: number
  /** The names of the values, from `min` on. */
  readonly names: ReadonlyArray<string>
}

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
const days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]

const weekday: Field = { noun: "days", min: 0, max: 6, names: days }

/** From the last one, because the seconds can be left out. */
const fields: ReadonlyArray<Field> = [
  weekday,
  { noun: "months", min: 1, max: 12, names: months },
  { noun: "days", min: 1, max: 31, names: [] },
  { noun: "hours", min: 0, max: 23, names: [] },
  { noun: "minutes", min: 0, max: 59, names: [] },
  { noun: "seconds", min: 0, max: 59, names: [] }
]

const valueOf = (text: string, field: Field): number => {
  const named = field.names.indexOf(text)
  const value = named >= 0 ? field.min + named : /^\d+$/.test(text) ? Number(text) : NaN
  // 7 is also Sunday.
  return field === weekday && value === 7 ? 0 : value
}

/** The values of a range that goes over the end of its field, such as `22-2` or `sat-sun`; other items unchanged. */
const unwrapped = (item: string, field: Field): string => {
  const [, from = "", to = "", step = "1"] = /^([a-z0-9]+)-([a-z0-9]+)(?:\/(\d+))?$/.exec(item) ?? []
  const { max, min } = field
  const [first, last] = [valueOf(from, field), valueOf(to, field)]
  const isRange = [first, last].every((value) => value >= min && value <= max)
  // `5-7` does not go over the end, and `7-2` begins with Sunday.
  if (!isRange || (to === "7" && field === weekday) || Number(step) < 1) return item
  if (first <= last) return from === "7" && field === weekday ? item.replace("7", "0") : item
  const size = max - min + 1
  const values: Array<number> = []
  for (let value = first; value <= last + size; value += Number(step)) values.push((value - min) % size + min)
  return values.join(",")
}

/** Why a step has no effect: it is longer than its field. */
const uselessStep = (item: string, { max, min, noun }: Field): ReadonlyArray<string> => {
  const step = Number(/\/(\d+)$/.exec(item)?.[1])
  const size = max - min + 1
  return step >= size
    ? [
      `"${item}" has a step of ${step} in a field of ${size} ${noun}, and steps start again in each field, so only the ` +
      "first value is left: write that value, or use Calendar.every for an interval of another length"
    ]
    : []
}

const FIELD_CURE = "a field is *, or values and ranges such as 1,15-20, each with or without a step such as */15"
const COUNT_CURE =
  "write 5 fields (minute, hour, day of the month, month, day of the week), or 6 with the seconds first"

/** The left side says why the string is not a cron string, with the cure. */
export const parseCron = (text: string): Either.Either<ParsedCron, string> => {
  // Lower case, because Effect's parser compares the names of days and months in the locale of the machine.
  const given = text.trim().toLowerCase()
  const expression = given.startsWith("@") ? aliases[given] : given
  if (expression === undefined) return Either.left(`the aliases are ${aliasNames.join(", ")}`)
  const segments = expression.split(/\s+/).toReversed()
  if (segments.length < 5 || segments.length > 6) return Either.left(COUNT_CURE)
  const items = segments.flatMap((segment, index) => {
    const field = fields[index]
    return field === undefined ? [] : [{ field, items: segment.split(",") }]
  })
  const [useless] = items.flatMap(({ field, items }) => items.flatMap((item) => uselessStep(item, field)))
  if (useless !== undefined) return Either.left(useless)
  const plain = items.map(({ field, items }) => items.map((item) => unwrapped(item, field)).join(","))
  const [dayOfWeek, , dayOfMonth, ...clock] = segments
  // As in crontabs: a day matches either field, unless one of them starts with a star.
  const match = [dayOfWeek, dayOfMonth].some((field) => field?.startsWith("*")) ? "both" : "either"
  // As there, what fires in each hour or minute continues when clocks are set back, and a single time fires once.
  const repeated = clock.some((field) => field.startsWith("*")) ? "both" : "first"
  return Either.mapBoth(Cron.parse(plain.toReversed().join(" ")), {
    onLeft: ({ input, message }) => `${message}, at "${input}": ${FIELD_CURE}`,
    onRight: (cron) => ({ cron, match, repeated })
  })
}
