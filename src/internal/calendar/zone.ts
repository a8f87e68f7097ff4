/**
 * Time zones: the offset of clocks from UTC as a function of the instant. It is constant between transitions.
 *
 * Offsets come from Effect's `DateTime`, which uses the zones of the platform. That takes microseconds, so the
 * transitions are found once for each block of days and kept: the offsets at both ends of each day are compared, and a
 * difference is located by bisection. No zone has changed its clocks twice within a week since 1995, and none is known
 * to have done so within a day.
 */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import { memoize } from "../util/memoize.js"
import { DAY_MILLIS, HOUR_MILLIS, SECOND_MILLIS, secondAfter } from "./civil.js"

/** A change of the clocks at `at`: from `before` to `after`, in milliseconds ahead of UTC. */
export interface Transition {
  readonly at: number
  readonly before: number
  readonly after: number
}

interface Block {
  /** The offset at the start of the block. */
  readonly offset: number
  readonly transitions: ReadonlyArray<Transition>
}

export interface Zone {
  /** Whether the offset never changes. It may be larger than that of any named zone. */
  readonly fixed: boolean
  readonly offsetAt: (instant: number) => number
  /** The transitions after `from` and not after `to`. */
  readonly transitions: (from: number, to: number) => ReadonlyArray<Transition>
}

/** The largest offset of a named zone, in either direction. */
export const MAX_OFFSET_MILLIS = 18 * HOUR_MILLIS

/** The longest time for which clocks that were set back show earlier times again. */
export const MAX_REPEAT_MILLIS = 2 * MAX_OFFSET_MILLIS

const BLOCK_MILLIS = 16 * DAY_MILLIS

/** Blocks that are kept for each zone: more than 170 years. */
const BLOCK_COUNT = 4_000

const noTransitions: ReadonlyArray<Transition> = []

const fixed = (offset: number): Zone => ({ fixed: true, offsetAt: () => offset, transitions: () => noTransitions })

const named = (zone: DateTime.TimeZone): Zone => {
  const platformOffset = (instant: number): number =>
    DateTime.zonedOffset(DateTime.unsafeMakeZoned(instant, { timeZone: zone }))

  /** The transitions between two instants with these offsets. */
  const within = (from: number, to: number, before: number, after: number): ReadonlyArray<Transition> => {
    if (before === after) return noTransitions
    let [low, high] = [from / SECOND_MILLIS, to / SECOND_MILLIS]
    let found = after
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2)
      const offset = platformOffset(middle * SECOND_MILLIS)
      if (offset === before) low = middle
      else [high, found] = [middle, offset]
    }
    const at = high * SECOND_MILLIS
    return [{ at, before, after: found }, ...within(at, to, found, after)]
  }

  const read = (block: number): Block => {
    const start = block * BLOCK_MILLIS
    const offset = platformOffset(start)
    const transitions: Array<Transition> = []
    for (let from = start, before = offset; from < start + BLOCK_MILLIS; from += DAY_MILLIS) {
      const after = platformOffset(from + DAY_MILLIS)
      transitions.push(...within(from, from + DAY_MILLIS, before, after))
      before = after
    }
    return { offset, transitions }
  }

  const blockAt = memoize(BLOCK_COUNT, read)

  return {
    fixed: false,
    offsetAt: (instant) => {
      const { offset, transitions } = blockAt(Math.floor(instant / BLOCK_MILLIS))
      return transitions.findLast(({ at }) => at <= instant)?.after ?? offset
    },
    transitions: (from, to) => {
      const found: Array<Transition> = []
      for (let index = Math.floor(from / BLOCK_MILLIS); index <= Math.floor(to / BLOCK_MILLIS); index++) {
        for (const transition of blockAt(index).transitions) {
          if (transition.at > from && transition.at <= to) found.push(transition)
        }
      }
      return found
    }
  }
}

const fixedOffset = /^([+-])([01]\d|2[0-3]):([0-5]\d)$/

/** Zones that are kept: more than exist, and a bound for names from outside. */
const ZONE_COUNT = 1_000

const find = (name: string): Zone | undefined => {
  const [, sign, hours, minutes] = fixedOffset.exec(name) ?? []
  if (sign !== undefined) return fixed((sign === "+" ? 1 : -1) * (Number(hours) * 60 + Number(minutes)) * 60_000)
  if (/^[+-]/.test(name)) return undefined
  // First by its name: Effect reads GMT, GMT0 and GMT+0 as offsets without digits.
  const zone = Option.orElse(DateTime.zoneMakeNamed(name), () => DateTime.zoneFromString(name))
  return Option.getOrUndefined(Option.map(zone, named))
}

/** The zone with an IANA name or a fixed offset; undefined if this platform does not have it. */
export const zoneOf: (name: string) => Zone | undefined = memoize(ZONE_COUNT, find)

/** The least wall time that clocks have not reached by an instant: they have shown or skipped all times below it. */
export const unreached = (zone: Zone, instant: number): number =>
  zone.transitions(instant - MAX_REPEAT_MILLIS, instant).reduce(
    (highest, { at, before }) => Math.max(highest, at + before),
    secondAfter(instant + zone.offsetAt(instant))
  )

/** The first instant at which clocks show a wall time, or a later time if they skip it. */
export const reachedAt = (zone: Zone, wall: number): number => {
  if (zone.fixed) return wall - zone.offsetAt(wall)
  let start = wall - MAX_OFFSET_MILLIS
  let offset = zone.offsetAt(start)
  for (const { after, at } of zone.transitions(start, wall + MAX_OFFSET_MILLIS)) {
    if (wall - offset < at) break
    start = at
    offset = after
  }
  return Math.max(start, wall - offset)
}

/** A range of instants in which clocks show earlier times again. `end` is excluded. */
export interface Repeat {
  readonly start: number
  readonly end: number
  readonly offset: number
}

/** The repeats that overlap the range from `from` to `to`. */
export const repeats = (zone: Zone, from: number, to: number): ReadonlyArray<Repeat> => {
  const transitions = zone.transitions(from - MAX_REPEAT_MILLIS, to)
  let highest = -Infinity
  return transitions.flatMap(({ after, at, before }, index) => {
    highest = Math.max(highest, at + before)
    const end = Math.min(highest - after, transitions[index + 1]?.at ?? Infinity)
    return end > at && end > from ? [{ start: at, end, offset: after }] : []
  })
}
