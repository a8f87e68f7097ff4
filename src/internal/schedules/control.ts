/**
 * Control of schedules by an operator: store, change, remove, pause and resume. Triggers and backfills are in
 * `manualRuns`.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { JournalError } from "../../Errors.js"
import { ConfigurationInvalid, UnknownSchedule, ValueInvalid } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import { Journal } from "../../Journal.js"
import type { ScheduleRecord } from "../../driver/JournalDriver.js"
import type { Attribution } from "../options/Attribution.js"
import { canBeStored } from "../options/names.js"
import type { Problems } from "../options/Rule.js"
import { storable } from "../util/show.js"
import * as Changes from "./changes.js"
import type { Definition } from "./definition.js"
import { payloadOf, verify } from "./definition.js"
import { launchersOf, trialRun } from "./launch.js"
import type { Schedule } from "./model.js"
import { decodeSettings } from "./model.js"
import type { ScheduleChanges } from "./options.js"
import { changedSettings } from "./options.js"
import { isOrphan, rowOf, rowWith, scheduleOf } from "./row.js"
import * as Store from "./store.js"

const invalid = (name: string, problems: Problems) => new ConfigurationInvalid({ what: `schedule "${name}"`, problems })

/** The workflow of the definition in code; null if no definition exists or can be read. */
const definedWorkflow = ({ definition }: ScheduleRecord): string | null =>
  definition === null
    ? null
    : Either.match(decodeSettings(definition), { onLeft: () => null, onRight: ({ workflow }) => workflow })

/** The problem of the queue of its runs. */
const checkQueue = (
  journal: JournalService,
  { settings: { run } }: Pick<Schedule, "settings">
): Effect.Effect<Problems, JournalError> =>
  run.queue === null
    ? Effect.succeed([])
    : Effect.map(journal.process.queues.missing(run.queue), (problem) => problem === undefined ? [] : [problem])

/** The problems of its runs. Without a launcher in this process, only those of the queue are found. */
const checkRuns = (
  journal: JournalService,
  record: ScheduleRecord,
  schedule: Schedule,
  now: number
): Effect.Effect<Problems, JournalError> =>
  Effect.gen(function*() {
    const launcher = launchersOf(journal)(record, schedule.settings)
    const trial = launcher === undefined ? Either.right(null) : yield* trialRun(schedule, launcher, now)
    return [...Either.isLeft(trial) ? [trial.left] : [], ...yield* checkQueue(journal, schedule)]
  })

export const put = (definition: Definition): Effect.Effect<void, ConfigurationInvalid | JournalError, Journal> =>
  Effect.gen(function*() {
    const journal = yield* Journal
    const { name } = definition
    const verified = yield* verify(definition, yield* journal.currentTime)
    const computed = payloadOf(definition) === null ? [] : [
      `"payload" must be a value, got a function, which cannot be stored: use the schedule's layer`
    ]
    if (Either.isLeft(verified)) return yield* invalid(name, [...computed, ...verified.left])
    if (computed.length > 0) return yield* invalid(name, computed)
    const settings = verified.right
    const problems = yield* checkQueue(journal, { settings })
    if (problems.length > 0) return yield* invalid(name, problems)
    yield* Store.update(journal, name, (record, now) => {
      const isRegistered = journal.process.registrations.schedules.has(name)
      const defined = record === null || isOrphan(record, isRegistered, now) ? null : definedWorkflow(record)
      const problem = `its workflow is ${settings.workflow}, but its definition in code starts ${defined}: ` +
        "give it another name, or change the definition"
      return defined !== null && defined !== settings.workflow
        ? invalid(name, [problem])
        : Effect.succeed(rowWith(record, { name, settings }, { by: "operator", isRegistered, now }))
    })
  })

/** Fails for a name that no storage can hold, before storage is read. */
export const requireStorable = (name: string): Effect.Effect<void, UnknownSchedule> =>
  canBeStored(name) ? Effect.void : new UnknownSchedule({ schedule: storable(name) })

export interface StoredSchedule extends Schedule {
  readonly record: ScheduleRecord
}

/** The schedule of a row. Fails if it does not exist or cannot be read. */
export const storedSchedule = (
  name: string,
  record: ScheduleRecord | null
): Effect.Effect<StoredSchedule, UnknownSchedule | ValueInvalid> => {
  if (record === null) return new UnknownSchedule({ schedule: name })
  return Either.match(scheduleOf(record), {
    onLeft: (problem) => {
      const detail = `${problem}: store it again (RunSchedule.put), or remove it`
      return new ValueInvalid({ what: `schedule "${name}"`, detail })
    },
    onRight: (schedule) => Effect.succeed({ ...schedule, record })
  })
}

/** Changes a schedule that exists. Null changes nothing. */
const update = <E>(
  name: string,
  decide: (schedule: StoredSchedule, now: number) => Effect.Effect<Schedule | null, E>
): Effect.Effect<void, E | UnknownSchedule | ValueInvalid | JournalError, Journal> =>
  Effect.gen(function*() {
    yield* requireStorable(name)
    yield* Store.update(yield* Journal, name, (record, now) =>
      Effect.gen(function*() {
        const schedule = yield* storedSchedule(name, record)
        const next = yield* decide(schedule, now)
        return next === null ? null : rowOf(schedule.record, next, now)
      }))
  })

export const change = (name: string, changes: ScheduleChanges) =>
  Effect.flatMap(Journal, (journal) =>
    update(name, (schedule, now) =>
      Effect.gen(function*() {
        const changed = changedSettings(schedule.settings, changes)
        if (Either.isLeft(changed)) return yield* invalid(name, changed.left)
        const next: Schedule = { ...schedule, settings: changed.right }
        const problems = yield* checkRuns(journal, schedule.record, next, now)
        // A problem that the schedule had before does not stop the change.
        const before = problems.length === 0 ? [] : yield* checkRuns(journal, schedule.record, schedule, now)
        const own = problems.filter((problem) => !before.includes(problem))
        if (own.length > 0) return yield* invalid(name, own)
        return Changes.withSettings(schedule, changed.right, now)
      })))

export const remove = (name: string): Effect.Effect<void, UnknownSchedule | JournalError, Journal> =>
  Effect.gen(function*() {
    yield* requireStorable(name)
    const removed = yield* Store.remove(yield* Journal, name)
    if (!removed) yield* new UnknownSchedule({ schedule: name })
  })

export const pause = (name: string, { by, reason }: Attribution) =>
  update(
    name,
    (schedule, now) => Effect.succeed(Changes.pause(schedule, { reason: reason ?? null, by: by ?? null, at: now }))
  )

export const resume = (name: string) => update(name, (schedule, now) => Effect.succeed(Changes.resume(schedule, now)))
