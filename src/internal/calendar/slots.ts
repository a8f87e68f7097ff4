/** The slots of any calendar: those of its parts, joined, or without exclusions. A calendar with problems has none. */
import { MAX_DATE_MILLIS } from "../util/time.js"
import { DAY_MILLIS, dayOfIso } from "./civil.js"
import type { At, Calendar, Every, Except } from "./model.js"
import { problemsOf } from "./problems.js"
import { MAX_INSTANT_MILLIS, MIN_INSTANT_MILLIS, type Slots, wallSlots } from "./wall.js"
import { MAX_REPEAT_MILLIS, reachedAt, type Zone, zoneOf } from "./zone.js"

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

/** The least or greatest value, by `choose`; null without values. */
const extreme = (values: ReadonlyArray<number | null>, choose: (a: number, b: number) => number): number | null =>
  values.reduce((found, value) => found === null || value === null ? found ?? value : choose(found, value), null)

const joinSlots = (parts: ReadonlyArray<Slots>): Slots => ({
  next: (after) => extreme(parts.map(({ next }) => next(after)), Math.min),
  last: (to, from) => extreme(parts.map(({ last }) => last(to, from)), Math.max)
})

// --- exclusions ---

/** A range of instants, wall times or days. `to` is excluded. */
interface Range {
  readonly from: number
  readonly to: number
}

/** Sorted, with ranges that touch or overlap merged. */
const mergeRanges = (ranges: ReadonlyArray<Range>): ReadonlyArray<Range> => {
  const merged: Array<Range> = []
  for (const next of [...ranges].sort((a, b) => a.from - b.from)) {
    const last = merged.at(-1)
    if (last === undefined || next.from > last.to) merged.push(next)
    else merged[merged.length - 1] = { from: last.from, to: Math.max(last.to, next.to) }
  }
  return merged
}

const rangeWith = (ranges: ReadonlyArray<Range>, value: number): Range | undefined => {
  const found = ranges.findLast(({ from }) => from <= value)
  return found !== undefined && value < found.to ? found : undefined
}

/** A range of instants around `instant` in which clocks show only these wall times. */
const instantsOf = (zone: Zone, instant: number, walls: Range): Range => {
  const whole = { from: reachedAt(zone, walls.from) + MAX_REPEAT_MILLIS, to: reachedAt(zone, walls.to) }
  if (instant >= whole.from && instant < whole.to) return whole
  // Near the start, clocks may be set back to before it. So the range ends at the next change of the clocks.
  const offset = zone.offsetAt(instant)
  const start = zone.transitions(instant - DAY_MILLIS, instant).at(-1)?.at ?? instant - DAY_MILLIS
  const end = zone.transitions(instant, instant + DAY_MILLIS)[0]?.at ?? instant + DAY_MILLIS
  return { from: Math.max(start, walls.from - offset), to: Math.min(end, walls.to - offset) }
}

/** Finds the excluded range that contains an instant, or a part of the range around the instant. */
const exclusionAt = (except: Except, zone: Zone): (instant: number) => Range | undefined => {
  const ranges = mergeRanges(except.ranges)
  const days = mergeRanges(except.dates.flatMap((dates) => {
    const [from, to] = [dayOfIso(dates.from), dayOfIso(dates.to)]
    return from === undefined || to === undefined ? [] : [{ from, to: to + 1 }]
  }))
  return (instant) => {
    const range = rangeWith(ranges, instant)
    if (range !== undefined) return range
    if (days.length === 0 || instant < MIN_INSTANT_MILLIS || instant > MAX_INSTANT_MILLIS) return undefined
    const dates = rangeWith(days, Math.floor((instant + zone.offsetAt(instant)) / DAY_MILLIS))
    return dates === undefined
      ? undefined
      : instantsOf(zone, instant, { from: dates.from * DAY_MILLIS, to: dates.to * DAY_MILLIS })
  }
}

const exceptSlots = (inner: Slots, exclusion: (instant: number) => Range | undefined): Slots => ({
  next: (after) => {
    let found = inner.next(after)
    while (found !== null) {
      const range = exclusion(found)
      if (range === undefined) return found
      found = inner.next(range.to - 1)
    }
    return null
  },
  last: (to, from) => {
    let found = inner.last(to, from)
    while (found !== null && found > from) {
      const range = exclusion(found)
      if (range === undefined) return found
      found = inner.last(range.from - 1, from)
    }
    return null
  }
})

// --- all calendars ---

const makeSlots = (calendar: Calendar): Slots => {
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
      return joinSlots(calendar.calendars.map(makeSlots))
    case "Except": {
      const zone = zoneOf(calendar.zone)
      return zone === undefined ? noSlots : exceptSlots(makeSlots(calendar.calendar), exclusionAt(calendar, zone))
    }
    case "Invalid":
      return noSlots
  }
}

const cache = new WeakMap<Calendar, Slots>()

const slotsOf = (calendar: Calendar): Slots => {
  const cached = cache.get(calendar)
  if (cached !== undefined) return cached
  // A value that is not an object has problems, so it is never a key of the cache.
  if (problemsOf(calendar).length > 0) return noSlots
  const slots = makeSlots(calendar)
  cache.set(calendar, slots)
  return slots
}

const withinDates = (instant: number): number => Math.max(-MAX_DATE_MILLIS, Math.min(instant, MAX_DATE_MILLIS))

/** The first slot after an instant. */
export const nextSlot = (calendar: Calendar, after: number): number | null => {
  if (Number.isNaN(after)) return null
  const found = slotsOf(calendar).next(withinDates(after))
  return found === null || found > MAX_DATE_MILLIS ? null : found
}

/** The last slot that is after `from` and not after `to`. */
export const lastSlot = (calendar: Calendar, from: number, to: number): number | null => {
  if (Number.isNaN(from) || Number.isNaN(to) || from >= to) return null
  const found = slotsOf(calendar).last(withinDates(to), from)
  return found === null || found <= from || found < -MAX_DATE_MILLIS ? null : found
}

/** The first `limit` slots from `from`, included, to `to`, excluded. */
export const slotsIn = (calendar: Calendar, from: number, to: number, limit: number): ReadonlyArray<number> => {
  const found: Array<number> = []
  let slot = nextSlot(calendar, from - 1)
  while (slot !== null && slot < to && found.length < limit) {
    found.push(slot)
    slot = nextSlot(calendar, slot)
  }
  return found
}
