/**
 * Manual runs: what triggers and backfills ask for. They join the backlog of the schedule; this process starts them
 * in the same transaction if it can, otherwise the next process that fires the schedule does.
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { JournalError, UnknownSchedule } from "../../Errors.js"
import { ValueInvalid } from "../../Errors.js"
import { Journal } from "../../Journal.js"
import type { ScheduleRecord } from "../../driver/JournalDriver.js"
import { makeRunId } from "../codec/ids.js"
import type { Rule } from "../options/Rule.js"
import { fields, instant, oneOf, optional, refine } from "../options/Rule.js"
import { instantOf } from "../util/time.js"
import { requireStorable, storedSchedule } from "./control.js"
import { fireManual } from "./firing.js"
import { launchersOf, slotText } from "./launch.js"
import type { ManualRun, Schedule } from "./model.js"
import { checkManualRuns } from "./plan.js"
import { rowOf } from "./row.js"
import { Slots } from "./Slots.js"
import * as Store from "./store.js"

/** Manual runs of one schedule that wait, and slots of one backfill. */
const BACKLOG_SIZE = 1_000

/** The runs to start, and the answer to the caller. */
interface Request<A> {
  readonly runs: ReadonlyArray<ManualRun>
  readonly answer: A
}

interface Response<A> {
  readonly answer: A
  /** The ids of the runs that were started here, each with the id of the run that stands for it. */
  readonly started: ReadonlyMap<string, string>
}

const request = <A>(
  name: string,
  requestOf: (schedule: Schedule, now: number) => Effect.Effect<Request<A>, ValueInvalid>
): Effect.Effect<Response<A>, UnknownSchedule | ValueInvalid | JournalError, Journal> =>
  Effect.gen(function*() {
    yield* requireStorable(name)
    const journal = yield* Journal
    const refuse = (detail: string) => new ValueInvalid({ what: `schedule "${name}"`, detail })
    const attempt = (row: ScheduleRecord | null, now: number) =>
      Effect.gen(function*() {
        const schedule = yield* storedSchedule(name, row)
        const { record, settings, state } = schedule
        if (state.status === "quarantined") {
          return yield* refuse(`it is quarantined (${state.detail?.reason ?? ""}): correct that, and resume it first`)
        }
        const { answer, runs } = yield* requestOf(schedule, now)
        const backlog = [...state.backlog, ...runs]
        if (backlog.length > BACKLOG_SIZE) {
          return yield* refuse(
            `${backlog.length} manual runs would wait, the limit is ${BACKLOG_SIZE}: ask again when fewer wait`
          )
        }
        const next = rowOf(record, { ...schedule, state: { ...state, backlog } }, now)
        const launcher = launchersOf(journal)(record, settings)
        if (launcher !== undefined) {
          const problem = yield* checkManualRuns(journal, schedule, launcher, runs)
          if (problem !== undefined) return yield* refuse(problem)
          const { fired, started } = yield* fireManual(journal, { ...record, ...next }, now, runs.length)
          return fired > 0 ? Option.some<Response<A>>({ answer, started }) : Option.none()
        }
        const schedules = [{ ...next, revision: record.revision }]
        const written = yield* journal.writeSchedules({ schedules, hint: true })
        return written.length > 0 ? Option.some<Response<A>>({ answer, started: new Map() }) : Option.none()
      })
    return yield* Store.modify(journal, name, attempt)
  })

/** Public as `RunSchedule.TriggerOptions`. */
export interface TriggerOptions {
  /** `queueAll`: the run waits for the previous run to end. Default `"allow"`: it starts now. */
  readonly overlap?: "allow" | "queueAll"
}

const overlap = optional(oneOf("allow", "queueAll"))

export const triggerOptions: Rule<TriggerOptions> = fields<TriggerOptions>({ overlap })

export const trigger = (name: string, { overlap }: TriggerOptions) =>
  Effect.map(
    request(name, (_schedule, now) =>
      Effect.map(Clock.currentTimeMillis, (millis) => {
        const run = makeRunId(millis)
        return { runs: [{ slot: now, run, serial: overlap === "queueAll" }], answer: run }
      })),
    // With a singleton, another run can stand for it.
    ({ answer, started }) => started.get(answer) ?? answer
  )

/** Public as `RunSchedule.BackfillOptions`. */
export interface BackfillOptions {
  /** Slots at this instant or later. */
  readonly from: DateTime.DateTime | Date
  /** Slots before this instant. */
  readonly to: DateTime.DateTime | Date
  /** `queueAll`: the runs start one after the other. Default `"allow"`: they start together. */
  readonly overlap?: "allow" | "queueAll"
}

/** Milliseconds of an instant that its rule has accepted. */
const millisOf = (instant: DateTime.DateTime | Date): number => instantOf(instant) ?? NaN

export const backfillOptions: Rule<BackfillOptions> = refine(
  fields<BackfillOptions>({ from: instant(), to: instant(), overlap }),
  ({ from, to }) =>
    millisOf(from) < millisOf(to)
      ? []
      : [`"from" must be before "to" (${slotText(millisOf(to))}), got ${slotText(millisOf(from))}`]
)

export const backfill = (name: string, options: BackfillOptions) =>
  Effect.map(
    request(name, (schedule, now) => {
      const refuse = (detail: string) => new ValueInvalid({ what: `backfill of schedule "${name}"`, detail })
      const [from, to] = [millisOf(options.from), millisOf(options.to)]
      if (to > now) {
        return refuse(`"to" must not be ahead of the present (${slotText(now)}), got ${slotText(to)}`)
      }
      const slots = new Slots(schedule).between(from, to, BACKLOG_SIZE + 1)
      if (slots.length > BACKLOG_SIZE) {
        return refuse(`it has more than ${BACKLOG_SIZE} slots: backfill a shorter time`)
      }
      const serial = options.overlap === "queueAll"
      return Effect.succeed({
        runs: slots.map((slot) => ({ slot, run: null, serial })),
        answer: slots.map((slot) => DateTime.unsafeMake(slot))
      })
    }),
    ({ answer }) => answer
  )
