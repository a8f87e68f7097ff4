/** A schedule as it is shown. */
import * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type { Calendar } from "../../Calendar.js"
import type { Millis, ScheduleRecord } from "../../driver/JournalDriver.js"
import { LAST } from "../util/time.js"
import { initial, isBusy, isOrphan } from "./rows.js"
import type { CatchUp, Overlap, Settings, Status } from "./settings.js"
import { decodeSettings, decodeState } from "./settings.js"
import { Slots } from "./slots.js"
import { comeBy } from "./turn.js"

/** What is shown of a schedule. */
export interface Info {
  readonly name: string
  /** Null for what cannot be read any more; `note` says why. */
  readonly workflow: string | null
  readonly calendar: Calendar | null
  readonly overlap: Overlap | null
  readonly catchUp: CatchUp | null
  /** `quarantined`: it cannot fire; `note` says why. `ended`: no slot is left. */
  readonly status: Status
  /** Why it is paused or quarantined, who has paused it, and since when. */
  readonly note: Option.Option<{
    readonly text: string | null
    readonly by: string | null
    readonly at: DateTime.Utc
  }>
  /** It has a definition in code; else it was made at run time. */
  readonly defined: boolean
  /** No process has had its definition for some minutes: it does not fire until one has. */
  readonly orphaned: boolean
  /** When its next runs start, as far as that depends on time. */
  readonly next: ReadonlyArray<DateTime.Utc>
  /** The run that it started last. */
  readonly last: Option.Option<{
    readonly slot: DateTime.Utc
    readonly runId: string
    readonly at: DateTime.Utc
  }>
  /** That run has not ended. */
  readonly running: boolean
  /** Slots that have come and wait for that run to end. Counting stops at 1,000. */
  readonly waiting: number
  /** Runs that were asked for by hand and wait. */
  readonly backlog: number
  /** Runs started for slots. */
  readonly started: number
  /**
   * Slots that have no run, because the run before had not ended, because they were missed, or because they still waited when the
   * schedule ended or got other slots. At most 1,000 are counted at a time.
   */
  readonly skipped: number
}

/** What lies beyond the instants that there are is shown as the last of them, for one row must not hide the others. */
const utc = (millis: number): DateTime.Utc => DateTime.unsafeMake(Math.max(-LAST, Math.min(millis, LAST)))

/**
 * When the next slots fire, `count` at most: those that have come and count, and those that are ahead; each when it is due, and
 * no sooner than the one before it.
 */
export const nextOf = (
  name: string,
  settings: Settings,
  slot: number | null,
  count: number,
  now: number
): ReadonlyArray<DateTime.Utc> => {
  const slots = new Slots(name, settings)
  const { ahead, come } = comeBy(slots, settings, slot, now)
  const next: Array<DateTime.Utc> = []
  let at = -Infinity
  const add = (from: number | null, to: number) => {
    for (let each = from; each !== null && each <= to && next.length < count; each = slots.after(each)) {
      at = Math.max(at, slots.fireAt(each))
      next.push(utc(at))
    }
  }
  for (const [first, last] of come) add(first, last)
  add(ahead, Infinity)
  return next
}

export const infoOf = (
  record: ScheduleRecord,
  { count, isKnown, now }: {
    readonly now: Millis
    /** How many of the next runs to show. */
    readonly count: number
    /** This process has its definition. */
    readonly isKnown: boolean
  }
): Info => {
  const settings = decodeSettings(record.settings)
  const read = decodeState(record.state)
  const state = Either.getOrElse(read, () => initial)
  const problem = Either.isLeft(settings) ? settings.left : Either.isLeft(read) ? read.left : null
  const said = Either.getOrNull(settings)
  const waiting = said === null ? 0 : new Slots(record.name, said).count(state.queue)
  const left = said === null || said.maxRuns === null ? Infinity : said.maxRuns - state.started - waiting
  return {
    name: record.name,
    workflow: said?.workflow ?? null,
    calendar: said?.calendar ?? null,
    overlap: said?.overlap ?? null,
    catchUp: said?.catchUp ?? null,
    status: problem === null ? state.status : "quarantined",
    note: state.note !== null
      ? Option.some({ text: state.note.text, by: state.note.by, at: utc(state.note.at) })
      : problem === null
      ? Option.none()
      : Option.some({ text: problem, by: null, at: utc(now) }),
    defined: record.definition !== null,
    orphaned: isOrphan(record, isKnown, now),
    next: said === null || state.status !== "active"
      ? []
      : nextOf(record.name, said, state.slot, Math.min(count, left), now),
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
