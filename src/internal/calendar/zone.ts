/**
 * What clocks in a time zone show: the offset from UTC as a function of the instant, constant but for transitions.
 *
 * Offsets come from Effect's `DateTime`, which asks the zones of the platform; that takes microseconds, so the
 * transitions are found once for each block of days (at each end of a day, and by bisection where the two differ) and kept.
 * Of all zones, none has set its clocks twice within a week since 1995, and none is known to have done so within a day.
 */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import { memoize } from "../util/memoize.js"
import { DAY, HOUR, SECOND, secondAfter } from "./civil.js"

/** From `at` on, clocks are `after` milliseconds ahead of UTC; until then they were `before`. */
export interface Transition {
  readonly at: number
  readonly before: number
  readonly after: number
}

interface Block {
  /** The offset where the block begins. */
  readonly offset: number
  readonly transitions: ReadonlyArray<Transition>
}

export interface Zone {
  /** Whether it is one offset for ever, which may be farther from UTC than that of any named zone. */
  readonly fixed: boolean
  readonly offsetAt: (instant: number) => number
  /** The transitions after `from`, up to and with `to`. */
  readonly transitions: (from: number, to: number) => ReadonlyArray<Transition>
}

/** No clock of a named zone is farther from UTC. */
export const FARTHEST = 18 * HOUR

/** How long, at most, a clock that was set back shows what it has shown before. */
export const LONGEST_REPEAT = 2 * FARTHEST

const BLOCK = 16 * DAY

/** Blocks kept for each zone: above 170 years. */
const BLOCKS = 4_000

const none: ReadonlyArray<Transition> = []

const fixed = (offset: number): Zone => ({ fixed: true, offsetAt: () => offset, transitions: () => none })

const named = (zone: DateTime.TimeZone): Zone => {
  const ask = (instant: number): number => DateTime.zonedOffset(DateTime.unsafeMakeZoned(instant, { timeZone: zone }))

  /** The transitions in a stretch that begins and ends with these offsets, and has at most one. */
  const within = (from: number, to: number, before: number, after: number): ReadonlyArray<Transition> => {
    if (before === after) return none
    let [low, high] = [from / SECOND, to / SECOND]
    let found = after
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2)
      const offset = ask(middle * SECOND)
      if (offset === before) low = middle
      else [high, found] = [middle, offset]
    }
    const at = high * SECOND
    return [{ at, before, after: found }, ...within(at, to, found, after)]
  }

  const read = (block: number): Block => {
    const start = block * BLOCK
    const offset = ask(start)
    const transitions: Array<Transition> = []
    for (let from = start, before = offset; from < start + BLOCK; from += DAY) {
      const after = ask(from + DAY)
      transitions.push(...within(from, from + DAY, before, after))
      before = after
    }
    return { offset, transitions }
  }

  const blockAt = memoize(BLOCKS, read)

  return {
    fixed: false,
    offsetAt: (instant) => {
      const { offset, transitions } = blockAt(Math.floor(instant / BLOCK))
      return transitions.findLast(({ at }) => at <= instant)?.after ?? offset
    },
    transitions: (from, to) => {
      const found: Array<Transition> = []
      for (let index = Math.floor(from / BLOCK); index <= Math.floor(to / BLOCK); index++) {
        for (const transition of blockAt(index).transitions) {
          if (transition.at > from && transition.at <= to) found.push(transition)
        }
      }
      return found
    }
  }
}

const fixedOffset = /^([+-])([01]\d|2[0-3]):([0-5]\d)$/

/** More names than there are, so that names given by strangers fill no memory. */
const ZONES = 1_000

const find = (name: string): Zone | undefined => {
  const [, sign, hours, minutes] = fixedOffset.exec(name) ?? []
  if (sign !== undefined) return fixed((sign === "+" ? 1 : -1) * (Number(hours) * 60 + Number(minutes)) * 60_000)
  if (/^[+-]/.test(name)) return undefined
  return Option.getOrUndefined(Option.map(DateTime.zoneFromString(name), named))
}

/** The zone of an IANA name or a fixed offset; undefined for what this platform does not know. */
export const zoneOf: (name: string) => Zone | undefined = memoize(ZONES, find)

/** The least wall time that has not been reached by an instant: clocks have shown all below, or have jumped over them. */
export const unreached = (zone: Zone, instant: number): number =>
  zone.transitions(instant - LONGEST_REPEAT, instant).reduce(
    (highest, { at, before }) => Math.max(highest, at + before),
    secondAfter(instant + zone.offsetAt(instant))
  )

/** The first instant at which clocks show a wall time, or a later one because they were set forward over it. */
export const reachedAt = (zone: Zone, wall: number): number => {
  if (zone.fixed) return wall - zone.offsetAt(wall)
  let start = wall - FARTHEST
  let offset = zone.offsetAt(start)
  for (const { after, at } of zone.transitions(start, wall + FARTHEST)) {
    if (wall - offset < at) break
    start = at
    offset = after
  }
  return Math.max(start, wall - offset)
}

/** A stretch of time, its end left out, in which clocks show again what they have shown; with their offset. */
export interface Repeat {
  readonly start: number
  readonly end: number
  readonly offset: number
}

/** The repeats that touch the time from `from` to `to`. */
export const repeats = (zone: Zone, from: number, to: number): ReadonlyArray<Repeat> => {
  const transitions = zone.transitions(from - LONGEST_REPEAT, to)
  let highest = -Infinity
  return transitions.flatMap(({ after, at, before }, index) => {
    highest = Math.max(highest, at + before)
    const end = Math.min(highest - after, transitions[index + 1]?.at ?? Infinity)
    return end > at && end > from ? [{ start: at, end, offset: after }] : []
  })
}
