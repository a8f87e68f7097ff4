import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Calendar from "perdure/Calendar"
import { lastSlot, nextSlot } from "perdure/internal/calendar/slots"
import { fires, millis, slots } from "./fixtures/calendarTable.js"

const Berlin = { zone: "Europe/Berlin" }

describe("a calendar", () => {
  fires([
    ["at an interval, from 1970", Calendar.every("8 hours"), "2026-03-29", "2026-03-30", [
      "2026-03-29",
      "2026-03-29T08:00Z",
      "2026-03-29T16:00Z"
    ]],
    [
      "at an interval, before and after its anchor",
      Calendar.every("36 hours", { anchor: new Date("2026-01-03T12:00:00Z") }),
      "2026-01-01",
      "2026-01-06",
      ["2026-01-02", "2026-01-03T12:00Z", "2026-01-05"]
    ],
    [
      "at an interval, before 1970 and with an anchor between seconds",
      Calendar.every("1 minute", { anchor: DateTime.unsafeMake(-1) }),
      "1969-12-31T23:57:00Z",
      "1969-12-31T23:59:00Z",
      ["1969-12-31T23:57:59.999Z", "1969-12-31T23:58:59.999Z"]
    ],
    ["each hour", Calendar.hourly(), "2026-01-01T10:00:00Z", "2026-01-01T12:00:00Z", [
      "2026-01-01T10:00Z",
      "2026-01-01T11:00Z"
    ]],
    [
      "each hour at minutes, in a zone that is not whole hours from UTC",
      Calendar.hourly({ minute: [50, 5], zone: "Asia/Kathmandu" }),
      "2026-01-01T10:00:00Z",
      "2026-01-01T11:10:00Z",
      ["2026-01-01T10:05Z", "2026-01-01T10:20Z", "2026-01-01T11:05Z"]
    ],
    ["each day", Calendar.daily({ at: "09:30", ...Berlin }), "2026-06-01", "2026-06-03", [
      "2026-06-01T07:30Z",
      "2026-06-02T07:30Z"
    ]],
    [
      "each day at several times",
      Calendar.daily({ at: ["23:59:59", "09:30", "17:30"], zone: "+02:00" }),
      "2026-06-01",
      "2026-06-02",
      ["2026-06-01T07:30Z", "2026-06-01T15:30Z", "2026-06-01T21:59:59Z"]
    ],
    [
      "on days of the week",
      Calendar.weekly({ on: ["sunday", "friday"], at: "00:00", zone: "Asia/Tokyo" }),
      "2026-01-01",
      "2026-01-11",
      ["2026-01-01T15:00Z", "2026-01-03T15:00Z", "2026-01-08T15:00Z", "2026-01-10T15:00Z"]
    ],
    ["on a day that some months do not have", Calendar.monthly({ on: 31, at: "12:00" }), "2026-01-01", "2026-06-01", [
      "2026-01-31T12:00Z",
      "2026-03-31T12:00Z",
      "2026-05-31T12:00Z"
    ]],
    [
      "on the last day of the month, which can match twice",
      Calendar.monthly({ on: ["last", 28], at: "00:00" }),
      "2027-12-31",
      "2028-03-31",
      ["2027-12-31", "2028-01-28", "2028-01-31", "2028-02-28", "2028-02-29", "2028-03-28"]
    ],
    ["on leap days", Calendar.fields({ months: 2, daysOfMonth: 29 }), "1896-01-01", "2009-01-01", [
      ...Array.from({ length: 27 }, (_, index) => `${1904 + index * 4}-02-29`)
    ]],
    [
      "on leap days that are a Monday, with a gap of 40 years",
      Calendar.fields({ months: 2, daysOfMonth: 29, daysOfWeek: "monday", match: "both" }),
      "2040-01-01",
      "2141-01-01",
      ["2044-02-29", "2072-02-29", "2112-02-29", "2140-02-29"]
    ],
    [
      "on either of the two kinds of days",
      Calendar.fields({ hours: 6, daysOfMonth: [1, 13], daysOfWeek: "friday", match: "either" }),
      "2026-02-01",
      "2026-02-21",
      ["2026-02-01T06:00Z", "2026-02-06T06:00Z", "2026-02-13T06:00Z", "2026-02-20T06:00Z"]
    ],
    [
      "on days that match both kinds",
      Calendar.fields({ hours: 6, daysOfMonth: [1, 13], daysOfWeek: ["friday", "sunday"], match: "both" }),
      "2026-02-01",
      "2026-03-31",
      ["2026-02-01T06:00Z", "2026-02-13T06:00Z", "2026-03-01T06:00Z", "2026-03-13T06:00Z"]
    ],
    ["by fields, finer fields at their first value", Calendar.fields({ months: [4, 10] }), "2026-01-01", "2027-01-01", [
      "2026-04-01",
      "2026-10-01"
    ]],
    ["by fields, days of the week", Calendar.fields({ daysOfWeek: "monday" }), "2026-01-01", "2026-01-13", [
      "2026-01-05",
      "2026-01-12"
    ]],
    [
      "by fields, coarser fields at each value",
      Calendar.fields({ seconds: [15, 45] }),
      "2026-01-01T23:59:00Z",
      "2026-01-02T00:00:30Z",
      ["2026-01-01T23:59:15Z", "2026-01-01T23:59:45Z", "2026-01-02T00:00:15Z"]
    ],
    [
      "by fields, with `any`",
      Calendar.fields({ hours: 9, minutes: "any", months: "any" }),
      "2026-01-01T09:58:00Z",
      "2026-01-02T09:01:00Z",
      ["2026-01-01T09:58Z", "2026-01-01T09:59Z", "2026-01-02T09:00Z"]
    ],
    [
      "at instants, each once and in order",
      Calendar.at(
        DateTime.unsafeMake("2026-02-01T00:00:00Z"),
        new Date("2026-01-01T00:00:00.5Z"),
        new Date("2026-02-01T00:00:00Z")
      ),
      "2026-01-01",
      "2027-01-01",
      ["2026-01-01T00:00:00.500Z", "2026-02-01"]
    ],
    [
      "as several calendars, a common instant once",
      Calendar.join(
        Calendar.daily({ at: "12:00" }),
        Calendar.every("12 hours"),
        Calendar.at(new Date("2026-01-01T13:00Z"))
      ),
      "2026-01-01",
      "2026-01-02T12:01:00Z",
      ["2026-01-01", "2026-01-01T12:00Z", "2026-01-01T13:00Z", "2026-01-02", "2026-01-02T12:00Z"]
    ]
  ])
})

describe("the stored form", () => {
  const encode = Schema.encodeSync(Schema.parseJson(Calendar.schema))
  const decode = Schema.decodeUnknownEither(Schema.parseJson(Calendar.schema))
  const calendar = Calendar.except(
    Calendar.join(
      Calendar.cron("0 9 13 * 5", { zone: DateTime.zoneUnsafeMakeNamed("Europe/Berlin"), repeated: "both" }),
      Calendar.every("1 day", { anchor: new Date("2026-01-01T00:00:00Z") }),
      Calendar.at(new Date("2026-01-01T00:00:00.5Z"))
    ),
    {
      dates: ["2026-12-24"],
      ranges: [{ from: new Date(0), to: new Date(1) }],
      zone: DateTime.zoneMakeOffset(-5_400_000)
    }
  )

  it("decodes to the encoded calendar", () => assert.deepStrictEqual(decode(encode(calendar)), Either.right(calendar)))

  it("has this JSON, which must not change", () =>
    assert.deepStrictEqual(JSON.parse(encode(calendar)), {
      _tag: "Except",
      calendar: {
        _tag: "Join",
        calendars: [
          {
            _tag: "Wall",
            zone: "Europe/Berlin",
            seconds: [0],
            minutes: [0],
            hours: [9],
            days: [13],
            months: null,
            weekdays: [5],
            match: "either",
            repeated: "both"
          },
          { _tag: "Every", millis: 86_400_000, anchor: 1_767_225_600_000 },
          { _tag: "At", instants: [1_767_225_600_500] }
        ]
      },
      zone: "-01:30",
      dates: [{ from: "2026-12-24", to: "2026-12-24" }],
      ranges: [{ from: 0, to: 1 }]
    }))

  it("is the same text for equal calendars", () => {
    assert.strictEqual(
      encode(Calendar.fields({ hours: [17, 9, 17], daysOfWeek: ["friday", "monday"] })),
      encode(Calendar.cron("0 9,17 * * 1,5"))
    )
    assert.strictEqual(encode(Calendar.cron("@daily", { match: "either" })), encode(Calendar.daily({ at: "00:00" })))
  })

  it("refuses other values", () => {
    assert.throws(() => encode(Calendar.cron("nonsense")), /invalid calendar: cron: "expression"/)
    assert.throws(() => encode(Calendar.join(Calendar.cron("nonsense"))), /invalid calendar/)
    for (
      const text of [
        `{"_tag":"Every","millis":1000}`,
        `{"_tag":"Every","millis":1000,"anchor":0,"more":1}`,
        `{"_tag":"At","instants":["2026-01-01"]}`,
        `{"_tag":"Invalid","problems":[]}`,
        `{"_tag":"Never"}`,
        "null"
      ]
    ) assert.isTrue(Either.isLeft(decode(text)), text)
  })

  it("can decode to a calendar with problems on this platform, which has no slots", () => {
    const gone = Either.getOrThrow(decode(encode(Calendar.daily({ at: "09:00" })).replace("UTC", "Europe/Atlantis")))
    assert.lengthOf(Calendar.problems(gone), 1)
    assert.isNull(nextSlot(gone, 0))
    const odd = Either.getOrThrow(decode(encode(Calendar.daily({ at: "09:00" })).replace("[9]", "[17,9]")))
    assert.deepStrictEqual(slots(odd, "2026-01-01", "2026-01-02"), ["2026-01-01T09:00Z", "2026-01-01T17:00Z"])
  })
})

describe("a query of a calendar", () => {
  const noon = Calendar.daily({ at: "12:00" })
  const at = (iso: string) => DateTime.unsafeMake(iso)
  const read = (found: Option.Option<DateTime.Utc>) => Option.getOrNull(Option.map(found, DateTime.formatIso))

  it("for the next slot excludes the instant", () => {
    assert.strictEqual(read(Calendar.next(noon, at("2026-01-01T12:00:00Z"))), "2026-01-02T12:00:00.000Z")
    assert.strictEqual(read(Calendar.next(at("2026-01-01T11:59:59.999Z"))(noon)), "2026-01-01T12:00:00.000Z")
    assert.isNull(read(Calendar.next(Calendar.at(new Date(1)), new Date(1))))
  })

  it("for the last slot includes the end of the range and excludes its start", () => {
    const last = (after: string, until: string) => read(Calendar.last(noon, { after: at(after), until: at(until) }))
    assert.strictEqual(last("2026-01-01T12:00:00Z", "2026-01-02T12:00:00Z"), "2026-01-02T12:00:00.000Z")
    assert.isNull(last("2026-01-01T12:00:00Z", "2026-01-02T11:59:59.999Z"))
    assert.isNull(last("2026-01-02T12:00:00Z", "2026-01-01T12:00:00Z"))
    assert.isNull(read(Calendar.last({ after: at("2026-01-01T12:00:00Z"), until: at("2026-01-01T13:00:00Z") })(noon)))
  })

  it("for slots includes the start of the range and excludes its end", () => {
    const range = { from: at("2026-01-01T12:00:00Z"), to: at("2026-01-04T12:00:00Z") }
    const found = (limit: number) => Calendar.slots(noon, { ...range, limit }).map(DateTime.formatIsoDateUtc)
    assert.deepStrictEqual(found(10), ["2026-01-01", "2026-01-02", "2026-01-03"])
    assert.deepStrictEqual(found(2), ["2026-01-01", "2026-01-02"])
    assert.deepStrictEqual(found(0), [])
    assert.lengthOf(Calendar.slots({ ...range, limit: 1 })(noon), 1)
  })

  it("beyond the last date, or for an invalid date, finds nothing", () => {
    for (const calendar of [noon, Calendar.every("1 day"), Calendar.except(noon, { dates: ["2026-01-01"] })]) {
      for (const after of [Infinity, 8.64e15, NaN]) assert.isNull(nextSlot(calendar, after))
      for (const to of [-Infinity, NaN]) assert.isNull(lastSlot(calendar, -Infinity, to))
      assert.isNumber(nextSlot(calendar, -Infinity))
      assert.isNumber(lastSlot(calendar, -Infinity, Infinity))
    }
  })

  it("takes the same time for years of slots as for one", () => {
    const counted = Calendar.every("1 second")
    const sparse = Calendar.fields({
      months: 2,
      daysOfMonth: 29,
      daysOfWeek: "monday",
      match: "both",
      zone: "Asia/Gaza"
    })
    const nightly = Calendar.daily({ at: "02:30", zone: "Europe/Berlin", repeated: "both" })
    const startedAt = performance.now()
    for (let each = 0; each < 2_000; each++) {
      const to = millis("2035-06-01") + each
      assert.isNumber(lastSlot(counted, 0, to))
      assert.isNumber(lastSlot(sparse, 0, to))
      assert.isNumber(lastSlot(nightly, 0, to))
    }
    let slot: number | null = millis("1995-01-01")
    for (let each = 0; each < 14_000; each++) slot = nextSlot(nightly, slot ?? NaN)
    assert.isAbove(slot ?? 0, millis("2033-01-01"))
    // Some tenths of a second; a walk over all slots would take minutes.
    assert.isBelow(performance.now() - startedAt, 5_000)
  })
})
