/** The public view of a schedule, made from its row. Nothing is read or written here. */
import * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type { Millis, ScheduleRecord } from "../../driver/JournalDriver.js"
import type { Calendar } from "../calendar/model.js"
import { MAX_DATE_MILLIS } from "../util/time.js"
import { dueSlots } from "./decision.js"
import type { CatchUp, Overlap, Schedule, Status } from "./model.js"
import { decodeSettings, decodeState, initialState } from "./model.js"
import { isBusy, isOrphan } from "./row.js"
import { Slots } from "./Slots.js"

export interface Info {
  readonly name: string
  /** Null if the stored settings cannot be read; `detail` says why. */
  readonly workflow: string | null
  readonly calendar: Calendar | null
  readonly overlap: Overlap | null
  readonly catchUp: CatchUp | null
  /** `quarantined`: it cannot fire; `detail` says why. `ended`: no slot is left. */
  readonly status: Status
  /** Why it is paused or quarantined, who paused it, and since when; or why manual runs were not started. */
  readonly detail: Option.Option<{
    readonly reason: string | null
    readonly by: string | null
    readonly at: DateTime.Utc
  }>
  /** It has a definition in code; otherwise it was made at run time. */
  readonly defined: boolean
  /** No process has had its definition for three minutes: it does not fire until one has it again. */
  readonly orphaned: boolean
  /** The start times of its next runs, if no previous run delays them. */
  readonly upcoming: ReadonlyArray<DateTime.Utc>
  /** The latest run of a slot, or manual run that slots wait for. */
  readonly last: Option.Option<{
    readonly slot: DateTime.Utc
    readonly runId: string
    readonly at: DateTime.Utc
  }>
  /** That run is live. */
  readonly running: boolean
  /** Slots that are due and wait for that run to end, at most 1,000. */
  readonly waiting: number
  /** Manual runs that wait. */
  readonly backlog: number
  /** Runs started for slots. */
  readonly started: number
  /**
   * Slots without a run: the previous run was live, they were missed, or they waited when the schedule ended or its
   * slots changed. At most 1,000 are counted at a time.
   */
  readonly skipped: number
}

/** An instant that is out of range is shown as the last one, so that one row does not hide the others. */
const utc = (millis: number): DateTime.Utc =>
  DateTime.unsafeMake(Math.max(-MAX_DATE_MILLIS, Math.min(millis, MAX_DATE_MILLIS)))

/**
 * When the next slots fire, at most `limit`: those that are due and count, then those ahead. None fires before its
 * predecessor.
 */
const upcomingOf = (schedule: Schedule, limit: number, now: number): ReadonlyArray<DateTime.Utc> => {
  const slots = new Slots(schedule)
  const { due, nextSlot } = dueSlots(slots, schedule.settings, schedule.state.nextSlot, now)
  const upcoming: Array<DateTime.Utc> = []
  let at = -Infinity
  const add = (from: number | null, to: number) => {
    for (let slot = from; slot !== null && slot <= to && upcoming.length < limit; slot = slots.after(slot)) {
      at = Math.max(at, slots.fireAt(slot))
      upcoming.push(utc(at))
    }
  }
  for (const [first, last] of due) add(first, last)
  add(nextSlot, Infinity)
  return upcoming
}

export const infoOf = (
  record: ScheduleRecord,
  { isRegistered, now, upcoming }: {
    readonly now: Millis
    /** The number of start times to show. */
    readonly upcoming: number
    /** This process has the definition. */
    readonly isRegistered: boolean
  }
): Info => {
  const { name } = record
  const [readSettings, readState] = [decodeSettings(record.settings), decodeState(record.state)]
  const problem = Either.isLeft(readSettings) ? readSettings.left : Either.isLeft(readState) ? readState.left : null
  const settings = Either.getOrNull(readSettings)
  const state = Either.getOrElse(readState, () => initialState)
  const waiting = settings === null ? 0 : new Slots({ name, settings }).count(state.waiting)
  const left = settings === null || settings.maxRuns === null ? Infinity : settings.maxRuns - state.started - waiting
  return {
    name,
    workflow: settings?.workflow ?? null,
    calendar: settings?.calendar ?? null,
    overlap: settings?.overlap ?? null,
    catchUp: settings?.catchUp ?? null,
    status: problem === null ? state.status : "quarantined",
    detail: state.detail !== null
      ? Option.some({ ...state.detail, at: utc(state.detail.at) })
      : problem === null
      ? Option.none()
      : Option.some({ reason: problem, by: null, at: utc(now) }),
    defined: record.definition !== null,
    orphaned: isOrphan(record, isRegistered, now),
    upcoming: settings === null || state.status !== "active"
      ? []
      : upcomingOf({ name, settings, state }, Math.min(upcoming, left), now),
    last: Option.map(
      Option.fromNullable(state.last),
      ({ at, run, slot }) => ({ slot: utc(slot), runId: run, at: utc(at) })
    ),
    running: isBusy(record),
    waiting,
    backlog: state.backlog.length,
    started: state.started,
    skipped: state.skipped
  }
}
