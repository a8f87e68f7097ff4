/** Turns of schedules: with jitter longer than the time between slots, without end of slots, and of some that are not active. */
import { assert, describe, it } from "@effect/vitest"
import * as Calendar from "perdure/Calendar"
import { initial } from "perdure/internal/schedules/rows"
import type { Settings, State } from "perdure/internal/schedules/settings"
import { Overlap, Status } from "perdure/internal/schedules/settings"
import { Slots } from "perdure/internal/schedules/slots"
import { turn, wakes } from "perdure/internal/schedules/turn"

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

describe("slots without number", () => {
  const settings: Settings = { ...settingsOf("queueAll"), catchUp: "none", jitter: 0, from: null, until: null }
  const slots = new Slots("s", settings)
  const look = { now: 10 * 86_400 * SECOND, busy: true, most: 10 }

  it("that are missed are counted up to a thousand, however many they are", () => {
    const { state } = turn("s", settings, { ...initial, slot: 0, skipped: 7 }, look)
    assert.strictEqual(state.skipped, 1_007)
    assert.deepStrictEqual(state.queue, [[look.now - 59 * SECOND, look.now]])
    assert.strictEqual(state.slot, look.now + SECOND)
  })

  it("that wait are one stretch, counted up to a thousand in all", () => {
    const all: Settings = { ...settings, catchUp: "all" }
    const { state } = turn("s", all, { ...initial, slot: 0 }, look)
    assert.deepStrictEqual(state.queue, [[0, look.now]])
    assert.strictEqual(slots.count(state.queue), 1_000)
    const stretch = (first: number): readonly [number, number] => [first * SECOND, (first + 599) * SECOND]
    assert.strictEqual(slots.count([stretch(0)]), 600)
    assert.strictEqual(slots.count([stretch(0), stretch(1_000)]), 1_000)
    assert.strictEqual(slots.count([stretch(0), stretch(1_000), stretch(2_000)]), 1_000)
  })

  it("of which some wait start again and again, as many as may at a time", () => {
    const allow: Settings = { ...settings, overlap: "allow", catchUp: "all" }
    const first = turn("s", allow, { ...initial, slot: 0 }, look)
    assert.deepStrictEqual(first.starts.map(({ slot }) => slot / SECOND), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    assert.deepStrictEqual([first.dueAt, first.waits], [look.now, false])
    const second = turn("s", allow, first.state, look)
    assert.strictEqual(second.starts[0]?.slot, 10 * SECOND)
    assert.deepStrictEqual(second.state.queue, [[20 * SECOND, look.now]])
  })
})

describe("a schedule that is not active", () => {
  const settings = settingsOf("queueAll")
  const slots = new Slots("s", settings)
  const waiting: State = { ...initial, slot: 5 * SECOND, queue: [[0, 4 * SECOND]] }
  const now = 100 * SECOND

  it("neither fires nor is due, whatever waits", () => {
    for (const status of Status.literals.filter((each) => each !== "active")) {
      for (const overlap of Overlap.literals) {
        const state: State = { ...waiting, status }
        assert.deepStrictEqual(
          wakes(slots, { ...settings, overlap }, state, false, now),
          { dueAt: Infinity, waits: false },
          `${status} ${overlap}`
        )
        const done = turn("s", { ...settings, overlap }, state, { now, busy: false, most: 10 })
        assert.deepStrictEqual([done.starts, done.state], [[], state], `${status} ${overlap}`)
      }
    }
  })

  it("starts what is asked for by hand, unless it is quarantined, and nothing else", () => {
    const state: State = { ...waiting, backlog: [{ slot: now, run: "run", serial: false }] }
    for (const status of ["paused", "ended"] as const) {
      assert.deepStrictEqual(wakes(slots, settings, { ...state, status }, true, now), { dueAt: now, waits: false })
      const done = turn("s", settings, { ...state, status }, { now, busy: true, most: 10 })
      assert.deepStrictEqual(done.starts.map(({ run }) => run), ["run"])
      assert.deepStrictEqual(done.state, { ...waiting, status })
    }
    const quarantined: State = { ...state, status: "quarantined" }
    assert.deepStrictEqual(turn("s", settings, quarantined, { now, busy: false, most: 10 }).starts, [])
    assert.deepStrictEqual(wakes(slots, settings, quarantined, false, now), { dueAt: Infinity, waits: false })
  })
})
