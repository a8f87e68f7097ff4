/**
 * The row of a schedule: what a driver stores of it. Pure functions between rows and schedules; nothing is written
 * here.
 */
import * as Either from "effect/Either"
import type { Millis, ScheduleRecord, ScheduleRow } from "../../driver/JournalDriver.js"
import { isFinal } from "../../driver/RunStatus.js"
import { begin, resume, withSettings } from "./changes.js"
import { wakeUp } from "./decision.js"
import type { Schedule } from "./model.js"
import { decodeSettings, decodeState, encodeSettings, encodeState, initialState } from "./model.js"

/** What a process must have to fire a schedule: its definition, or the workflow of one without a definition. */
export const needsOf = (name: string, workflow: string, isDefined: boolean): string =>
  isDefined ? `schedule ${name}` : `workflow ${workflow}`

/** Left: why the row cannot be read. */
export const scheduleOf = ({ name, settings, state }: ScheduleRecord): Either.Either<Schedule, string> =>
  Either.flatMap(
    decodeSettings(settings),
    (settings) => Either.map(decodeState(state), (state) => ({ name, settings, state }))
  )

/** Whether the previous run is live. */
export const isBusy = ({ run, runStatus }: Pick<ScheduleRecord, "run" | "runStatus">): boolean =>
  run !== null && runStatus !== null && !isFinal(runStatus)

/** A schedule is an orphan if no process has reported its definition for this time. */
const ORPHAN_MILLIS = 180_000

/** Whether no process has its definition. `isRegistered`: this process has. */
export const isOrphan = ({ definition, seenAt }: ScheduleRecord, isRegistered: boolean, now: Millis): boolean =>
  definition !== null && !isRegistered && seenAt < now - ORPHAN_MILLIS

/** The row of a schedule that can fire. */
export const rowOf = (
  record: Pick<ScheduleRecord, "definition" | "run" | "runStatus">,
  schedule: Schedule,
  now: Millis
): ScheduleRow => ({
  name: schedule.name,
  definition: record.definition,
  needs: needsOf(schedule.name, schedule.settings.workflow, record.definition !== null),
  run: record.run,
  settings: encodeSettings(schedule.settings),
  state: encodeState(schedule.state),
  ...wakeUp(schedule, isBusy(record), now)
})

/** The row of a schedule that cannot fire, with the reason. What can be read of its state stays. */
export const quarantinedRow = (record: ScheduleRecord, reason: string, now: Millis): ScheduleRow => ({
  name: record.name,
  definition: record.definition,
  needs: record.needs,
  run: record.run,
  settings: record.settings,
  state: encodeState({
    ...Either.getOrElse(decodeState(record.state), () => initialState),
    status: "quarantined",
    detail: { reason, by: null, at: now }
  }),
  dueAt: Infinity,
  waits: false
})

/** The row once settings are stored, by an operator or by a definition in code. Null if that changes nothing. */
export const rowWith = (
  record: ScheduleRecord | null,
  { name, settings }: Pick<Schedule, "name" | "settings">,
  { by, isRegistered, now }: {
    readonly by: "operator" | "definition"
    /** This process has the definition. */
    readonly isRegistered: boolean
    readonly now: number
  }
): ScheduleRow | null => {
  const text = encodeSettings(settings)
  const state = record === null ? initialState : Either.getOrElse(decodeState(record.state), () => initialState)
  // An operator's settings take the place of an orphan's definition.
  const kept = record === null || isOrphan(record, isRegistered, now) ? null : record.definition
  const definition = by === "operator" ? kept : text
  const isSame = record !== null && definition === record.definition &&
    (by === "definition" || text === record.settings)
  const before = record === null ? Either.left(null) : decodeSettings(record.settings)
  // The same settings resume a quarantined schedule: perhaps the code has changed.
  const next = isSame
    ? state.status === "quarantined"
      ? resume({ name, settings: Either.getOrElse(before, () => settings), state }, now)
      : null
    : Either.match(before, {
      onLeft: () => begin({ name, settings, state }, now),
      onRight: (readable) => withSettings({ name, settings: readable, state }, settings, now)
    })
  if (next === null) return null
  return rowOf({ run: record?.run ?? null, runStatus: record?.runStatus ?? null, definition }, next, now)
}
