/** What changes make of a schedule: pure functions of the row as it is, of what it is to be, and of the time. */
import * as Either from "effect/Either"
import type { ScheduleRecord, ScheduleRow } from "../../driver/JournalDriver.js"
import type { Readable } from "./rows.js"
import { initial, isOrphan, rowOf } from "./rows.js"
import type { Settings, State } from "./settings.js"
import { decodeSettings, decodeState, encodeSettings } from "./settings.js"
import { Slots } from "./slots.js"
import { GRACE, isOver } from "./turn.js"

/** What waits is passed over. */
const passedOver = (name: string, settings: Settings, state: State): State => ({
  ...state,
  queue: [],
  skipped: state.skipped + new Slots(name, settings).count(state.queue)
})

/** A schedule that goes on, unless it is paused. */
const goOn = (name: string, settings: Settings, state: State): Readable =>
  state.status === "paused"
    ? { settings, state }
    : isOver(settings, state)
    ? { settings, state: { ...passedOver(name, settings, state), status: "ended", note: null, slot: null } }
    : { settings, state: { ...state, status: "active", note: null } }

/** A schedule that begins now: with its next slot. */
const begin = (name: string, settings: Settings, state: State, now: number): Readable =>
  goOn(name, settings, { ...state, slot: new Slots(name, settings).after(now) })

/** Whether both have the same slots, but for their ends. */
const haveSameSlots = (a: Settings, b: Settings): boolean =>
  encodeSettings({ ...b, calendar: a.calendar }) === encodeSettings(b) && a.from === b.from

/** With less jitter, slots may be overdue that were not: somebody was there, so they are not missed. */
const heldBack = (name: string, before: Settings, settings: Settings, state: State, now: number): State => {
  const [old, slots] = [new Slots(name, before), new Slots(name, settings)]
  const slot = state.slot === null ? null : slots.after(state.slot - 1)
  if (slot === null || before.jitter === settings.jitter || old.fireAt(slot) <= now - GRACE) return { ...state, slot }
  if (slots.fireAt(slot) > now) return { ...state, slot }
  const ahead = slots.firing(slot, now + 1)
  return { ...state, slot: ahead, queue: slots.join(state.queue, slots.stretch(slot, ahead, now)) }
}

/**
 * A schedule with other settings. If its slots are the same, it goes on where it was, and loses none; else it begins with the
 * next one, and what waits is passed over.
 */
export const turnInto = (
  name: string,
  { settings: before, state }: Readable,
  settings: Settings,
  now: number
): Readable => {
  if (!haveSameSlots(before, settings)) return begin(name, settings, passedOver(name, before, state), now)
  if (state.slot === null) return begin(name, settings, state, now)
  const cancelled = state.cancelled && before.overlap === settings.overlap
  return goOn(name, settings, { ...heldBack(name, before, settings, state, now), cancelled })
}

/** After a pause, a schedule goes on with the next slot that fires. */
export const resumed = (name: string, { settings, state }: Readable, now: number): Readable => {
  const active: State = { ...state, status: "active" }
  return state.slot === null
    ? begin(name, settings, active, now)
    : goOn(name, settings, { ...active, slot: new Slots(name, settings).firing(state.slot, now + 1) })
}

/** One that was quarantined goes on where it was, or with its next slot if nobody can read any more where that is. */
export const mended = (name: string, { settings, state }: Readable, now: number): Readable =>
  state.slot === null
    ? resumed(name, { settings, state }, now)
    : goOn(name, settings, { ...state, status: "active" })

/** What a row is made of when there is none. */
const fresh = (name: string): Pick<ScheduleRecord, "name" | "run" | "runStatus"> => ({
  name,
  run: null,
  runStatus: null
})

/** The row of a schedule when settings are stored, by hand or as what its definition says; null if that changes nothing. */
export const stored = (
  name: string,
  record: ScheduleRecord | null,
  settings: Settings,
  { byHand, isKnown, now }: {
    readonly byHand: boolean
    /** This process has its definition. */
    readonly isKnown: boolean
    readonly now: number
  }
): ScheduleRow | null => {
  const text = encodeSettings(settings)
  const state = record === null ? initial : Either.getOrElse(decodeState(record.state), () => initial)
  // An orphan that is put anew has no definition any more.
  const defined = record === null || isOrphan(record, isKnown, now) ? null : record.definition
  const definition = byHand ? defined : text
  const isSame = record !== null && definition === record.definition && (!byHand || text === record.settings)
  if (isSame && state.status !== "quarantined") return null
  const before = record === null ? Either.left(null) : decodeSettings(record.settings)
  const next = isSame
    // Perhaps this process can: what was missed meanwhile is caught up with.
    ? mended(name, { settings: Either.getOrElse(before, () => settings), state }, now)
    : Either.match(before, {
      onLeft: () => begin(name, settings, state, now),
      onRight: (readable) => turnInto(name, { settings: readable, state }, settings, now)
    })
  return rowOf({ ...record ?? fresh(name), definition }, next, now)
}
