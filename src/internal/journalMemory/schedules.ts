/** Schedules: rows that are replaced by who has seen them last. */
import type * as Driver from "../../driver/JournalDriver.js"
import * as Store from "./Store.js"

type Requests = { [Verb in keyof Driver.ScheduleVerbs]: Parameters<Driver.ScheduleVerbs[Verb]>[0] }

/** How old `seenAt` is before it is written anew, in milliseconds. */
const SEEN = 30_000

const record = (store: Store.Store, schedule: Store.Schedule): Driver.ScheduleRecord => ({
  ...schedule,
  runStatus: schedule.run === null ? null : store.runs.get(schedule.run)?.row.status ?? null
})

const inOrder = (store: Store.Store): ReadonlyArray<Store.Schedule> =>
  [...store.schedules.values()].sort((a, b) => Store.compare(a.name, b.name))

export const schedules = (
  store: Store.Store,
  { after, limit, names }: Requests["schedules"]
): ReadonlyArray<Driver.ScheduleRecord> =>
  inOrder(store)
    .filter(({ name }) => (names === null || names.includes(name)) && (after === null || name > after))
    .slice(0, limit)
    .map((schedule) => record(store, schedule))

export const due = (store: Store.Store, now: Driver.Millis, { limit, needs }: Requests["dueSchedules"]) => {
  const asked = new Set(needs)
  const mine = inOrder(store).filter((schedule) => asked.has(schedule.needs)).map((each) => record(store, each))
  const waiting = mine.filter(({ waits }) => waits)
  const isOver = ({ runStatus }: Driver.ScheduleRecord) => runStatus === null || Store.isFinal(runStatus)
  const over = waiting.filter(isOver)
  const timed = mine.filter(({ dueAt }) => dueAt <= now).sort((a, b) => a.dueAt - b.dueAt)
  const later = mine.flatMap(({ dueAt }) => dueAt > now && dueAt < Infinity ? [dueAt] : [])
  const awaited = waiting.flatMap((each) => each.run === null || isOver(each) ? [] : [each.run])
  return {
    schedules: [...new Set([...over, ...timed])].slice(0, limit),
    nextDue: later.length === 0 ? null : Math.min(...later),
    awaited: [...new Set(awaited)].sort(Store.compare).slice(0, limit)
  }
}

export const write = (
  store: Store.Store,
  now: Driver.Millis,
  { hint, schedules }: Requests["writeSchedules"]
): ReadonlyArray<string> => {
  const written = schedules.filter(({ name, revision }) => (store.schedules.get(name)?.revision ?? 0) === revision)
  for (const { revision, ...row } of written) {
    const seenAt = store.schedules.get(row.name)?.seenAt ?? now
    Store.setSchedule(store, { ...row, seenAt, revision: revision + 1 })
    if (hint) Store.hint(store, { _tag: "Scheduled", needs: row.needs })
  }
  return written.map(({ name }) => name).sort(Store.compare)
}

export const remove = (store: Store.Store, schedules: Requests["removeSchedules"]): ReadonlyArray<string> => {
  const removed = schedules.filter(({ name, revision }) => store.schedules.get(name)?.revision === revision)
  for (const { name } of removed) Store.removeSchedule(store, name)
  return removed.map(({ name }) => name).sort(Store.compare)
}

export const see = (store: Store.Store, now: Driver.Millis, names: Requests["seeSchedules"]): number => {
  const seen = [...new Set(names)].flatMap((name) => store.schedules.get(name) ?? [])
  for (const schedule of seen) if (schedule.seenAt < now - SEEN) Store.setSchedule(store, { ...schedule, seenAt: now })
  return seen.length
}
