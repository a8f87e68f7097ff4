import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import { unsafeCoerce } from "effect/Function"
import * as Option from "effect/Option"
import * as Calendar from "perdure/Calendar"
import { millis } from "./fixtures/calendarTable.js"

describe("what cannot be", () => {
  const rows: ReadonlyArray<readonly [calendar: Calendar.Calendar, ...problems: ReadonlyArray<string>]> = [
    [
      Calendar.every("10 millis"),
      "the interval is 10 ms, it must be a whole number of milliseconds and at least 1000"
    ],
    [
      Calendar.every("1500.5 millis"),
      "the interval is 1500.5 ms, it must be a whole number of milliseconds and at least 1000"
    ],
    [
      Calendar.every(Infinity),
      "the interval is Infinity ms, it must be a whole number of milliseconds and at least 1000"
    ],
    [Calendar.every(NaN), "every: the interval is NaN, it must be a duration such as \"1 hour\""],
    [
      Calendar.every("1 hour", { anchor: new Date(NaN) }),
      "every: anchor is Invalid Date, it must be an instant: give a DateTime or a Date"
    ],
    [Calendar.hourly({ minute: 60 }), "minute has 60, it must be an integer from 0 to 59"],
    [Calendar.hourly({ minute: [] }), "minute is an empty list: name at least one, or leave it out"],
    [
      Calendar.daily({ at: ["9:30", "25:61"] }),
      ...["9:30", "25:61"].map((time) =>
        `daily: at has "${time}", it must be a time of day from "00:00" to "23:59:59" such as "09:30" or "09:30:15"`
      )
    ],
    [Calendar.daily({ at: [] }), `daily: at is an empty list: give at least one time of day such as "09:30"`],
    [
      Calendar.daily({ at: "09:30", zone: "Mars/Olympus" }),
      `zone "Mars/Olympus" is not known here: give an IANA name such as "Europe/Berlin", or an offset such as "+02:00"`
    ],
    [
      Calendar.daily({ at: "09:30", zone: "+24:00" }),
      `zone "+24:00" is not known here: give an IANA name such as "Europe/Berlin", or an offset such as "+02:00"`
    ],
    [
      // @ts-expect-error: no day of the week
      Calendar.weekly({ on: "Monday", at: "24:00" }),
      `weekly: on has "Monday", it must be one of sunday, monday, tuesday, wednesday, thursday, friday, saturday`,
      `weekly: at has "24:00", it must be a time of day from "00:00" to "23:59:59" such as "09:30" or "09:30:15"`
    ],
    [Calendar.weekly({ on: [], at: "12:00" }), "day of the week is an empty list: name at least one, or leave it out"],
    [
      Calendar.monthly({ on: [0, 32], at: "12:00" }),
      `day of the month has 0, it must be an integer from 1 to 31, or "last" (which is stored as -1)`,
      `day of the month has 32, it must be an integer from 1 to 31, or "last" (which is stored as -1)`
    ],
    [
      // @ts-expect-error: a misspelled option
      Calendar.daily({ at: "09:30", timezone: "Europe/Berlin" }),
      `daily: "timezone" is no option, there are at, zone, repeated: leave it out, or mend its name`
    ],
    // @ts-expect-error: no options
    [Calendar.daily("09:30"), `daily: the options are "09:30", they must be an object`],
    // @ts-expect-error: no choice
    [Calendar.daily({ at: "09:30", repeated: "twice" }), `repeated is "twice", it must be "first" or "both"`],
    [Calendar.fields({}), "fields: no field is given: give at least one, such as { hours: 9 }"],
    [
      // @ts-expect-error: no match
      Calendar.fields({ daysOfMonth: 1, daysOfWeek: "monday" }),
      `fields: daysOfMonth and daysOfWeek are both given: say by match whether a day must be "either" or "both"`
    ],
    [
      // @ts-expect-error: nothing to match
      Calendar.fields({ daysOfMonth: 1, match: "both" }),
      `fields: match is "both", which says something only of daysOfMonth and daysOfWeek together: leave it out`
    ],
    [
      Calendar.fields({ daysOfMonth: [30, 31], months: 2, hours: 9 }),
      "no year has day 30, 31 in month 2, so it would never fire: mend the days or the months, or use \"last\" for the last " +
      "day of a month"
    ],
    [
      Calendar.cron("0 25 * * *"),
      `cron: "0 25 * * *" is no cron string: Expected a value between 0 and 23 (at "25")`
    ],
    [Calendar.cron("* *"), `cron: "* *" is no cron string: Invalid number of segments in cron expression (at "* *")`],
    [Calendar.cron("0 0 ? * 1"), `cron: "0 0 ? * 1" is no cron string: Expected a positive integer (at "?")`],
    [
      Calendar.cron("@reboot"),
      `cron: "@reboot" is no alias, there are @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly`
    ],
    [Calendar.cron("0 0 31 2,4,6 *"), ...Calendar.problems(Calendar.fields({ daysOfMonth: 31, months: [2, 4, 6] }))],
    [Calendar.at(), "no instant is given: give at least one"],
    [Calendar.at(new Date(NaN)), "at: Invalid Date is no instant: give a DateTime or a Date"],
    [Calendar.join(), "it joins no calendars: give at least one"],
    [
      Calendar.join(Calendar.cron("@daily"), Calendar.except(Calendar.hourly({ minute: -1 }), {}), Calendar.join()),
      "calendars[2]: it joins no calendars: give at least one",
      "calendars[1].calendar: minute has -1, it must be an integer from 0 to 59"
    ],
    [
      Calendar.join(...Array.from({ length: 1000 }, () => Calendar.hourly())),
      "it has more than 1000 parts: make it of fewer"
    ],
    [
      Calendar.at(...Array.from({ length: 10_001 }, (_, index) => new Date(index))),
      "at has 10001 entries, at most 10000 are taken"
    ],
    [
      Array.from({ length: 51 }).reduce((inner: Calendar.Calendar) => Calendar.join(inner), Calendar.hourly()),
      "it is nested more than 50 deep: join its parts side by side"
    ],
    [
      Calendar.except(Calendar.hourly(), {
        dates: ["2026-02-29", "26-1-1", { from: "2026-01-02", to: "2026-01-01" }],
        ranges: [{ from: new Date("2026-01-02T00:00:00Z"), to: DateTime.unsafeMake("2026-01-02T00:00:00Z") }]
      }),
      ...["2026-02-29", "26-1-1"].map((date) =>
        `dates has "${date}", it must be a date of the years 1900 to 9999 such as "2026-12-24"`
      ),
      `dates has one from "2026-01-02" to "2026-01-01", which is before it: swap them`,
      "ranges has one from 2026-01-02T00:00:00.000Z to 2026-01-02T00:00:00.000Z, it must end after it begins"
    ]
  ]
  for (const [calendar, ...problems] of rows) {
    it(`is told: ${problems[0]}`, () => {
      assert.deepStrictEqual(Calendar.problems(calendar), problems)
      assert.isNull(Calendar.nextMillis(calendar, 0))
      assert.isNull(Calendar.lastMillis(calendar, 0, millis("2026-01-01")))
    })
  }
})

describe("what no constructor has made", () => {
  const hourly = Calendar.every("1 hour")
  const daily = Calendar.daily({ at: "09:30" })
  const except = Calendar.except(hourly, { dates: ["2026-01-01"] })
  const rows: ReadonlyArray<readonly [calendar: unknown, problem: string]> = [
    ...[null, undefined, 5, "Every", [], {}, { _tag: "constructor" }, { _tag: null }].map((value) =>
      [value, "is no calendar"] as const
    ),
    [{ _tag: "Every" }, "the interval is"],
    [{ _tag: "Wall" }, "seconds is"],
    [{ ...daily, seconds: null }, "seconds is null, it must be a list"],
    [{ ...daily, days: undefined }, "day of the month is"],
    [{ _tag: "At" }, "instants is undefined, it must be a list"],
    [{ _tag: "At", instants: [null] }, "at has null"],
    [{ _tag: "Join" }, "calendars is undefined, it must be a list"],
    [{ _tag: "Join", calendars: "ab" }, "calendars is \"ab\", it must be a list"],
    [{ _tag: "Join", calendars: [hourly, null] }, "calendars[1]: null is no calendar"],
    [{ _tag: "Join", calendars: [{ _tag: "Join" }] }, "calendars[0]: calendars is"],
    [{ _tag: "Except" }, "dates is undefined, it must be a list"],
    [{ ...except, calendar: undefined }, "calendar: undefined is no calendar"],
    [{ ...except, dates: [null] }, "dates has null"],
    [{ ...except, dates: [{ from: "2026-01-01", to: "2026-01-01", why: "x" }] }, "it cannot be stored"],
    [{ ...except, ranges: [null] }, "ranges has null"],
    [{ ...except, ranges: [{}] }, "ranges has one from undefined"],
    [{ ...hourly, extra: 1 }, "\"extra\" is no field of it, there are millis, anchor"],
    [{ _tag: "Invalid" }, "problems is undefined"],
    [{ _tag: "Invalid", problems: [] }, "it cannot be stored"],
    [{ _tag: "Invalid", problems: [5] }, "5"]
  ]
  it.each(rows.map(([calendar, problem]) => ({ calendar, problem })))(
    "is told, has no slots, and does not throw: $calendar",
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

  it("is told if it holds itself", () => {
    const calendars: Array<Calendar.Calendar> = [hourly]
    const held: Calendar.Calendar = { _tag: "Join", calendars }
    calendars.push(held)
    assert.include(Calendar.problems(held).join(), "nested more than 50 deep")
    assert.isTrue(Option.isNone(Calendar.next(held, new Date(0))))
    assert.isNotEmpty(Calendar.problems(Calendar.except(held, { dates: ["2026-01-01"] })))
  })
})
