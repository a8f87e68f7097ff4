/** What is done to schedules by hand: storing and changing them, and asking for runs. */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type { JournalError } from "../../Errors.js"
import { ConfigurationInvalid, UnknownSchedule, ValueInvalid } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import { Journal } from "../../Journal.js"
import type { ScheduleRecord } from "../../driver/JournalDriver.js"
import { EARLIEST, instantOf } from "../util/time.js"
import { makeRunId } from "../codec/ids.js"
import { canBeStored } from "../options/names.js"
import { isFields, show } from "../options/reading.js"
import { queueMissing } from "../process/queues.js"
import { storable } from "../codec/wire.js"
import { mended, resumed, stored, turnInto } from "./changes.js"
import type { Given } from "./definition.js"
import { check, settingsWith, trial } from "./definition.js"
import { fireAsked } from "./fire.js"
import { launcher, startProblem } from "./plan.js"
import type { Readable } from "./rows.js"
import { change, insistOn, isOrphan, read, remove as removeRow, rowOf } from "./rows.js"
import type { Asked, Settings } from "./settings.js"
import { decodeSettings } from "./settings.js"
import { Slots } from "./slots.js"

/** Runs that were asked for by hand and have not started, for one schedule. */
const MOST_ASKED = 1_000

const invalid = (name: string, problems: ReadonlyArray<string>) =>
  new ConfigurationInvalid({ what: `schedule "${name}"`, problems })

/** The workflow that the definition in code starts; null if there is none, or it cannot be read. */
const definedWorkflow = (record: ScheduleRecord): string | null =>
  record.definition === null
    ? null
    : Either.match(decodeSettings(record.definition), { onLeft: () => null, onRight: ({ workflow }) => workflow })

/** What is wrong with the queue of a schedule's runs, if it is given one. */
const queueProblems = (
  journal: JournalService,
  { run }: Settings
): Effect.Effect<ReadonlyArray<string>, JournalError> =>
  run.queue === null
    ? Effect.succeed([])
    : Effect.map(queueMissing(journal, run.queue), (problem) => problem === undefined ? [] : [problem])

/** What would be wrong with its runs, as far as this process can tell. */
const runProblems = (
  journal: JournalService,
  record: ScheduleRecord,
  settings: Settings,
  now: number
): Effect.Effect<ReadonlyArray<string>, JournalError> =>
  Effect.gen(function*() {
    const launch = launcher(journal, journal.registry.schedules, record, { settings })
    const tried = launch === undefined
      ? Either.right(null)
      : yield* trial({ name: record.name, settings, ...launch }, now)
    return [...Either.isLeft(tried) ? [tried.left] : [], ...yield* queueProblems(journal, settings)]
  })

/** Store a schedule by hand. */
export const put = (given: Given): Effect.Effect<void, ConfigurationInvalid | JournalError, Journal> =>
  Effect.gen(function*() {
    const journal = yield* Journal
    const { name } = given
    if (typeof given.payload === "function") {
      const problem = "payload is a function, which cannot be stored: give a value, or use the schedule's layer"
      return yield* invalid(name, [problem])
    }
    const settings = yield* check(given, journal.time.now())
    if (Either.isLeft(settings)) return yield* invalid(name, settings.left)
    const { right } = settings
    const problems = yield* queueProblems(journal, right)
    if (problems.length > 0) return yield* invalid(name, problems)
    yield* change(journal, name, (record, now) => {
      const isKnown = journal.registry.schedules.has(name)
      const other = record === null || isOrphan(record, isKnown, now) ? null : definedWorkflow(record)
      const problem = `its workflow is ${right.workflow}, but its definition in code starts ${other}: ` +
        "give it another name, or change the definition"
      return other !== null && other !== right.workflow
        ? invalid(name, [problem])
        : Effect.succeed({ row: stored(name, record, right, { byHand: true, isKnown, now }), answer: undefined })
    })
  })

/** What no schedule can be named, storage is not asked about. */
export const known = (name: string): Effect.Effect<void, UnknownSchedule> =>
  canBeStored(name) ? Effect.void : new UnknownSchedule({ schedule: storable(name) })

interface Found extends Readable {
  readonly record: ScheduleRecord
}

/** What is there of a schedule, if it can be read. */
const readable = (
  name: string,
  record: ScheduleRecord | null
): Effect.Effect<Found, UnknownSchedule | ValueInvalid> => {
  if (record === null) return new UnknownSchedule({ schedule: name })
  return Either.match(read(record), {
    onLeft: (problem) => {
      const detail = `${problem}: store it anew (RunSchedule.put), or remove it`
      return new ValueInvalid({ what: `schedule "${name}"`, detail })
    },
    onRight: (found) => Effect.succeed({ ...found, record })
  })
}

/** Change a schedule that is there; null: leave it. */
const update = <E>(
  name: string,
  decide: (found: Found, now: number) => Effect.Effect<Readable | null, E>
): Effect.Effect<void, E | UnknownSchedule | ValueInvalid | JournalError, Journal> =>
  Effect.gen(function*() {
    yield* known(name)
    yield* change(yield* Journal, name, (row, now) =>
      Effect.gen(function*() {
        const found = yield* readable(name, row)
        const next = yield* decide(found, now)
        return { row: next === null ? null : rowOf(found.record, next, now), answer: undefined }
      }))
  })

export const alter = (name: string, options: unknown) =>
  Effect.flatMap(Journal, (journal) =>
    update(name, ({ record, settings, state }, now) =>
      Effect.gen(function*() {
        if (!isFields(options)) {
          return yield* invalid(name, [`the options are ${show(options)}, they must be an object`])
        }
        const changed = settingsWith(settings, options)
        if (Either.isLeft(changed)) return yield* invalid(name, changed.left)
        const problems = yield* runProblems(journal, record, changed.right, now)
        // What was wrong before, the change does not make worse.
        const before = problems.length === 0 ? [] : yield* runProblems(journal, record, settings, now)
        const own = problems.filter((problem) => !before.includes(problem))
        if (own.length > 0) return yield* invalid(name, own)
        return turnInto(name, { settings, state }, changed.right, now)
      })))

export const remove = (name: string): Effect.Effect<void, UnknownSchedule | JournalError, Journal> =>
  Effect.gen(function*() {
    yield* known(name)
    const removed = yield* removeRow(yield* Journal, name)
    if (!removed) yield* new UnknownSchedule({ schedule: name })
  })

export const pause = (name: string, text: string | null, by: string | null) =>
  update(name, ({ settings, state }, now) => {
    const note = { text, by, at: now }
    return Effect.succeed({ settings, state: { ...state, status: "paused", note } })
  })

export const resume = (name: string) =>
  update(name, (found, now) => {
    const { status } = found.state
    return Effect.succeed(
      status === "paused" ? resumed(name, found, now) : status === "quarantined" ? mended(name, found, now) : null
    )
  })

/** What came of asking: the answer, and the runs that were started here, each with the one that stands for it. */
interface Granted<A> {
  readonly answer: A
  readonly started: ReadonlyMap<string, string>
}

/** Add to what was asked for by hand. This process starts it at once if it can; else the next one that looks. */
const ask = <A>(
  name: string,
  decide: (settings: Settings, now: number) => Effect.Effect<readonly [ReadonlyArray<Asked>, A], ValueInvalid>
): Effect.Effect<Granted<A>, UnknownSchedule | ValueInvalid | JournalError, Journal> =>
  Effect.gen(function*() {
    yield* known(name)
    const journal = yield* Journal
    const { driver } = journal
    const refuse = (detail: string) => new ValueInvalid({ what: `schedule "${name}"`, detail })
    const attempt = (row: ScheduleRecord | null, now: number) =>
      Effect.gen(function*() {
        const { record, settings, state } = yield* readable(name, row)
        if (state.status === "quarantined") {
          return yield* refuse(`it is quarantined (${state.note?.text ?? ""}): mend that, and resume it first`)
        }
        const [asked, answer] = yield* decide(settings, now)
        const backlog = [...state.backlog, ...asked]
        if (backlog.length > MOST_ASKED) {
          return yield* refuse(`${backlog.length} runs would wait, at most ${MOST_ASKED} may: ask again when fewer do`)
        }
        const next = rowOf(record, { settings, state: { ...state, backlog } }, now)
        const launch = launcher(journal, journal.registry.schedules, record, { settings })
        if (launch !== undefined) {
          const problem = yield* startProblem(journal, record, { settings, state }, launch, asked)
          if (problem !== undefined) return yield* refuse(problem)
          const { count, started } = yield* fireAsked(journal, { ...record, ...next }, now, asked.length)
          return count > 0 ? Option.some<Granted<A>>({ answer, started }) : Option.none()
        }
        const schedules = [{ ...next, revision: record.revision }]
        const written = yield* journal.ask(driver.writeSchedules({ schedules, tell: true }))
        return written.length > 0 ? Option.some<Granted<A>>({ answer, started: new Map() }) : Option.none()
      })
    return yield* insistOn(journal, name, attempt)
  })

export const trigger = (name: string, overlap: "allow" | "queueAll" | undefined) =>
  Effect.map(
    ask(name, (_settings, now) =>
      Effect.map(Clock.currentTimeMillis, (millis) => {
        const run = makeRunId(millis)
        return [[{ slot: now, run, serial: overlap === "queueAll" }], run] as const
      })),
    // A run that its workflow's singleton lets it join stands for it.
    ({ answer, started }) => started.get(answer) ?? answer
  )

export const backfill = (
  name: string,
  range: { readonly from: unknown; readonly to: unknown; readonly overlap?: "allow" | "queueAll" | undefined }
) =>
  Effect.map(
    ask(name, (settings, now) => {
      const refuse = (detail: string) => new ValueInvalid({ what: `backfill of schedule "${name}"`, detail })
      const [from, to] = [instantOf(range.from), instantOf(range.to)]
      if (from === undefined || to === undefined || from < EARLIEST) {
        return refuse(`from is ${show(range.from)} and to is ${show(range.to)}, they must be DateTimes or Dates`)
      }
      if (from >= to) return refuse(`from is ${show(range.from)} and to is ${show(range.to)}, from must be before to`)
      if (to > now)
        return refuse(`to is ${show(range.to)}, which lies ahead: slots that have not come yet are fired when they do`)
      const slots = new Slots(name, settings).between(from, to, MOST_ASKED + 1)
      if (slots.length > MOST_ASKED)
        return refuse(`there are more than ${MOST_ASKED} slots: backfill a shorter time`)
      const serial = range.overlap === "queueAll"
      return Effect.succeed(
        [
          slots.map((slot) => ({ slot, run: null, serial })),
          slots.map((slot) => DateTime.unsafeMake(slot))
        ] as const
      )
    }),
    ({ answer }) => answer
  )
