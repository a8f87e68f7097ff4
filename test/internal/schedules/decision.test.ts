/**
 * Decisions about schedules: jitter longer than the time between slots, endless slots, and schedules that are not
 * active.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Calendar from "perdure/Calendar"
import { decide, wakeUp } from "perdure/internal/schedules/decision"
import type { Settings, State } from "perdure/internal/schedules/model"
import { initialState, Overlap, Status } from "perdure/internal/schedules/model"
import { Slots } from "perdure/internal/schedules/Slots"

const SECOND_MILLIS = 1_000
const SLOT_COUNT = 300

const settingsOf = (overlap: Overlap): Settings => ({
  workflow: "Job",
  version: "1",
  payload: null,
  calendar: Calendar.every("1 second"),
  overlap,
  catchUp: "all",
  jitter: 60 * SECOND_MILLIS,
  startsAt: 0,
  endsAt: SLOT_COUNT * SECOND_MILLIS,
  maxRuns: null,
  run: { queue: null, priority: null, expiresIn: null, tags: [], attributes: {} }
})

const scheduleOf = (settings: Settings, state: Partial<State> = {}) => ({
  name: "s",
  settings,
  state: { ...initialState, ...state }
})

describe("slots whose jitter changes their order", () => {
  for (const overlap of Overlap.literals) {
    it(`fire in the order of the slots, each counted once: ${overlap}`, () => {
      const settings = settingsOf(overlap)
      const fired: Array<number> = []
      let { state } = scheduleOf(settings, { nextSlot: new Slots(scheduleOf(settings)).after(-1) })
      let decisions = 0
      for (let now = 0; now <= (SLOT_COUNT + 60) * SECOND_MILLIS; now += SECOND_MILLIS) {
        for (let isDue = true; isDue;) {
          const decision = decide(scheduleOf(settings, state), { now, busy: false, limit: 10 })
          state = decision.state
          fired.push(...decision.starts.map(({ slot }) => slot))
          isDue = decision.dueAt <= now || decision.waits
          assert.isBelow(++decisions, 2_000, "the schedule stays due for ever")
        }
      }
      assert.deepStrictEqual(fired, [...new Set(fired)].sort((a, b) => a - b))
      assert.deepStrictEqual([state.status, state.nextSlot, state.started], ["ended", null, fired.length])
      assert.strictEqual(state.started + state.skipped, SLOT_COUNT)
    })
  }
})

describe("a schedule with endless slots", () => {
  const settings: Settings = { ...settingsOf("queueAll"), catchUp: "none", jitter: 0, startsAt: null, endsAt: null }
  const slots = new Slots(scheduleOf(settings))
  const situation = { now: 10 * 86_400 * SECOND_MILLIS, busy: true, limit: 10 }

  it("counts at most 1,000 missed slots at a time", () => {
    const { state } = decide(scheduleOf(settings, { nextSlot: 0, skipped: 7 }), situation)
    assert.strictEqual(state.skipped, 1_007)
    assert.deepStrictEqual(state.waiting, [[situation.now - 59 * SECOND_MILLIS, situation.now]])
    assert.strictEqual(state.nextSlot, situation.now + SECOND_MILLIS)
  })

  it("stores waiting slots as one stretch and counts at most 1,000 of them", () => {
    const { state } = decide(scheduleOf({ ...settings, catchUp: "all" }, { nextSlot: 0 }), situation)
    assert.deepStrictEqual(state.waiting, [[0, situation.now]])
    assert.strictEqual(slots.count(state.waiting), 1_000)
    const stretch = (first: number): readonly [number, number] => [first * SECOND_MILLIS, (first + 599) * SECOND_MILLIS]
    assert.strictEqual(slots.count([stretch(0)]), 600)
    assert.strictEqual(slots.count([stretch(0), stretch(1_000)]), 1_000)
    assert.strictEqual(slots.count([stretch(0), stretch(1_000), stretch(2_000)]), 1_000)
  })

  it("starts waiting slots in portions of the limit under allow", () => {
    const allow: Settings = { ...settings, overlap: "allow", catchUp: "all" }
    const first = decide(scheduleOf(allow, { nextSlot: 0 }), situation)
    assert.deepStrictEqual(first.starts.map(({ slot }) => slot / SECOND_MILLIS), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    assert.deepStrictEqual([first.dueAt, first.waits], [situation.now, false])
    const second = decide(scheduleOf(allow, first.state), situation)
    assert.strictEqual(second.starts[0]?.slot, 10 * SECOND_MILLIS)
    assert.deepStrictEqual(second.state.waiting, [[20 * SECOND_MILLIS, situation.now]])
  })
})

describe("a schedule that is not active", () => {
  const settings = settingsOf("queueAll")
  const waiting: State = { ...initialState, nextSlot: 5 * SECOND_MILLIS, waiting: [[0, 4 * SECOND_MILLIS]] }
  const now = 100 * SECOND_MILLIS

  it("starts no slot and is not due, even if slots wait", () => {
    for (const status of Status.literals.filter((each) => each !== "active")) {
      for (const overlap of Overlap.literals) {
        const schedule = scheduleOf({ ...settings, overlap }, { ...waiting, status })
        const title = `${status} ${overlap}`
        assert.deepStrictEqual(wakeUp(schedule, false, now), { dueAt: Infinity, waits: false }, title)
        const decision = decide(schedule, { now, busy: false, limit: 10 })
        assert.deepStrictEqual([decision.starts, decision.state], [[], schedule.state], title)
      }
    }
  })

  it("starts manual runs and nothing else, unless it is quarantined", () => {
    const state: State = { ...waiting, backlog: [{ slot: now, run: "run", serial: false }] }
    for (const status of ["paused", "ended"] as const) {
      const schedule = scheduleOf(settings, { ...state, status })
      assert.deepStrictEqual(wakeUp(schedule, true, now), { dueAt: now, waits: false })
      const decision = decide(schedule, { now, busy: true, limit: 10 })
      assert.deepStrictEqual(decision.starts.map(({ run }) => run), ["run"])
      assert.deepStrictEqual(decision.state, { ...waiting, status })
    }
    const quarantined = scheduleOf(settings, { ...state, status: "quarantined" })
    assert.deepStrictEqual(decide(quarantined, { now, busy: false, limit: 10 }).starts, [])
    assert.deepStrictEqual(wakeUp(quarantined, false, now), { dueAt: Infinity, waits: false })
  })
})
