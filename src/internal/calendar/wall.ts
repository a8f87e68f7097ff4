/**
 * The slots of a clock on the wall, in two steps: which wall times match (civil arithmetic; months and days that do not
 * match are passed over at once), and when clocks in the zone show them.
 *
 * A wall time fires at the first instant at which clocks show it, or a later one. So the wall times that are fired by an
 * instant are those below what has not been reached by then, and each direction is one look-up. What clocks show a
 * second time is looked for apart, around the few hours in which they do.
 */
import { civilOf, DAY, dayOf, daysIn, FIRST_WALL, LAST_WALL, SECOND, secondAfter, weekdayOf } from "./civil.js"
import type { Slots, Wall } from "./model.js"
import { FARTHEST, LONGEST_REPEAT, reachedAt, repeats, unreached, type Zone } from "./zone.js"

/** Forward or backward. */
type Step = 1 | -1

/** Every date comes again within these months: a leap day on a given day of the week does after 40 years at most. */
const MONTHS = 100 * 12

const isDay = ({ days, match, weekdays }: Wall, day: number, dayOfMonth: number, last: number): boolean => {
  const ofMonth = days === null || days.includes(dayOfMonth) || (dayOfMonth === last && days.includes(-1))
  const ofWeek = weekdays === null || weekdays.includes(weekdayOf(day))
  return match === "either" && days !== null && weekdays !== null ? ofMonth || ofWeek : ofMonth && ofWeek
}

/** The nearest day that matches, from a day on, that day included. */
const dayFrom = (wall: Wall, from: number, step: Step): number | undefined => {
  let { day, month, year } = civilOf(from)
  for (let months = 0; months <= MONTHS; months++) {
    if (wall.months === null || wall.months.includes(month)) {
      const [first, last] = [dayOf(year, month, 1), daysIn(year, month)]
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

/** Whether any day matches, in all years. */
export const hasDay = (wall: Wall): boolean => dayFrom(wall, dayOf(2000, 1, 1), 1) !== undefined

const timeOf = (hour: number, minute: number, second: number): number => (hour * 60 + minute) * 60 + second

/** The times of day that match, in seconds: the first in a direction, and the nearest from a time on, that included. */
const timesOf = (wall: Wall, step: Step) => {
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

/** The nearest wall time that matches, from one on (a whole second), that one included. */
const search = (wall: Wall, step: Step): (from: number) => number | null => {
  const times = timesOf(wall, step)
  const inDay = (day: number, time: number): number | null => {
    const found = day * DAY + time * SECOND
    return found >= FIRST_WALL && found < LAST_WALL ? found : null
  }
  return (from) => {
    const start = Math.max(FIRST_WALL, Math.min(from, LAST_WALL - SECOND))
    if (step * (start - from) < 0) return null
    const day = Math.floor(start / DAY)
    const sameDay = dayFrom(wall, day, step)
    if (sameDay === undefined) return null
    if (sameDay !== day) return inDay(sameDay, times.first)
    const time = times.from((start - day * DAY) / SECOND)
    if (time !== undefined) return inDay(day, time)
    const otherDay = dayFrom(wall, day + step, step)
    return otherDay === undefined ? null : inDay(otherDay, times.first)
  }
}

/** Where clocks are read: a day more than there are wall times at both ends. */
export const FIRST_INSTANT = FIRST_WALL - FARTHEST
export const LAST_INSTANT = LAST_WALL + FARTHEST

export const wallSlots = (wall: Wall, zone: Zone): Slots => {
  const [forward, backward] = [search(wall, 1), search(wall, -1)]
  const again = wall.repeated === "both"

  /** The first slot that is after `after` and before `end`, and shows a wall time that was shown before. */
  const nextAgain = (after: number, end: number): number | null => {
    for (const repeat of repeats(zone, after, end)) {
      const found = forward(Math.max(repeat.start, secondAfter(after)) + repeat.offset)
      if (found !== null && found < repeat.end + repeat.offset) return found - repeat.offset
    }
    return null
  }

  /** The last slot that is after `from` and not after `to`, and shows a wall time that was shown before. */
  const lastAgain = (from: number, to: number): number | null => {
    for (const repeat of repeats(zone, from, to).toReversed()) {
      const found = backward(Math.min(repeat.end, secondAfter(to)) - SECOND + repeat.offset)
      if (found !== null && found >= repeat.start + repeat.offset) return found - repeat.offset
    }
    return null
  }

  return {
    next: (given) => {
      const after = Math.max(given, FIRST_INSTANT)
      if (after > LAST_INSTANT) return null
      const wallTime = forward(unreached(zone, after))
      const first = wallTime === null ? null : reachedAt(zone, wallTime)
      if (!again) return first
      // What is shown again was shown first not long ago, so it is no later than this.
      const second = nextAgain(after, Math.min(first ?? Infinity, after + LONGEST_REPEAT))
      return first === null || second === null ? first ?? second : Math.min(first, second)
    },
    last: (given, from) => {
      const to = Math.min(given, LAST_INSTANT)
      if (to < FIRST_INSTANT) return null
      const wallTime = backward(unreached(zone, to) - SECOND)
      const first = wallTime === null ? null : reachedAt(zone, wallTime)
      if (!again || first === null) return first
      const second = lastAgain(Math.max(first, from), Math.min(to, first + LONGEST_REPEAT))
      return second === null ? first : Math.max(first, second)
    }
  }
}
