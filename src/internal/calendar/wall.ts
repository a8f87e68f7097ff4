/**
 * The slots of a wall clock, in two steps: which wall times match (civil arithmetic, which skips whole months and
 * days), and when clocks in the zone show them.
 *
 * A wall time fires at the first instant at which clocks show it or a later time. So the wall times that have fired by
 * an instant are those below the least time that clocks have not reached by then, and each direction needs one search.
 * Times that clocks show again are searched separately, in the few hours around the change of the clocks.
 */
import {
  DAY_MILLIS,
  dateOf,
  dayOf,
  daysInMonth,
  MAX_WALL_MILLIS,
  MIN_WALL_MILLIS,
  SECOND_MILLIS,
  secondAfter,
  weekdayOf
} from "./civil.js"
import type { Wall } from "./model.js"
import { MAX_OFFSET_MILLIS, MAX_REPEAT_MILLIS, reachedAt, repeats, unreached, type Zone } from "./zone.js"

/** When a calendar fires, in milliseconds since the epoch. */
export interface Slots {
  /** The first slot after an instant. */
  readonly next: (after: number) => number | null
  /** The last slot that is not after `to`. Slots up to `from` need not be found. */
  readonly last: (to: number, from: number) => number | null
}

/** Forward or backward in time. */
type Direction = 1 | -1

/** Each date recurs within this time: a leap day on a given day of the week, within 40 years. */
const SEARCHED_MONTHS = 100 * 12

const isDay = ({ days, match, weekdays }: Wall, day: number, dayOfMonth: number, last: number): boolean => {
  const ofMonth = days === null || days.includes(dayOfMonth) || (dayOfMonth === last && days.includes(-1))
  const ofWeek = weekdays === null || weekdays.includes(weekdayOf(day))
  return match === "either" && days !== null && weekdays !== null ? ofMonth || ofWeek : ofMonth && ofWeek
}

/** The nearest matching day in a direction, `from` included. */
const dayFrom = (wall: Wall, from: number, step: Direction): number | undefined => {
  let { day, month, year } = dateOf(from)
  for (let months = 0; months <= SEARCHED_MONTHS; months++) {
    if (wall.months === null || wall.months.includes(month)) {
      const [first, last] = [dayOf(year, month, 1), daysInMonth(year, month)]
      for (let each = Math.min(day, last); each >= 1 && each <= last; each += step) {
        if (isDay(wall, first + each - 1, each, last)) return first + each - 1
      }
    }
    month += step
    if (month < 1 || month > 12) {
      month -= step * 12
      year += step
    }
    day = step === 1 ? 1 : 31
  }
  return undefined
}

/** Whether a day of some year matches. */
export const hasDay = (wall: Wall): boolean => dayFrom(wall, dayOf(2000, 1, 1), 1) !== undefined

const timeOf = (hour: number, minute: number, second: number): number => (hour * 60 + minute) * 60 + second

/** The matching times of day in seconds: the first one in a direction, and the nearest one from a time, included. */
const timesOf = (wall: Wall, step: Direction) => {
  const inOrder = (values: ReadonlyArray<number>) => [...values].sort((a, b) => step * (a - b))
  const [hours, minutes, seconds] = [inOrder(wall.hours), inOrder(wall.minutes), inOrder(wall.seconds)]
  const [firstHour = 0, firstMinute = 0, firstSecond = 0] = [hours[0], minutes[0], seconds[0]]
  const nearest = (values: ReadonlyArray<number>, from: number) => values.find((value) => step * (value - from) >= 0)
  const from = (time: number): number | undefined => {
    const [hour, minute, second] = [Math.floor(time / 3600), Math.floor(time / 60) % 60, time % 60]
    if (hours.includes(hour)) {
      const sameMinute = minutes.includes(minute) ? nearest(seconds, second) : undefined
      if (sameMinute !== undefined) return timeOf(hour, minute, sameMinute)
      const sameHour = nearest(minutes, minute + step)
      if (sameHour !== undefined) return timeOf(hour, sameHour, firstSecond)
    }
    const later = nearest(hours, hour + step)
    return later === undefined ? undefined : timeOf(later, firstMinute, firstSecond)
  }
  return { first: timeOf(firstHour, firstMinute, firstSecond), from }
}

/** Finds the nearest matching wall time in a direction. `from` is a whole second, and included. */
const search = (wall: Wall, step: Direction): (from: number) => number | null => {
  const times = timesOf(wall, step)
  const inDay = (day: number, time: number): number | null => {
    const found = day * DAY_MILLIS + time * SECOND_MILLIS
    return found >= MIN_WALL_MILLIS && found < MAX_WALL_MILLIS ? found : null
  }
  return (from) => {
    const start = Math.max(MIN_WALL_MILLIS, Math.min(from, MAX_WALL_MILLIS - SECOND_MILLIS))
    if (step * (start - from) < 0) return null
    const day = Math.floor(start / DAY_MILLIS)
    const sameDay = dayFrom(wall, day, step)
    if (sameDay === undefined) return null
    if (sameDay !== day) return inDay(sameDay, times.first)
    const time = times.from((start - day * DAY_MILLIS) / SECOND_MILLIS)
    if (time !== undefined) return inDay(day, time)
    const otherDay = dayFrom(wall, day + step, step)
    return otherDay === undefined ? null : inDay(otherDay, times.first)
  }
}

/** The instants at which clocks can show a wall time. */
export const MIN_INSTANT_MILLIS = MIN_WALL_MILLIS - MAX_OFFSET_MILLIS
export const MAX_INSTANT_MILLIS = MAX_WALL_MILLIS + MAX_OFFSET_MILLIS

export const wallSlots = (wall: Wall, zone: Zone): Slots => {
  const [forward, backward] = [search(wall, 1), search(wall, -1)]
  const repeated = wall.repeated === "both"

  /** The first slot after `after` and before `end` at which clocks show a wall time again. */
  const nextAgain = (after: number, end: number): number | null => {
    for (const repeat of repeats(zone, after, end)) {
      const found = forward(Math.max(repeat.start, secondAfter(after)) + repeat.offset)
      if (found !== null && found < repeat.end + repeat.offset) return found - repeat.offset
    }
    return null
  }

  /** The last slot after `from` and not after `to` at which clocks show a wall time again. */
  const lastAgain = (from: number, to: number): number | null => {
    for (const repeat of repeats(zone, from, to).toReversed()) {
      const found = backward(Math.min(repeat.end, secondAfter(to)) - SECOND_MILLIS + repeat.offset)
      if (found !== null && found >= repeat.start + repeat.offset) return found - repeat.offset
    }
    return null
  }

  return {
    next: (given) => {
      const after = Math.max(given, MIN_INSTANT_MILLIS)
      if (after > MAX_INSTANT_MILLIS) return null
      const wallTime = forward(unreached(zone, after))
      const first = wallTime === null ? null : reachedAt(zone, wallTime)
      if (!repeated) return first
      // Clocks show a time again within a bounded time after the first time.
      const second = nextAgain(after, Math.min(first ?? Infinity, after + MAX_REPEAT_MILLIS))
      return first === null || second === null ? first ?? second : Math.min(first, second)
    },
    last: (given, from) => {
      const to = Math.min(given, MAX_INSTANT_MILLIS)
      if (to < MIN_INSTANT_MILLIS) return null
      const wallTime = backward(unreached(zone, to) - SECOND_MILLIS)
      const first = wallTime === null ? null : reachedAt(zone, wallTime)
      if (!repeated || first === null) return first
      const second = lastAgain(Math.max(first, from), Math.min(to, first + MAX_REPEAT_MILLIS))
      return second === null ? first : Math.max(first, second)
    }
  }
}
