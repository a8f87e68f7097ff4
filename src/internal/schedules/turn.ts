/**
 * What a schedule does when it is looked at: a pure function of its settings, its state, the time, and whether the run
 * before has ended.
 *
 * ```text
 *   slot ahead ──its time comes──► due ──nobody is busy, or allow──► a run, and the next slot
 *                                   ├── missed (a minute late or more): by `catchUp`, some slots are passed over
 *                                   ├── busy, skip ─────────────────► passed over, up to the next slot ahead
 *                                   └── busy, queue*, cancelPrevious ► waiting ──the run before ends──► a run
 * ```
 *
 * Slots are dealt with in order. A slot is busy while the schedule's latest run has not ended. What was asked for by hand
 * (`backlog`) goes first; if it is to wait its turn, it counts as the run before, else it runs beside the others.
 */
import { lastSlot, nextSlot, slotsIn } from "../calendar/slots.js"
import { LAST } from "../due.js"
import type { Asked, Settings, State } from "./settings.js"

/** A slot is missed when nobody has fired it within a minute. Milliseconds. */
export const GRACE = 60_000

/** Slots that are counted when they are passed over. */
const COUNTED = 1_000

/** A run to start. */
export interface Start {
  readonly slot: number
  /** The run's id if it is no slot of the calendar; null: the run of a slot. */
  readonly run: string | null
  /** It was asked for by hand, beside the others: it is not waited for, and not the run before the next one. */
  readonly beside: boolean
}

export interface Turn {
  /** The runs to start, in order. */
  readonly starts: ReadonlyArray<Start>
  /** The latest run is to be cancelled. */
  readonly cancels: boolean
  readonly state: State
  readonly dueAt: number
  readonly waits: boolean
}

/** How long after a slot it fires: the same for whoever asks, spread evenly. FNV-1a, mixed as MurmurHash3 ends. */
export const jitterOf = (name: string, slot: number, most: number): number => {
  if (most <= 0) return 0
  const text = `${name}@${slot}`
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return Math.floor((((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32) * most)
}

/** The slots of a schedule, within its bounds, and when they fire. */
export class Slots {
  constructor(private readonly name: string, private readonly settings: Settings) {}

  fireAt(slot: number): number {
    return slot + jitterOf(this.name, slot, this.settings.jitter)
  }

  /** The first slot after an instant. */
  after(instant: number): number | null {
    const { calendar, from, until } = this.settings
    const slot = nextSlot(calendar, from === null ? instant : Math.max(instant, from - 1))
    return slot === null || (until !== null && slot >= until) ? null : slot
  }

  /** The first slot, from `slot` on, that fires at `instant` or later. */
  firing(slot: number, instant: number): number | null {
    let found: number | null = this.after(Math.max(slot, Math.ceil(instant - this.settings.jitter)) - 1)
    while (found !== null && this.fireAt(found) < instant) found = this.after(found)
    return found
  }

  /** The last slot, from `slot` on, that has fired by `instant`. */
  latest(slot: number, instant: number): number | null {
    const { until } = this.settings
    const end = until === null ? instant : Math.min(instant, until - 1)
    let found = end < slot ? null : lastSlot(this.settings.calendar, slot - 1, end)
    while (found !== null && this.fireAt(found) > instant) {
      found = found - 1 < slot ? null : lastSlot(this.settings.calendar, slot - 1, found - 1)
    }
    return found
  }

  /** The slots from an instant to before another, whatever bounds the schedule has; `most` at most. */
  between(from: number, to: number, most: number): ReadonlyArray<number> {
    return slotsIn(this.settings.calendar, from, to, most)
  }

  /** How many slots from one to before another there are; counting stops at a thousand. */
  count(from: number, to: number | null): number {
    const { calendar, until } = this.settings
    return slotsIn(calendar, from, Math.min(to ?? Infinity, until ?? Infinity, LAST), COUNTED).length
  }
}

interface Regular {
  readonly slots: ReadonlyArray<number>
  readonly next: number | null
  readonly waiting: boolean
  readonly skipped: number
  readonly cancels: boolean
}

interface Look {
  readonly now: number
  readonly busy: boolean
  /** Most runs to start. */
  readonly most: number
}

/** The first slot that catching up leaves. */
const caughtUp = (slots: Slots, { catchUp }: Settings, slot: number, now: number): number | null => {
  if (catchUp === "all" || now - slots.fireAt(slot) < GRACE) return slot
  if (catchUp === "latest") return slots.latest(slot, now)
  const within = catchUp === "none" ? GRACE : Math.max(GRACE, catchUp.within)
  return slots.firing(slot, now - within + 1)
}

const regular = (slots: Slots, settings: Settings, state: State, { busy, most, now }: Look): Regular => {
  const rest = { slots: [], next: state.slot, waiting: false, skipped: 0, cancels: false }
  if (state.status !== "active" || state.slot === null) return rest
  const isDue = (slot: number | null): slot is number => slot !== null && slots.fireAt(slot) <= now
  const slot = state.waiting ? state.slot : isDue(state.slot) ? caughtUp(slots, settings, state.slot, now) : state.slot
  if (slot === null) return { ...rest, next: slots.firing(state.slot + 1, now + 1) }
  if (!state.waiting && !isDue(slot)) return { ...rest, next: slot }
  const ahead = slots.firing(slot + 1, now + 1)
  switch (settings.overlap) {
    case "allow": {
      const taken: Array<number> = []
      let next: number | null = slot
      while (isDue(next) && taken.length < most) {
        taken.push(next)
        next = slots.after(next)
      }
      return { ...rest, slots: taken, next }
    }
    case "skip":
      return busy
        ? { ...rest, next: ahead, skipped: slots.count(slot, ahead) }
        : { ...rest, slots: [slot], next: ahead, skipped: slots.count(slot + 1, ahead) }
    case "queueOne":
    case "queueAll": {
      if (busy) return { ...rest, next: slot, waiting: true }
      // Of those that have come while it waited, the one that waited is the one.
      if (settings.overlap === "queueOne" && state.waiting) {
        return { ...rest, slots: [slot], next: ahead, skipped: slots.count(slot + 1, ahead) }
      }
      const next = slots.after(slot)
      return { ...rest, slots: [slot], next, waiting: isDue(next) }
    }
    case "cancelPrevious": {
      if (busy) return { ...rest, next: slot, waiting: true, cancels: !state.waiting }
      const last = slots.latest(slot, now) ?? slot
      // One before it may fire later, by its jitter; it is passed over all the same.
      const next = slots.firing(last + 1, now + 1)
      return { ...rest, slots: [last], next, skipped: slots.count(slot, last) + slots.count(last + 1, next) }
    }
  }
}

/** What was asked for by hand and can start now. */
const asked = (state: State, busy: boolean, most: number): ReadonlyArray<Asked> => {
  if (state.status === "quarantined") return []
  const first = state.backlog.findIndex(({ serial }) => serial)
  const held = busy ? first : state.backlog.findIndex(({ serial }, index) => serial && index > first)
  return state.backlog.slice(0, Math.min(most, held === -1 ? state.backlog.length : held))
}

/** What is to be done now. */
export const turn = (name: string, settings: Settings, state: State, { busy, most, now }: Look): Turn => {
  const slots = new Slots(name, settings)
  const first = asked(state, busy, most)
  const backlog = state.backlog.slice(first.length)
  const left = settings.maxRuns === null ? Infinity : Math.max(0, settings.maxRuns - state.started)
  const room = Math.min(most - first.length, left)
  const then = room === 0 && left > 0
    // It goes on in a moment.
    ? { slots: [], next: state.slot, waiting: state.waiting, skipped: 0, cancels: false }
    : regular(slots, settings, state, { busy: busy || first.some(({ serial }) => serial), most: room, now })
  const taken = left === 0 ? [] : then.slots
  const exhausted = taken.length >= left
  const waiting = then.waiting && !exhausted
  const over = state.status === "active" && !waiting && (exhausted || then.next === null)
  const starts = [
    ...first.map((each) => ({ ...each, beside: !each.serial })),
    ...taken.map((slot) => ({ slot, run: null, beside: false }))
  ]
  const after: State = {
    ...state,
    status: over && backlog.length === 0 ? "ended" : state.status,
    slot: over ? null : then.next,
    waiting,
    started: state.started + taken.length,
    skipped: state.skipped + then.skipped,
    backlog
  }
  return {
    starts,
    cancels: then.cancels && !exhausted,
    state: after,
    ...wakes(slots, after, busy || starts.some(({ beside }) => !beside))
  }
}

/** When a schedule in this state is to be looked at again. */
export const wakes = (slots: Slots, state: State, busy: boolean): Pick<Turn, "dueAt" | "waits"> => {
  if (state.status === "quarantined") return { dueAt: Infinity, waits: false }
  const [head] = state.backlog
  const timed = state.status === "active" && state.slot !== null && !state.waiting ? slots.fireAt(state.slot) : Infinity
  const ready = head !== undefined && !(head.serial && busy)
  return { dueAt: ready ? Math.min(0, timed) : timed, waits: state.waiting || (head?.serial ?? false) }
}
