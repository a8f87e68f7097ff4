/**
 * The slots of a schedule: those of its calendar within its bounds, when each of them fires, and stretches of slots
 * that wait. Arithmetic on a calendar: no clock and no state.
 */
import { lastSlot, nextSlot, slotsIn } from "../calendar/slots.js"
import type { Settings } from "./model.js"

/** Counting the slots of stretches stops here. */
const SLOT_COUNT_LIMIT = 1_000

/** Slots in order: the first and the last slot of each stretch. */
export type Stretches = ReadonlyArray<readonly [first: number, last: number]>

/**
 * How long after a slot it fires: evenly spread over `jitter` milliseconds, and the same in every process. FNV-1a,
 * mixed as MurmurHash3 ends.
 */
export const jitterOf = (name: string, slot: number, jitter: number): number => {
  if (jitter <= 0) return 0
  const text = `${name}@${slot}`
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return Math.floor((((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32) * jitter)
}

export class Slots {
  private readonly name: string
  private readonly settings: Settings

  constructor({ name, settings }: { readonly name: string; readonly settings: Settings }) {
    this.name = name
    this.settings = settings
  }

  fireAt(slot: number): number {
    return slot + jitterOf(this.name, slot, this.settings.jitter)
  }

  /** The first slot after an instant. */
  after(instant: number): number | null {
    const { calendar, endsAt, startsAt } = this.settings
    const slot = nextSlot(calendar, startsAt === null ? instant : Math.max(instant, startsAt - 1))
    return slot === null || (endsAt !== null && slot >= endsAt) ? null : slot
  }

  /**
   * The first slot, from `slot` on, that fires at `instant` or later. Slots behind it wait for it, whatever their
   * jitter.
   */
  firingFrom(slot: number, instant: number): number | null {
    let found: number | null = this.after(Math.max(slot, Math.ceil(instant - this.settings.jitter)) - 1)
    while (found !== null && this.fireAt(found) < instant) found = this.after(found)
    return found
  }

  /**
   * The stretch from a slot to the last slot before `end` (null: to the last one of all). All of them are due by
   * `now`.
   */
  stretch(first: number, end: number | null, now: number): Stretches {
    if (first === end) return []
    if (this.after(first) === end) return [[first, first]]
    const { calendar, endsAt } = this.settings
    const to = Math.min(end ?? Infinity, endsAt ?? Infinity, now + 1) - 1
    return [[first, lastSlot(calendar, first, to) ?? first]]
  }

  /** Appends stretches. Two that touch become one. */
  join(stretches: Stretches, later: Stretches): Stretches {
    const [last, next] = [stretches.at(-1), later[0]]
    return last !== undefined && next !== undefined && this.after(last[1]) === next[0]
      ? [...stretches.slice(0, -1), [last[0], next[1]], ...later.slice(1)]
      : [...stretches, ...later]
  }

  /** All slots but the first. */
  rest([head, ...others]: Stretches): Stretches {
    if (head === undefined) return []
    const [first, last] = head
    const [next] = this.between(first + 1, last + 1, 1)
    return next === undefined ? others : [[next, last], ...others]
  }

  /** The number of slots, at most 1,000. */
  count(stretches: Stretches): number {
    return stretches.reduce(
      (sum, [first, last]) => Math.min(SLOT_COUNT_LIMIT, sum + this.between(first, last + 1, SLOT_COUNT_LIMIT).length),
      0
    )
  }

  /** Up to `limit` slots of the calendar from one instant to before another. The schedule's bounds do not apply. */
  between(from: number, to: number, limit: number): ReadonlyArray<number> {
    return slotsIn(this.settings.calendar, from, to, limit)
  }
}
