/** The rows of schedules. A row is replaced only by a caller that has read its current revision. */
import type * as Driver from "../../driver/JournalDriver.js"
import { isFinal } from "../../driver/RunStatus.js"
import type { VerbRequest, VerbValues } from "../../driver/verbs.js"
import * as Changes from "./changes.js"
import type { Operate } from "./operate.js"
import * as Store from "./Store.js"

/** The age at which `seenAt` is written again. */
const SEEN_INTERVAL_MILLIS = 30_000

const recordOf = (store: Store.Store, schedule: Store.Schedule): Driver.ScheduleRecord => ({
  ...schedule,
  runStatus: schedule.run === null ? null : store.runs.get(schedule.run)?.row.status ?? null
})

const inOrder = (store: Store.Store): ReadonlyArray<Store.Schedule> => [...store.schedules.values()].sort(Store.byName)

const schedules = (
  store: Store.Store,
  { after, limit, names }: VerbRequest<"schedules">
): ReadonlyArray<Driver.ScheduleRecord> =>
  inOrder(store)
    .filter(({ name }) => (names === null || names.includes(name)) && (after === null || name > after))
    .slice(0, limit)
    .map((schedule) => recordOf(store, schedule))

const dueSchedules = (
  store: Store.Store,
  now: Driver.Millis,
  request: VerbRequest<"dueSchedules">
): VerbValues["dueSchedules"] => {
  const { limit } = request
  const needs = new Set(request.needs)
  const found = inOrder(store).filter((schedule) => needs.has(schedule.needs)).map((each) => recordOf(store, each))
  const waiting = found.filter(({ waits }) => waits)
  const hasEnded = ({ runStatus }: Driver.ScheduleRecord) => runStatus === null || isFinal(runStatus)
  const released = waiting.filter(hasEnded)
  const due = found.filter(({ dueAt }) => dueAt <= now).sort((a, b) => a.dueAt - b.dueAt)
  const later = found.flatMap(({ dueAt }) => dueAt > now && dueAt < Infinity ? [dueAt] : [])
  const awaited = waiting.flatMap((each) => each.run === null || hasEnded(each) ? [] : [each.run])
  return {
    schedules: [...new Set([...released, ...due])].slice(0, limit),
    nextDue: later.length === 0 ? null : Math.min(...later),
    awaited: [...new Set(awaited)].sort(Store.compare).slice(0, limit)
  }
}

const writeSchedules = (
  store: Store.Store,
  now: Driver.Millis,
  { hint, schedules }: VerbRequest<"writeSchedules">
): ReadonlyArray<string> => {
  const rows = schedules.filter(({ name, revision }) => (store.schedules.get(name)?.revision ?? 0) === revision)
  for (const { revision, ...row } of rows) {
    const seenAt = store.schedules.get(row.name)?.seenAt ?? now
    Changes.setSchedule(store, { ...row, seenAt, revision: revision + 1 })
    if (hint) Changes.hint(store, { _tag: "Scheduled", needs: row.needs })
  }
  return rows.map(({ name }) => name).sort(Store.compare)
}

const removeSchedules = (store: Store.Store, schedules: VerbRequest<"removeSchedules">): ReadonlyArray<string> => {
  const rows = schedules.filter(({ name, revision }) => store.schedules.get(name)?.revision === revision)
  for (const { name } of rows) Changes.deleteSchedule(store, name)
  return rows.map(({ name }) => name).sort(Store.compare)
}

const seeSchedules = (store: Store.Store, now: Driver.Millis, names: VerbRequest<"seeSchedules">): number => {
  const rows = [...new Set(names)].flatMap((name) => store.schedules.get(name) ?? [])
  for (const row of rows) {
    if (row.seenAt < now - SEEN_INTERVAL_MILLIS) Changes.setSchedule(store, { ...row, seenAt: now })
  }
  return rows.length
}

export const make = (operate: Operate): Driver.ScheduleVerbs => ({
  schedules: (request) => operate((store) => schedules(store, request)),
  dueSchedules: (request) => operate((store, now) => dueSchedules(store, now, request)),
  writeSchedules: (request) => operate((store, now) => writeSchedules(store, now, request)),
  removeSchedules: (request) => operate((store) => removeSchedules(store, request)),
  seeSchedules: (names) => operate((store, now) => seeSchedules(store, now, names))
})
