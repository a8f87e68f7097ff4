/** The stored JSON of schedules. */
import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as Calendar from "perdure/Calendar"
import type { Settings, State } from "perdure/internal/schedules/model"
import {
  decodeSettings,
  decodeState,
  encodeSettings,
  encodeState,
  initialState
} from "perdure/internal/schedules/model"

const settings: Settings = {
  workflow: "Job",
  version: "1",
  payload: "{\"slot\":\"x\"}",
  calendar: Calendar.every("1 hour"),
  overlap: "queueAll",
  catchUp: { within: 60_000 },
  jitter: 5,
  startsAt: 1,
  endsAt: 2,
  maxRuns: 3,
  run: { queue: "q", priority: 4, expiresIn: 6, tags: ["t"], attributes: { a: 1 } }
}

const state: State = {
  status: "paused",
  nextSlot: 1,
  waiting: [[2, 3]],
  cancelled: true,
  started: 4,
  skipped: 5,
  last: { slot: 6, run: "r", at: 7 },
  detail: { reason: "why", by: "ann", at: 8 },
  backlog: [{ slot: 9, run: null, serial: true }]
}

/** As version 0.1.0 wrote them. */
const storedSettings =
  "{\"workflow\":\"Job\",\"version\":\"1\",\"payload\":\"{\\\"slot\\\":\\\"x\\\"}\",\"calendar\":{\"_tag\":\"Every\"," +
  "\"millis\":3600000,\"anchor\":0},\"overlap\":\"queueAll\",\"catchUp\":{\"within\":60000},\"jitter\":5,\"from\":1,\"until\":2," +
  "\"maxRuns\":3,\"run\":{\"queue\":\"q\",\"priority\":4,\"expiresIn\":6,\"tags\":[\"t\"],\"attributes\":{\"a\":1}}}"

const storedState =
  "{\"status\":\"paused\",\"slot\":1,\"queue\":[[2,3]],\"cancelled\":true,\"started\":4,\"skipped\":5," +
  "\"last\":{\"slot\":6,\"run\":\"r\",\"at\":7},\"note\":{\"text\":\"why\",\"by\":\"ann\",\"at\":8}," +
  "\"backlog\":[{\"slot\":9,\"run\":null,\"serial\":true}]}"

describe("a stored schedule", () => {
  it("has the JSON of version 0.1.0", () => {
    assert.strictEqual(encodeSettings(settings), storedSettings)
    assert.strictEqual(encodeState(state), storedState)
  })

  it("is read back as it was", () => {
    assert.deepStrictEqual(decodeSettings(storedSettings), Either.right(settings))
    assert.deepStrictEqual(decodeState(storedState), Either.right(state))
    assert.deepStrictEqual(decodeState(encodeState(initialState)), Either.right(initialState))
  })

  it("with an unknown field cannot be read", () => {
    const text = storedState.replace("\"status\"", "\"other\":1,\"status\"")
    assert.match(
      Either.match(decodeState(text), { onLeft: (problem) => problem, onRight: () => "" }),
      /^its state cannot be read: /
    )
  })
})
