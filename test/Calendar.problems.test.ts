import { assert, describe, it } from "@effect/vitest"
import { unsafeCoerce } from "effect/Function"
import * as Option from "effect/Option"
import * as Calendar from "perdure/Calendar"
import { lastSlot, nextSlot } from "perdure/internal/calendar/slots"
import { millis } from "./fixtures/calendarTable.js"

const interval = (got: string) =>
  `every: "interval" must be a duration of at least 1 second, in whole milliseconds, such as "1 hour", got ${got}`

const zone = (got: string) =>
  `daily: "zone" must be a time zone that this platform has, such as "Europe/Berlin" or "+02:00", got "${got}"`

const expression = (got: string, why: string) =>
  `cron: "expression" must be a cron string of 5 or 6 fields, or an alias, got "${got}" (${why})`

const fieldCure = "a field is *, or values and ranges such as 1,15-20, each with or without a step such as */15"

const noDay = (days: string, months: string) =>
  `calendar: no year has day ${days} in month ${months}: correct the days or the months, ` +
  `or use "last" for the last day of a month`

describe("a constructor with invalid arguments", () => {
  const rows: ReadonlyArray<readonly [calendar: Calendar.Calendar, ...problems: ReadonlyArray<string>]> = [
    [Calendar.every("10 millis"), interval(`"10 millis"`)],
    [Calendar.every("1500.5 millis"), interval(`"1500.5 millis"`)],
    [Calendar.every(Infinity), interval("Infinity")],
    [Calendar.every(NaN), interval("NaN")],
    [
      Calendar.every("1 hour", { anchor: new Date(NaN) }),
      `every: "anchor" must be a valid DateTime or Date, got Invalid Date`
    ],
    [
      Calendar.hourly({ minute: 60 }),
      `hourly: "minute" must be an integer from 0 to 59, or an array of one or more, got 60`
    ],
    [
      Calendar.hourly({ minute: [] }),
      `hourly: "minute" must be an integer from 0 to 59, or an array of one or more, got []`
    ],
    [Calendar.hourly({ minute: [0, 60] }), `hourly: "minute[1]" must be an integer from 0 to 59, got 60`],
    [
      Calendar.daily({ at: ["9:30", "25:61"] }),
      `daily: "at[0]" must be a time of day such as "09:30" or "09:30:15", got "9:30"`,
      `daily: "at[1]" must be a time of day such as "09:30" or "09:30:15", got "25:61"`
    ],
    [
      Calendar.daily({ at: [] }),
      `daily: "at" must be a time of day such as "09:30" or "09:30:15", or an array of one or more, got []`
    ],
    [Calendar.daily({ at: "09:30", zone: "Mars/Olympus" }), zone("Mars/Olympus")],
    [Calendar.daily({ at: "09:30", zone: "+24:00" }), zone("+24:00")],
    [
      // @ts-expect-error: no day of the week
      Calendar.weekly({ on: "Monday", at: "24:00" }),
      `weekly: "on" must be "sunday", "monday", "tuesday", "wednesday", "thursday", "friday" or "saturday", ` +
      `or an array of one or more, got "Monday"`,
      `weekly: "at" must be a time of day such as "09:30" or "09:30:15", or an array of one or more, got "24:00"`
    ],
    [
      Calendar.weekly({ on: [], at: "12:00" }),
      `weekly: "on" must be "sunday", "monday", "tuesday", "wednesday", "thursday", "friday" or "saturday", ` +
      `or an array of one or more, got []`
    ],
    [
      Calendar.monthly({ on: [0, 32], at: "12:00" }),
      `monthly: "on[0]" must be an integer from 1 to 31 or "last", got 0`,
      `monthly: "on[1]" must be an integer from 1 to 31 or "last", got 32`
    ],
    [
      // @ts-expect-error: a misspelled option
      Calendar.daily({ at: "09:30", timezone: "Europe/Berlin" }),
      `daily: "timezone" is not an option: use at, zone or repeated, or leave it out`
    ],
    // @ts-expect-error: no options
    [Calendar.daily("09:30"), `daily: the options must be an object { at, zone, repeated }, got "09:30"`],
    // @ts-expect-error: no such choice
    [Calendar.daily({ at: "09:30", repeated: "twice" }), `daily: "repeated" must be "first" or "both", got "twice"`],
    [
      Calendar.fields({}),
      "fields: the options must be an object with at least one field, such as { hours: 9 }, got {}"
    ],
    [
      // @ts-expect-error: no such value
      Calendar.fields({ hours: 24, minutes: "all" }),
      `fields: "minutes" must be "any" or an integer from 0 to 59, or an array of one or more, got "all"`,
      `fields: "hours" must be "any" or an integer from 0 to 23, or an array of one or more, got 24`
    ],
    [
      // @ts-expect-error: no match
      Calendar.fields({ daysOfMonth: 1, daysOfWeek: "monday" }),
      `fields: "match" must be "either" or "both" if daysOfMonth and daysOfWeek are both given, got undefined`
    ],
    [
      // @ts-expect-error: nothing to match
      Calendar.fields({ daysOfMonth: 1, match: "both" }),
      `fields: "match" must be left out unless daysOfMonth and daysOfWeek are both given, got "both"`
    ],
    [Calendar.fields({ daysOfMonth: [30, 31], months: 2, hours: 9 }), noDay("30 or 31", "2")],
    [
      Calendar.cron("0 25 * * *"),
      expression("0 25 * * *", `Expected a value between 0 and 23, at "25": ${fieldCure}`)
    ],
    [
      Calendar.cron("* *"),
      expression(
        "* *",
        "write 5 fields (minute, hour, day of the month, month, day of the week), or 6 with the seconds first"
      )
    ],
    [Calendar.cron("0 0 ? * 1"), expression("0 0 ? * 1", `Expected a positive integer, at "?": ${fieldCure}`)],
    [
      Calendar.cron("0,*/60 * * * *"),
      expression(
        "0,*/60 * * * *",
        `"*/60" has a step of 60 in a field of 60 minutes, and steps start again in each field, so only the first value ` +
          "is left: write that value, or use Calendar.every for an interval of another length"
      )
    ],
    [
      Calendar.cron("@reboot"),
      expression("@reboot", "the aliases are @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly")
    ],
    [Calendar.cron("0 0 31 2,4,6 *"), noDay("31", "2 or 4 or 6")],
    [Calendar.at(), `at: "instants" must be an array with 1 to 10000 items, each a valid DateTime or Date, got []`],
    [Calendar.at(new Date(NaN)), `at: "instants[0]" must be a valid DateTime or Date, got Invalid Date`],
    [Calendar.join(), `"calendar.calendars" must be an array with at least 1 item, each a calendar, got []`],
    [
      Calendar.join(Calendar.cron("@daily"), Calendar.except(Calendar.hourly({ minute: -1 }), {}), Calendar.join()),
      `"calendar.calendars[2].calendars" must be an array with at least 1 item, each a calendar, got []`,
      `calendar.calendars[1].calendar: hourly: "minute" must be an integer from 0 to 59, or an array of one or more, ` +
      `got -1`
    ],
    [
      Calendar.join(...Array.from({ length: 1000 }, () => Calendar.hourly())),
      "calendar has more than 1000 parts: use fewer"
    ],
    [
      Array.from({ length: 51 }).reduce((inner: Calendar.Calendar) => Calendar.join(inner), Calendar.hourly()),
      "calendar is nested more than 50 deep: join its parts side by side"
    ],
    [
      Calendar.except(Calendar.hourly(), {
        dates: ["2026-02-29", "26-1-1", { from: "2026-01-02", to: "2026-01-01" }],
        ranges: [{ from: new Date("2026-01-02T00:00:00Z"), to: new Date("2026-01-02T00:00:00Z") }]
      }),
      ...["2026-02-29", "26-1-1"].map((date, index) =>
        `except: "dates[${index}]" must be a date of the years 1900 to 9999 such as "2026-12-24" or an object ` +
        `{ from, to }, got "${date}"`
      ),
      `except: "dates[2]" must be { from, to } with "to" not before "from", ` +
      `got { "from": "2026-01-02", "to": "2026-01-01" }`,
      `except: "ranges[0]" must be { from, to } with "to" after "from", ` +
      `got { "from": "2026-01-02T00:00:00.000Z", "to": "2026-01-02T00:00:00.000Z" }`
    ]
  ]
  for (const [calendar, ...problems] of rows) {
    it(`makes a calendar without slots: ${problems[0]}`, () => {
      assert.deepStrictEqual(Calendar.problems(calendar), problems)
      assert.isNull(nextSlot(calendar, 0))
      assert.isNull(lastSlot(calendar, 0, millis("2026-01-01")))
    })
  }

  it("makes a calendar with one problem for more than 10,000 instants", () => {
    const [problem, ...others] = Calendar.problems(
      Calendar.at(...Array.from({ length: 10_001 }, (_, index) => new Date(index)))
    )
    assert.match(problem ?? "", /^at: "instants" must be an array with 1 to 10000 items.*\(10001 items\)$/)
    assert.deepStrictEqual(others, [])
  })
})

describe("a calendar that no constructor made", () => {
  const hourly = Calendar.every("1 hour")
  const daily = Calendar.daily({ at: "09:30" })
  const except = Calendar.except(hourly, { dates: ["2026-01-01"] })
  const rows: ReadonlyArray<readonly [calendar: unknown, problem: string]> = [
    ...[null, undefined, 5, "Every", [], {}, { _tag: "constructor" }, { _tag: null }].map((value) =>
      [value, `"calendar" must be a calendar made by Calendar.daily or another constructor`] as const
    ),
    [{ _tag: "Every" }, `"calendar.millis" must be an integer from 1000`],
    [{ _tag: "Wall" }, `"calendar.seconds" must be an array`],
    [{ ...daily, seconds: null }, `"calendar.seconds" must be an array`],
    [{ ...daily, days: undefined }, `"calendar.days" must be an array`],
    [{ _tag: "At" }, `"calendar.instants" must be an array`],
    [{ _tag: "At", instants: [null] }, `"calendar.instants[0]" must be an integer`],
    [{ _tag: "Join" }, `"calendar.calendars" must be an array`],
    [{ _tag: "Join", calendars: "ab" }, `"calendar.calendars" must be an array with at least 1 item, each a calendar`],
    [{ _tag: "Join", calendars: [hourly, null] }, `"calendar.calendars[1]" must be a calendar`],
    [{ _tag: "Join", calendars: [{ _tag: "Join" }] }, `"calendar.calendars[0].calendars" must be an array`],
    [{ _tag: "Except" }, `"calendar.dates" must be an array`],
    [{ ...except, calendar: undefined }, `"calendar.calendar" must be a calendar`],
    [{ ...except, dates: [null] }, `"calendar.dates[0]" must be an object { from, to }, got null`],
    [
      { ...except, dates: [{ from: "2026-01-01", to: "2026-01-01", why: "x" }] },
      `"calendar.dates[0].why" is not an option`
    ],
    [{ ...except, ranges: [null] }, `"calendar.ranges[0]" must be an object { from, to }, got null`],
    [{ ...except, ranges: [{}] }, `"calendar.ranges[0].from" must be an integer`],
    [{ ...hourly, extra: 1 }, `"calendar.extra" is not an option`],
    [{ _tag: "Invalid" }, `"calendar.problems" must be an array`],
    [{ _tag: "Invalid", problems: [] }, `"calendar.problems" must be an array with at least 1 item`],
    [{ _tag: "Invalid", problems: [5] }, `"calendar.problems[0]" must be a string, got 5`]
  ]
  it.each(rows.map(([calendar, problem]) => ({ calendar, problem })))(
    "has problems and no slots, and throws nothing: $calendar",
    ({ calendar, problem }) => {
      const given: Calendar.Calendar = unsafeCoerce(calendar)
      assert.include(Calendar.problems(given).join("\n"), problem)
      const range = { after: new Date(0), until: new Date(1e12) }
      assert.isTrue(Option.isNone(Calendar.next(given, new Date(0))))
      assert.isTrue(Option.isNone(Calendar.last(given, range)))
      assert.isNotEmpty(Calendar.problems(Calendar.join(hourly, given)))
      assert.isNotEmpty(Calendar.problems(Calendar.except(given, { dates: ["2026-01-01"] })))
    }
  )

  it("has a problem if it contains itself", () => {
    const calendars: Array<Calendar.Calendar> = [hourly]
    const cyclic: Calendar.Calendar = { _tag: "Join", calendars }
    calendars.push(cyclic)
    assert.include(Calendar.problems(cyclic).join(), "nested more than 50 deep")
    assert.isTrue(Option.isNone(Calendar.next(cyclic, new Date(0))))
    assert.isNotEmpty(Calendar.problems(Calendar.except(cyclic, { dates: ["2026-01-01"] })))
  })
})
