/** Zones by names that look like offsets, and all problems of a cron calendar at once. */
import { assert, describe, it } from "@effect/vitest"
import * as Calendar from "perdure/Calendar"
import { slots } from "./fixtures/calendarTable.js"

describe("a zone", () => {
  for (const zone of ["GMT", "GMT0", "GMT+0", "GMT-0", "Etc/GMT+5", "Zulu"]) {
    it(`${zone} is accepted`, () => {
      const calendar = Calendar.daily({ at: "09:00", zone })
      assert.deepStrictEqual(Calendar.problems(calendar), [])
      assert.strictEqual(slots(calendar, "2026-01-01", "2026-01-02").length, 1)
    })
  }

  it("that is wrong is reported beside a wrong cron string", () => {
    const problems = Calendar.problems(Calendar.cron("0 25 * * *", { zone: "Nowhere" }))
    assert.match(problems.join("\n"), /"expression" must be .*\n.*"zone" must be a time zone/)
  })
})
