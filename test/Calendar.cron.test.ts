import { assert, describe, it } from "@effect/vitest"
import * as Cron from "effect/Cron"
import * as Either from "effect/Either"
import * as Calendar from "perdure/Calendar"
import { nextSlot } from "perdure/internal/calendar/slots"
import { fires, millis, short } from "./fixtures/calendarTable.js"

const Berlin = { zone: "Europe/Berlin" }

describe("a cron string", () => {
  fires([
    ["of five fields", Calendar.cron("30 9 * * 1-5", Berlin), "2026-01-02", "2026-01-06", [
      "2026-01-02T08:30Z",
      "2026-01-05T08:30Z"
    ]],
    ["of six fields, the seconds first", Calendar.cron("*/20 0 0 1 1 *"), "2026-01-01", "2027-01-01", [
      "2026-01-01",
      "2026-01-01T00:00:20Z",
      "2026-01-01T00:00:40Z"
    ]],
    ["with names in any case, and Sunday as 7", Calendar.cron(" 0 0 * FEB,Mar 5-7 "), "2026-02-20", "2026-03-02", [
      "2026-02-20",
      "2026-02-21",
      "2026-02-22",
      "2026-02-27",
      "2026-02-28",
      "2026-03-01"
    ]],
    ["with ranges of hours over midnight", Calendar.cron("0 22-2/2 * * *"), "2026-01-01", "2026-01-02", [
      "2026-01-01",
      "2026-01-01T02:00Z",
      "2026-01-01T22:00Z"
    ]],
    ["with ranges of days over the end of the week", Calendar.cron("0 0 * * sat-sun"), "2026-01-01", "2026-01-12", [
      "2026-01-03",
      "2026-01-04",
      "2026-01-10",
      "2026-01-11"
    ]],
    ["with a range that begins with 7", Calendar.cron("0 0 * * 7-1"), "2026-01-01", "2026-01-12", [
      "2026-01-04",
      "2026-01-05",
      "2026-01-11"
    ]],
    ["with ranges of months and days over the end", Calendar.cron("0 0 30-1 nov-jan *"), "2026-10-01", "2027-02-01", [
      "2026-11-01",
      "2026-11-30",
      "2026-12-01",
      "2026-12-30",
      "2026-12-31",
      "2027-01-01",
      "2027-01-30",
      "2027-01-31"
    ]],
    ["with both kinds of days: either", Calendar.cron("0 0 13 * fri"), "2026-02-06", "2026-03-14", [
      "2026-02-06",
      "2026-02-13",
      "2026-02-20",
      "2026-02-27",
      "2026-03-06",
      "2026-03-13"
    ]],
    [
      "with both kinds of days: both, by option",
      Calendar.cron("0 0 13 * 5", { match: "both" }),
      "2026-01-01",
      "2027-01-01",
      [
        "2026-02-13",
        "2026-03-13",
        "2026-11-13"
      ]
    ],
    [
      "with both kinds of days: both, if one starts with a star",
      Calendar.cron("0 0 */15 * 1"),
      "2026-01-01",
      "2026-08-30",
      [
        "2026-02-16",
        "2026-03-16",
        "2026-06-01"
      ]
    ],
    [
      "with both kinds of days: either, by option, even if one starts with a star",
      Calendar.cron("0 0 */15 * 1", { match: "either" }),
      "2026-01-01",
      "2026-01-18",
      ["2026-01-01", "2026-01-05", "2026-01-12", "2026-01-16"]
    ],
    ["@yearly", Calendar.cron("@yearly"), "2026-01-01", "2028-01-01", ["2026-01-01", "2027-01-01"]],
    ["@annually", Calendar.cron("@Annually"), "2026-01-01", "2028-01-01", ["2026-01-01", "2027-01-01"]],
    ["@monthly", Calendar.cron("@monthly"), "2026-01-02", "2026-03-02", ["2026-02-01", "2026-03-01"]],
    ["@weekly", Calendar.cron("@weekly"), "2026-01-01", "2026-01-12", ["2026-01-04", "2026-01-11"]],
    ["@daily", Calendar.cron("@daily", Berlin), "2026-01-01", "2026-01-02", ["2026-01-01T23:00Z"]],
    ["@midnight", Calendar.cron("@midnight"), "2026-01-01", "2026-01-03", ["2026-01-01", "2026-01-02"]],
    ["@hourly", Calendar.cron("@hourly"), "2026-01-01", "2026-01-01T02:00:00Z", ["2026-01-01", "2026-01-01T01:00Z"]]
  ])

  it("has the same slots as in Effect's Cron", () => {
    const expressions = [
      "*/7 */5 * * *",
      "0 0 */2 * 1",
      "5 4 1-7 * */2",
      "0 12 29 2 *",
      "30 1,13 * jun-aug mon,wed",
      "0 0 1 * 0"
    ]
    for (const expression of expressions) {
      const cron = Either.getOrThrow(Cron.parse(expression, "UTC"))
      const sequence = Cron.sequence(cron, new Date("2026-01-15T12:34:56Z"))
      const calendar = Calendar.cron(expression)
      let after = millis("2026-01-15T12:34:56Z")
      for (let each = 0; each < 200; each++) {
        const next = nextSlot(calendar, after)
        assert.strictEqual(next, sequence.next().value?.getTime(), `${expression} after ${short(after)}`)
        after = next ?? NaN
      }
    }
  })
})
