/** The slots of any calendar: those of its parts, joined, or with some left out. One with problems has none. */
import { MAX_DATE_MILLIS } from "../util/time.js"
import { DAY, dayOfIso } from "./civil.js"
import type { At, Calendar, Every, Except, Slots } from "./model.js"
import { problemsOf } from "./problems.js"
import { FIRST_INSTANT, LAST_INSTANT, wallSlots } from "./wall.js"
import { LONGEST_REPEAT, reachedAt, type Zone, zoneOf } from "./zone.js"

const noSlots: Slots = { next: () => null, last: () => null }

const everySlots = ({ anchor, millis }: Every): Slots => ({
  next: (after) => anchor + (Math.floor((after - anchor) / millis) + 1) * millis,
  last: (to) => anchor + Math.floor((to - anchor) / millis) * millis
})

const atSlots = ({ instants }: At): Slots => {
  const sorted = [...instants].sort((a, b) => a - b)
  return {
    next: (after) => sorted.find((instant) => instant > after) ?? null,
    last: (to) => sorted.findLast((instant) => instant <= to) ?? null
  }
}

const most = (values: ReadonlyArray<number | null>, choose: (a: number, b: number) => number): number | null =>
  values.reduce((found, value) => found === null || value === null ? found ?? value : choose(found, value), null)

const joinSlots = (parts: ReadonlyArray<Slots>): Slots => ({
  next: (after) => most(parts.map(({ next }) => next(after)), Math.min),
  last: (to, from) => most(parts.map(({ last }) => last(to, from)), Math.max)
})

/** A stretch of time, or of days; its end is left out. */
interface Stretch {
  readonly from: number
  readonly to: number
}

/** In order, and those that touch made one. */
const merged = (stretches: ReadonlyArray<Stretch>): ReadonlyArray<Stretch> => {
  const result: Array<Stretch> = []
  for (const next of [...stretches].sort((a, b) => a.from - b.from)) {
    const last = result.at(-1)
    if (last === undefined || next.from > last.to) result.push(next)
    else result[result.length - 1] = { from: last.from, to: Math.max(last.to, next.to) }
  }
  return result
}

const holding = (stretches: ReadonlyArray<Stretch>, value: number): Stretch | undefined => {
  const found = stretches.findLast(({ from }) => from <= value)
  return found !== undefined && value < found.to ? found : undefined
}

/** A stretch of time around an instant in which clocks show nothing but those wall times. */
const shown = (zone: Zone, instant: number, walls: Stretch): Stretch => {
  const whole = { from: reachedAt(zone, walls.from) + LONGEST_REPEAT, to: reachedAt(zone, walls.to) }
  if (instant >= whole.from && instant < whole.to) return whole
  // Near the beginning clocks may be set back before it, so no farther than to the next time they are set.
  const offset = zone.offsetAt(instant)
  const start = zone.transitions(instant - DAY, instant).at(-1)?.at ?? instant - DAY
  const end = zone.transitions(instant, instant + DAY)[0]?.at ?? instant + DAY
  return { from: Math.max(start, walls.from - offset), to: Math.min(end, walls.to - offset) }
}

/** The stretches of time that are left out: the one that holds an instant, or a part of it around the instant. */
const leftOut = (except: Except, zone: Zone): (instant: number) => Stretch | undefined => {
  const ranges = merged(except.ranges)
  const days = merged(except.dates.flatMap((dates) => {
    const [from, to] = [dayOfIso(dates.from), dayOfIso(dates.to)]
    return from === undefined || to === undefined ? [] : [{ from, to: to + 1 }]
  }))
  return (instant) => {
    const range = holding(ranges, instant)
    if (range !== undefined) return range
    if (days.length === 0 || instant < FIRST_INSTANT || instant > LAST_INSTANT) return undefined
    const dates = holding(days, Math.floor((instant + zone.offsetAt(instant)) / DAY))
    return dates === undefined ? undefined : shown(zone, instant, { from: dates.from * DAY, to: dates.to * DAY })
  }
}

const exceptSlots = (inner: Slots, stretchAt: (instant: number) => Stretch | undefined): Slots => ({
  next: (after) => {
    let found = inner.next(after)
    while (found !== null) {
      const stretch = stretchAt(found)
      if (stretch === undefined) return found
      found = inner.next(stretch.to - 1)
    }
    return null
  },
  last: (to, from) => {
    let found = inner.last(to, from)
    while (found !== null && found > from) {
      const stretch = stretchAt(found)
      if (stretch === undefined) return found
      found = inner.last(stretch.from - 1, from)
    }
    return null
  }
})

const build = (calendar: Calendar): Slots => {
  switch (calendar._tag) {
    case "Every":
      return everySlots(calendar)
    case "Wall": {
      const zone = zoneOf(calendar.zone)
      return zone === undefined ? noSlots : wallSlots(calendar, zone)
    }
    case "At":
      return atSlots(calendar)
    case "Join":
      return joinSlots(calendar.calendars.map(build))
    case "Except": {
      const zone = zoneOf(calendar.zone)
      return zone === undefined ? noSlots : exceptSlots(build(calendar.calendar), leftOut(calendar, zone))
    }
    case "Invalid":
      return noSlots
  }
}

const built = new WeakMap<Calendar, Slots>()

const slotsOf = (calendar: Calendar): Slots => {
  const known = built.get(calendar)
  if (known !== undefined) return known
  // What is no object has no place to be known by, and no slots.
  if (problemsOf(calendar).length > 0) return noSlots
  const slots = build(calendar)
  built.set(calendar, slots)
  return slots
}

const within = (instant: number): number => Math.max(-MAX_DATE_MILLIS, Math.min(instant, MAX_DATE_MILLIS))

/** The first slot after an instant. */
export const nextSlot = (calendar: Calendar, after: number): number | null => {
  if (Number.isNaN(after)) return null
  const found = slotsOf(calendar).next(within(after))
  return found === null || found > MAX_DATE_MILLIS ? null : found
}

/** The last slot that is after `from` and not after `to`. */
export const lastSlot = (calendar: Calendar, from: number, to: number): number | null => {
  if (Number.isNaN(from) || Number.isNaN(to) || from >= to) return null
  const found = slotsOf(calendar).last(within(to), from)
  return found === null || found <= from || found < -MAX_DATE_MILLIS ? null : found
}

/** The slots from `from` on and before `to`, at most so many. */
export const slotsIn = (calendar: Calendar, from: number, to: number, most: number): ReadonlyArray<number> => {
  const found: Array<number> = []
  let slot = nextSlot(calendar, from - 1)
  while (slot !== null && slot < to && found.length < most) {
    found.push(slot)
    slot = nextSlot(calendar, slot)
  }
  return found
}
