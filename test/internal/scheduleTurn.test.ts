/** Turns of schedules whose jitter is longer than the time between their slots, so that later slots may be due earlier. */
import { assert, describe, it } from "@effect/vitest"
import * as Calendar from "perdure/Calendar"
import { initial } from "perdure/internal/schedules/rows"
import type { Settings, State } from "perdure/internal/schedules/settings"
import { Overlap } from "perdure/internal/schedules/settings"
import { Slots } from "perdure/internal/schedules/slots"
import { turn } from "perdure/internal/schedules/turn"

const SECOND = 1_000
const LASTS = 300

const settingsOf = (overlap: Overlap): Settings => ({
  workflow: "Job",
  version: "1",
  payload: null,
  calendar: Calendar.every("1 second"),
  overlap,
  catchUp: "all",
  jitter: 60 * SECOND,
  from: 0,
  until: LASTS * SECOND,
  maxRuns: null,
  run: { queue: null, priority: null, expiresIn: null, tags: [], attributes: {} }
})

describe("slots that are due in another order", () => {
  for (const overlap of Overlap.literals) {
    it(`are fired in order and counted once: ${overlap}`, () => {
      const settings = settingsOf(overlap)
      const slots = new Slots("s", settings)
      const fired: Array<number> = []
      let state: State = { ...initial, slot: slots.after(-1) }
      let looks = 0
      for (let now = 0; now <= (LASTS + 60) * SECOND; now += SECOND) {
        for (let isDue = true; isDue;) {
          const done = turn("s", settings, state, { now, busy: false, most: 10 })
          state = done.state
          fired.push(...done.starts.map(({ slot }) => slot))
          isDue = done.dueAt <= now || done.waits
          assert.isBelow(++looks, 2_000, "without end")
        }
      }
      assert.deepStrictEqual(fired, [...new Set(fired)].sort((a, b) => a - b))
      assert.deepStrictEqual([state.status, state.slot, state.started], ["ended", null, fired.length])
      assert.strictEqual(state.started + state.skipped, LASTS)
    })
  }
})
