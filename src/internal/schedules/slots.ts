/** The slots of a schedule: when they fire, within its bounds, and stretches of them that wait. */
import { lastSlot, nextSlot, slotsIn } from "../calendar/slots.js"
import type { Settings, State } from "./settings.js"

/** Slots that are counted when they are passed over. */
const COUNTED = 1_000

/** Slots in order, as they wait: of each stretch the first and the last. */
export type Stretches = State["queue"]

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

  /** The first slot, from `slot` on, that fires at `instant` or later. Those after it wait for it, whatever their jitter. */
  firing(slot: number, instant: number): number | null {
    let found: number | null = this.after(Math.max(slot, Math.ceil(instant - this.settings.jitter)) - 1)
    while (found !== null && this.fireAt(found) < instant) found = this.after(found)
    return found
  }

  /** The stretch from a slot to the last one before another (null: to the last that there is), all of which have come by `now`. */
  stretch(first: number, before: number | null, now: number): Stretches {
    if (first === before) return []
    if (this.after(first) === before) return [[first, first]]
    const { calendar, until } = this.settings
    const end = Math.min(before ?? Infinity, until ?? Infinity, now + 1) - 1
    return [[first, lastSlot(calendar, first, end) ?? first]]
  }

  /** What comes after that waits behind it. */
  join(queue: Stretches, come: Stretches): Stretches {
    const [last, next] = [queue.at(-1), come[0]]
    return last !== undefined && next !== undefined && this.after(last[1]) === next[0]
      ? [...queue.slice(0, -1), [last[0], next[1]], ...come.slice(1)]
      : [...queue, ...come]
  }

  /** All but the first slot. */
  rest([head, ...others]: Stretches): Stretches {
    if (head === undefined) return []
    const [first, last] = head
    const [next] = this.between(first + 1, last + 1, 1)
    return next === undefined ? others : [[next, last], ...others]
  }

  /** How many slots wait; counting stops at a thousand. */
  count(queue: Stretches): number {
    return queue.reduce(
      (sum, [first, last]) => Math.min(COUNTED, sum + this.between(first, last + 1, COUNTED).length),
      0
    )
  }

  /** The slots from an instant to before another, whatever bounds the schedule has; `most` at most. */
  between(from: number, to: number, most: number): ReadonlyArray<number> {
    return slotsIn(this.settings.calendar, from, to, most)
  }
}
