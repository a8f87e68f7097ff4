import { assert, describe, it } from "@effect/vitest"
import * as Calendar from "perdure/Calendar"
import { fires } from "./fixtures/calendarTable.js"

const Berlin = { zone: "Europe/Berlin" }

describe("an exclusion", () => {
  const daily = Calendar.daily({ at: "00:30", ...Berlin })
  fires([
    [
      "except on dates of the zone of the calendar",
      Calendar.except(daily, { dates: ["2026-05-02"] }),
      "2026-05-01",
      "2026-05-04",
      [
        "2026-05-02T22:30Z",
        "2026-05-03T22:30Z"
      ]
    ],
    [
      "except on dates of another zone",
      Calendar.except(daily, { dates: ["2026-05-02"], zone: "UTC" }),
      "2026-05-01",
      "2026-05-04",
      ["2026-05-01T22:30Z", "2026-05-03T22:30Z"]
    ],
    [
      "except on date ranges, both ends included, that touch or overlap",
      Calendar.except(daily, {
        dates: [{ from: "2026-12-24", to: "2027-01-01" }, "2027-01-02", { from: "2026-12-20", to: "2026-12-25" }]
      }),
      "2026-12-18T12:00:00Z",
      "2027-01-04T12:00:00Z",
      ["2026-12-18T23:30Z", "2027-01-02T23:30Z", "2027-01-03T23:30Z"]
    ],
    [
      "except for years of slots at each second",
      Calendar.except(Calendar.every("1 second"), {
        dates: [{ from: "1990-01-01", to: "2029-12-31" }],
        zone: "Europe/Berlin"
      }),
      "1989-12-31T22:59:58Z",
      "2029-12-31T23:00:02Z",
      ["1989-12-31T22:59:58Z", "1989-12-31T22:59:59Z", "2029-12-31T23:00Z", "2029-12-31T23:00:01Z"]
    ],
    [
      "except on a date that clocks show again after they were set back to before its start",
      // On 2010-11-07 at 00:01 clocks in St. John's were set back to 23:01 of the day before.
      Calendar.except(Calendar.every("20 minutes"), { dates: ["2010-11-07"], zone: "America/St_Johns" }),
      "2010-11-07T01:40:00Z",
      "2010-11-07T04:00:00Z",
      [
        "2010-11-07T01:40Z",
        "2010-11-07T02:00Z",
        "2010-11-07T02:20Z",
        "2010-11-07T02:40Z",
        "2010-11-07T03:00Z",
        "2010-11-07T03:20Z"
      ]
    ],
    [
      "except on both parts of a date, where clocks are set back over midnight",
      Calendar.except(Calendar.every("30 seconds"), { dates: ["2010-11-07"], zone: "America/St_Johns" }),
      "2010-11-07T02:29:00Z",
      "2010-11-07T02:31:30Z",
      ["2010-11-07T02:29Z", "2010-11-07T02:29:30Z", "2010-11-07T02:31Z"]
    ],
    [
      "except in ranges, without their ends",
      Calendar.except(Calendar.hourly(), {
        ranges: [
          { from: new Date("2026-01-01T02:00:00Z"), to: new Date("2026-01-01T04:00:00Z") },
          { from: new Date("2026-01-01T03:00:00Z"), to: new Date("2026-01-01T05:00:00.001Z") }
        ]
      }),
      "2026-01-01",
      "2026-01-01T08:00:00Z",
      ["2026-01-01", "2026-01-01T01:00Z", "2026-01-01T06:00Z", "2026-01-01T07:00Z"]
    ],
    [
      "a slot that a gap moved to another date, by the date of the slot",
      Calendar.except(Calendar.daily({ at: "12:00", zone: "Pacific/Apia" }), { dates: ["2011-12-30"] }),
      "2011-12-29T12:00:00Z",
      "2011-12-31T12:00:00Z",
      ["2011-12-29T22:00Z", "2011-12-30T10:00Z", "2011-12-30T22:00Z"]
    ],
    [
      "no slot that a gap moved to an excluded date",
      Calendar.except(Calendar.daily({ at: "12:00", zone: "Pacific/Apia" }), { dates: ["2011-12-31"] }),
      "2011-12-29T12:00:00Z",
      "2011-12-31T23:00:00Z",
      ["2011-12-29T22:00Z", "2011-12-31T22:00Z"]
    ],
    [
      "nothing, if all dates are excluded",
      Calendar.except(daily, { dates: [{ from: "1900-01-01", to: "9999-12-31" }] }),
      "1950-01-01",
      "2100-01-01",
      []
    ]
  ])

  it("by dates needs a zone if the calendar has clocks in several zones", () => {
    const both = Calendar.join(daily, Calendar.daily({ at: "00:30" }))
    assert.deepStrictEqual(Calendar.problems(Calendar.except(both, { dates: ["2026-01-01"] })), [
      `except: "zone" must be the zone of the dates, because the calendar has clocks in Europe/Berlin and UTC, got undefined`
    ])
    assert.deepStrictEqual(Calendar.problems(Calendar.except(both, { dates: ["2026-01-01"], zone: "UTC" })), [])
    assert.deepStrictEqual(Calendar.problems(Calendar.except(both, { ranges: [] })), [])
  })
})
