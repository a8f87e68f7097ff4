import { describe } from "@effect/vitest"
import * as Calendar from "perdure/Calendar"
import { fires, type Row } from "./fixtures/calendarTable.js"

const Berlin = { zone: "Europe/Berlin" }

describe("when clocks are set forward", () => {
  fires([
    ["a skipped time after the gap", Calendar.daily({ at: "02:30", ...Berlin }), "2026-03-28", "2026-03-31", [
      "2026-03-28T01:30Z",
      "2026-03-29T01:00Z",
      "2026-03-30T00:30Z"
    ]],
    [
      "all times of one gap, and the time at its end, as one slot",
      Calendar.daily({ at: ["02:00", "02:20:20", "02:59:59", "03:00", "03:30"], ...Berlin }),
      "2026-03-29",
      "2026-03-30",
      ["2026-03-29T01:00Z", "2026-03-29T01:30Z"]
    ],
    ["each hour without a pause", Calendar.hourly({ minute: 30, ...Berlin }), "2026-03-29", "2026-03-29T03:00:00Z", [
      "2026-03-29T00:30Z",
      "2026-03-29T01:00Z",
      "2026-03-29T01:30Z",
      "2026-03-29T02:30Z"
    ]],
    ["intervals as before", Calendar.every("30 minutes"), "2026-03-29T00:30:00Z", "2026-03-29T02:00:00Z", [
      "2026-03-29T00:30Z",
      "2026-03-29T01:00Z",
      "2026-03-29T01:30Z"
    ]],
    [
      "by half an hour, in Lord Howe",
      Calendar.daily({ at: ["02:15", "02:30"], zone: "Australia/Lord_Howe" }),
      "2026-10-03T12:00:00Z",
      "2026-10-04T16:00:00Z",
      ["2026-10-03T15:30Z", "2026-10-04T15:15Z", "2026-10-04T15:30Z"]
    ],
    [
      "after a day that is left out, in Apia",
      Calendar.daily({ at: "12:00", zone: "Pacific/Apia" }),
      "2011-12-28",
      "2012-01-01",
      [
        "2011-12-28T22:00Z",
        "2011-12-29T22:00Z",
        "2011-12-30T10:00Z",
        "2011-12-30T22:00Z",
        "2011-12-31T22:00Z"
      ]
    ],
    [
      "a weekly slot on a day that is left out, after the gap",
      Calendar.weekly({ on: "friday", at: "09:00", zone: "Pacific/Apia" }),
      "2011-12-20",
      "2012-01-07",
      ["2011-12-23T19:00Z", "2011-12-30T10:00Z", "2012-01-05T19:00Z"]
    ],
    [
      "after Ramadan, in Casablanca",
      Calendar.daily({ at: "02:30", zone: "Africa/Casablanca" }),
      "2026-03-21",
      "2026-03-24",
      [
        "2026-03-21T02:30Z",
        "2026-03-22T02:00Z",
        "2026-03-23T01:30Z"
      ]
    ],
    [
      "at midnight, in Tehran until 2022",
      Calendar.daily({ at: "00:30", zone: "Asia/Tehran" }),
      "2022-03-20",
      "2022-03-23",
      [
        "2022-03-20T21:00Z",
        "2022-03-21T20:30Z",
        "2022-03-22T20:00Z"
      ]
    ],
    [
      "without a gap since 2022, in Tehran",
      Calendar.daily({ at: "00:30", zone: "Asia/Tehran" }),
      "2023-03-20",
      "2023-03-23",
      [
        "2023-03-20T21:00Z",
        "2023-03-21T21:00Z",
        "2023-03-22T21:00Z"
      ]
    ],
    [
      "at midnight, in Sao Paulo",
      Calendar.daily({ at: "00:00", zone: "America/Sao_Paulo" }),
      "2018-11-03",
      "2018-11-06",
      [
        "2018-11-03T03:00Z",
        "2018-11-04T03:00Z",
        "2018-11-05T02:00Z"
      ]
    ],
    ["at midnight, in Cairo", Calendar.daily({ at: "00:45", zone: "Africa/Cairo" }), "2023-04-26", "2023-04-29", [
      "2023-04-26T22:45Z",
      "2023-04-27T22:00Z",
      "2023-04-28T21:45Z"
    ]],
    ["at midnight, in Beirut", Calendar.daily({ at: "00:15", zone: "Asia/Beirut" }), "2022-03-25", "2022-03-28", [
      "2022-03-25T22:15Z",
      "2022-03-26T22:00Z",
      "2022-03-27T21:15Z"
    ]],
    ["at midnight, in Havana", Calendar.daily({ at: "00:00", zone: "America/Havana" }), "2026-03-07", "2026-03-10", [
      "2026-03-07T05:00Z",
      "2026-03-08T05:00Z",
      "2026-03-09T04:00Z"
    ]],
    [
      "after the last gap, in Asuncion",
      Calendar.daily({ at: "00:30", zone: "America/Asuncion" }),
      "2024-10-05",
      "2024-10-08",
      [
        "2024-10-05T04:30Z",
        "2024-10-06T04:00Z",
        "2024-10-07T03:30Z"
      ]
    ]
  ])
})

describe("when clocks are set back", () => {
  fires([
    ["a time that clocks show twice once", Calendar.daily({ at: "02:30", ...Berlin }), "2026-10-24", "2026-10-27", [
      "2026-10-24T00:30Z",
      "2026-10-25T00:30Z",
      "2026-10-26T01:30Z"
    ]],
    [
      "a time that clocks show twice each time, by option",
      Calendar.daily({ at: "02:30", ...Berlin, repeated: "both" }),
      "2026-10-24",
      "2026-10-27",
      ["2026-10-24T00:30Z", "2026-10-25T00:30Z", "2026-10-25T01:30Z", "2026-10-26T01:30Z"]
    ],
    [
      "each hour with a pause, by option",
      Calendar.hourly({ ...Berlin, repeated: "first" }),
      "2026-10-24T23:00:00Z",
      "2026-10-25T04:00:00Z",
      ["2026-10-24T23:00Z", "2026-10-25", "2026-10-25T02:00Z", "2026-10-25T03:00Z"]
    ],
    [
      "each hour without a pause",
      Calendar.hourly(Berlin),
      "2026-10-24T23:00:00Z",
      "2026-10-25T04:00:00Z",
      ["2026-10-24T23:00Z", "2026-10-25", "2026-10-25T01:00Z", "2026-10-25T02:00Z", "2026-10-25T03:00Z"]
    ],
    ...[
      Calendar.cron("*/30 * * * *", Berlin),
      Calendar.cron("0,30 */1 * * *", Berlin),
      Calendar.fields({ minutes: [0, 30], ...Berlin }),
      Calendar.fields({ hours: "any", minutes: [0, 30], ...Berlin })
    ].map((calendar): Row => [
      "each half hour without a pause, by a wildcard",
      calendar,
      "2026-10-25T00:00:00Z",
      "2026-10-25T02:30:00Z",
      ["2026-10-25", "2026-10-25T00:30Z", "2026-10-25T01:00Z", "2026-10-25T01:30Z", "2026-10-25T02:00Z"]
    ]),
    ...[
      Calendar.cron("*/30 * * * *", { ...Berlin, repeated: "first" }),
      Calendar.cron("0,30 0-23 * * *", Berlin),
      Calendar.fields({ minutes: [0, 30], repeated: "first", ...Berlin })
    ].map((calendar): Row => [
      "each half hour with a pause, by option or by single times",
      calendar,
      "2026-10-25T00:00:00Z",
      "2026-10-25T02:30:00Z",
      ["2026-10-25", "2026-10-25T00:30Z", "2026-10-25T02:00Z"]
    ]),
    [
      "at the change itself, which shows a time again",
      Calendar.daily({ at: ["02:00", "03:00"], ...Berlin, repeated: "both" }),
      "2026-10-25",
      "2026-10-26",
      ["2026-10-25", "2026-10-25T01:00Z", "2026-10-25T02:00Z"]
    ],
    [
      "by half an hour, in Lord Howe",
      Calendar.daily({ at: ["01:30", "01:45", "02:00"], zone: "Australia/Lord_Howe" }),
      "2026-04-04T12:00:00Z",
      "2026-04-05T12:00:00Z",
      ["2026-04-04T14:30Z", "2026-04-04T14:45Z", "2026-04-04T15:30Z"]
    ],
    [
      "by half an hour, each time",
      Calendar.daily({ at: ["01:30", "01:45", "02:00"], zone: "Australia/Lord_Howe", repeated: "both" }),
      "2026-04-04T12:00:00Z",
      "2026-04-05T12:00:00Z",
      ["2026-04-04T14:30Z", "2026-04-04T14:45Z", "2026-04-04T15:00Z", "2026-04-04T15:15Z", "2026-04-04T15:30Z"]
    ],
    [
      "before Ramadan, in Casablanca",
      Calendar.daily({ at: "02:30", zone: "Africa/Casablanca" }),
      "2026-02-14",
      "2026-02-17",
      [
        "2026-02-14T01:30Z",
        "2026-02-15T01:30Z",
        "2026-02-16T02:30Z"
      ]
    ],
    ["over midnight, in Tehran", Calendar.daily({ at: "23:30", zone: "Asia/Tehran" }), "2022-09-20", "2022-09-23", [
      "2022-09-20T19:00Z",
      "2022-09-21T19:00Z",
      "2022-09-22T20:00Z"
    ]],
    [
      "over midnight, in Sao Paulo, the last day of the month",
      Calendar.join(
        Calendar.daily({ at: "23:15", zone: "America/Sao_Paulo" }),
        Calendar.monthly({ on: "last", at: "23:15", zone: "America/Sao_Paulo" })
      ),
      "2019-02-16",
      "2019-02-19",
      ["2019-02-16T01:15Z", "2019-02-17T01:15Z", "2019-02-18T02:15Z"]
    ],
    ["to midnight, in Havana", Calendar.daily({ at: "00:00", zone: "America/Havana" }), "2026-10-31", "2026-11-03", [
      "2026-10-31T04:00Z",
      "2026-11-01T04:00Z",
      "2026-11-02T05:00Z"
    ]],
    [
      "to midnight, each time",
      Calendar.daily({ at: "00:00", zone: "America/Havana", repeated: "both" }),
      "2026-10-31",
      "2026-11-03",
      ["2026-10-31T04:00Z", "2026-11-01T04:00Z", "2026-11-01T05:00Z", "2026-11-02T05:00Z"]
    ],
    [
      "over most of a day, in Kwajalein at its move across the date line",
      Calendar.daily({ at: "12:00", zone: "Pacific/Kwajalein" }),
      "1969-09-29",
      "1969-10-03",
      ["1969-09-29T01:00Z", "1969-09-30T01:00Z", "1969-10-02"]
    ],
    [
      "over most of a day, each time",
      Calendar.daily({ at: "12:00", zone: "Pacific/Kwajalein", repeated: "both" }),
      "1969-09-29",
      "1969-10-03",
      ["1969-09-29T01:00Z", "1969-09-30T01:00Z", "1969-10-01", "1969-10-02"]
    ]
  ])
})
