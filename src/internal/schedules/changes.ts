/**
 * What operations make of a schedule: new settings, a pause, a resumption. Pure functions of the schedule and the
 * time.
 */
import { GRACE_MILLIS, isOver } from "./decision.js"
import type { Schedule, Settings, State } from "./model.js"
import { encodeSettings } from "./model.js"
import { Slots } from "./Slots.js"

const withState = (schedule: Schedule, state: Partial<State>): Schedule => ({
  ...schedule,
  state: { ...schedule.state, ...state }
})

/** Skips the slots that wait. */
const skipWaiting = (schedule: Schedule): Schedule =>
  withState(schedule, {
    waiting: [],
    skipped: schedule.state.skipped + new Slots(schedule).count(schedule.state.waiting)
  })

/** The schedule is active, or ends if no slot is left. A paused one stays paused. */
const settle = (schedule: Schedule): Schedule =>
  schedule.state.status === "paused"
    ? schedule
    : isOver(schedule.settings, schedule.state)
    ? withState(skipWaiting(schedule), { status: "ended", detail: null, nextSlot: null })
    : withState(schedule, { status: "active", detail: null })

/** The schedule begins with its next slot. */
export const begin = (schedule: Schedule, now: number): Schedule =>
  settle(withState(schedule, { nextSlot: new Slots(schedule).after(now) }))

/** Whether both have the same slots, up to their ends. */
const haveSameSlots = (a: Settings, b: Settings): boolean =>
  encodeSettings({ ...b, calendar: a.calendar }) === encodeSettings(b) && a.startsAt === b.startsAt

/** With less jitter, slots can be overdue that were not. They are not missed: they wait. */
const withJitterOf = (after: Schedule, before: Schedule, now: number): Schedule => {
  const { nextSlot, waiting } = after.state
  const [old, slots] = [new Slots(before), new Slots(after)]
  const slot = nextSlot === null ? null : slots.after(nextSlot - 1)
  const isUnaffected = slot === null || before.settings.jitter === after.settings.jitter ||
    old.fireAt(slot) <= now - GRACE_MILLIS || slots.fireAt(slot) > now
  if (isUnaffected) return withState(after, { nextSlot: slot })
  const ahead = slots.firingFrom(slot, now + 1)
  return withState(after, { nextSlot: ahead, waiting: slots.join(waiting, slots.stretch(slot, ahead, now)) })
}

/**
 * The schedule with other settings. If its slots stay the same, it continues where it was and loses none. Otherwise
 * it begins with its next slot, and slots that wait are skipped.
 */
export const withSettings = (before: Schedule, settings: Settings, now: number): Schedule => {
  if (!haveSameSlots(before.settings, settings)) return begin({ ...skipWaiting(before), settings }, now)
  const after: Schedule = { ...before, settings }
  if (before.state.nextSlot === null) return begin(after, now)
  const cancelled = before.state.cancelled && before.settings.overlap === settings.overlap
  return settle(withState(withJitterOf(after, before, now), { cancelled }))
}

export const pause = (schedule: Schedule, detail: State["detail"]): Schedule =>
  withState(schedule, { status: "paused", detail })

/**
 * The schedule after a pause or a quarantine; null if it has neither. After a pause it continues with the next slot
 * that fires. After a quarantine it continues where it was, or with its next slot if that was lost.
 */
export const resume = (schedule: Schedule, now: number): Schedule | null => {
  const { nextSlot, status } = schedule.state
  if (status !== "paused" && status !== "quarantined") return null
  const active = withState(schedule, { status: "active" })
  if (nextSlot === null) return begin(active, now)
  return settle(
    status === "quarantined"
      ? active
      : withState(active, { nextSlot: new Slots(schedule).firingFrom(nextSlot, now + 1) })
  )
}
