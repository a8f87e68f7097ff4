/** What is done to schedules: defining, storing and changing them, and asking for runs by hand. */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import type { JournalError } from "../../Errors.js"
import { ConfigurationInvalid, UnknownSchedule, ValueInvalid } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import { Journal } from "../../Journal.js"
import type { ScheduleRecord } from "../../JournalDriver.js"
import { EARLIEST, instantOf } from "../due.js"
import { makeRunId } from "../ids.js"
import { canBeStored } from "../names.js"
import { isFields, show } from "../options.js"
import { storable } from "../wire.js"
import type { Given } from "./definition.js"
import { check, payloadOf, settingsWith } from "./definition.js"
import { DROPPED, fire, needs } from "./fire.js"
import type { Readable } from "./rows.js"
import { change, find, initial, needsOf, read, remove as removeRow, rowOf } from "./rows.js"
import type { Asked, Settings, State } from "./settings.js"
import { decodeSettings, decodeState, encodeSettings } from "./settings.js"
import { Slots } from "./slots.js"
import { isOver } from "./turn.js"

/** Runs that were asked for by hand and have not started, for one schedule. */
const MOST_ASKED = 1_000

const invalid = (name: string, problems: ReadonlyArray<string>) =>
  new ConfigurationInvalid({ what: `schedule "${name}"`, problems })

/** What a definition says, if there is nothing wrong with it. */
const checked = (given: Given, now: number) =>
  Effect.flatMap(
    check(given, now),
    (settings) => Either.isLeft(settings) ? invalid(given.name, settings.left) : Effect.succeed(settings.right)
  )

/** A schedule that goes on where it was, unless it is paused. */
const goOn = (settings: Settings, state: State): Readable =>
  state.status === "paused"
    ? { settings, state }
    : isOver(settings, state)
    ? { settings, state: { ...state, status: "ended", note: null, slot: null, queue: [] } }
    : { settings, state: { ...state, status: "active", note: null } }

/** A schedule that begins now, or goes on with other settings: with its next slot. What waits goes on waiting. */
const begin = (name: string, settings: Settings, state: State, now: number): Readable =>
  goOn(settings, { ...state, slot: new Slots(name, settings).after(now) })

/** Whether both have the same slots, and fire them at the same times. */
const haveSameSlots = (a: Settings, b: Settings): boolean =>
  encodeSettings({ ...b, calendar: a.calendar }) === encodeSettings(b) && a.from === b.from && a.until === b.until &&
  a.jitter === b.jitter

/**
 * A schedule with other settings. If its slots are the same, it goes on where it was, and loses none; else it begins with the
 * next one.
 */
const turnInto = (name: string, before: Readable, settings: Settings, now: number): Readable => {
  const { state } = before
  if (!haveSameSlots(before.settings, settings)) {
    const skipped = state.skipped + new Slots(name, before.settings).count(state.queue)
    return begin(name, settings, { ...state, queue: [], skipped }, now)
  }
  return state.slot === null ? begin(name, settings, state, now) : goOn(settings, state)
}

/** A schedule that was quarantined goes on where it was, or with its next slot if nobody can read any more where that is. */
const mend = (name: string, settings: Settings, state: State, now: number): Readable =>
  state.slot === null
    ? begin(name, settings, { ...state, status: "active" }, now)
    : goOn(settings, { ...state, status: "active" })

/** What a row is made of when there is none. */
const fresh = (name: string, { workflow }: Settings): ScheduleRecord => ({
  name,
  needs: needsOf(name, workflow, false),
  dueAt: Infinity,
  run: null,
  waits: false,
  settings: "",
  state: "",
  definition: null,
  revision: 0,
  seenAt: 0,
  runStatus: null
})

/** The workflow that the definition in code starts; null if there is none, or it cannot be read. */
const definedWorkflow = (record: ScheduleRecord | null): string | null =>
  record === null || record.definition === null
    ? null
    : Either.match(decodeSettings(record.definition), { onLeft: () => null, onRight: ({ workflow }) => workflow })

/** Store settings: as what the definition says, or by hand. */
const store = (
  journal: JournalService,
  name: string,
  settings: Settings,
  byHand: boolean
): Effect.Effect<void, ConfigurationInvalid | JournalError> =>
  change(journal, name, (record, now) => {
    const text = encodeSettings(settings)
    const state = record === null ? initial : Either.getOrElse(decodeState(record.state), () => initial)
    const other = byHand ? definedWorkflow(record) : null
    if (other !== null && other !== settings.workflow) {
      const problem = `its workflow is ${settings.workflow}, but its definition in code starts ${other}: ` +
        "give it another name, or change the definition"
      return Effect.fail(invalid(name, [problem]))
    }
    const isSame = record !== null && text === (byHand ? record.settings : record.definition)
    if (isSame && state.status !== "quarantined") return Effect.succeed({ row: null, answer: undefined })
    const next = isSame
      // Perhaps this process can: what was missed meanwhile is caught up with.
      ? mend(name, Either.getOrElse(decodeSettings(record.settings), () => settings), state, now)
      : Either.match(record === null ? Either.left(null) : decodeSettings(record.settings), {
        onLeft: () => begin(name, settings, state, now),
        onRight: (before) => turnInto(name, { settings: before, state }, settings, now)
      })
    const definition = byHand ? record?.definition ?? null : text
    return Effect.succeed({
      row: rowOf({ ...record ?? fresh(name, settings), definition }, next, now),
      answer: undefined
    })
  })

/** Make a definition known to the process and store it, after what it needs. */
export const define = (
  given: Given,
  source: object,
  needed: Effect.Effect<void, ConfigurationInvalid | JournalError, Journal | Scope.Scope>
): Effect.Effect<void, ConfigurationInvalid | JournalError, Journal | Scope.Scope> =>
  Effect.gen(function*() {
    const journal = yield* Journal
    const { registry } = journal
    const { name, workflow } = given
    const settings = yield* check(given, journal.time.now())
    if (workflow !== null) {
      yield* registry.defineSchedule({
        name,
        shape: workflow,
        definition: Either.match(settings, { onLeft: (problems) => problems.join(), onRight: encodeSettings }),
        source,
        payload: payloadOf(given.payload)
      })
    }
    const place = `schedule "${name}"`
    if (registry.checking) {
      yield* needed
      return yield* registry.note(
        Either.isRight(settings) ? [] : settings.left.map((problem) => ({
          code: "BadOption",
          place,
          detail: `${place}: ${problem}`,
          cure: "mend the option as the detail says"
        }))
      )
    }
    const rivals = registry.rivals().filter((problem) => problem.place === place)
    if (rivals.length > 0) return yield* invalid(name, rivals.map(({ cure, detail }) => `${detail}: ${cure}`))
    if (Either.isLeft(settings)) return yield* invalid(name, settings.left)
    yield* needed
    yield* store(journal, name, settings.right, false)
    yield* journal.ask(journal.driver.seeSchedules([name]))
  })

export const put = (given: Given): Effect.Effect<void, ConfigurationInvalid | JournalError, Journal> =>
  Effect.gen(function*() {
    const journal = yield* Journal
    if (typeof given.payload === "function") {
      const problem = "payload is a function, which cannot be stored: give a value, or use the schedule's layer"
      return yield* invalid(given.name, [problem])
    }
    yield* store(journal, given.name, yield* checked(given, journal.time.now()), true)
  })

/** What no schedule can be named, storage is not asked about. */
export const known = (name: string): Effect.Effect<void, UnknownSchedule> =>
  canBeStored(name) ? Effect.void : new UnknownSchedule({ schedule: storable(name) })

/** Change a schedule that is there and can be read; null: leave it. */
const update = <A, E>(
  name: string,
  decide: (readable: Readable, now: number) => Effect.Effect<readonly [Readable | null, A], E>
): Effect.Effect<A, E | UnknownSchedule | ValueInvalid | JournalError, Journal> =>
  Effect.flatMap(
    Effect.zipRight(known(name), Journal),
    (journal) =>
      change(journal, name, (record, now) =>
        Effect.gen(function*() {
          if (record === null) return yield* new UnknownSchedule({ schedule: name })
          const readable = read(record)
          if (Either.isLeft(readable)) {
            const detail = `${readable.left}: store it anew (RunSchedule.put), or remove it`
            return yield* new ValueInvalid({ what: `schedule "${name}"`, detail })
          }
          const [next, answer] = yield* decide(readable.right, now)
          return { row: next === null ? null : rowOf(record, next, now), answer }
        }))
  )

const done = undefined

export const alter = (name: string, options: unknown) =>
  update(name, ({ settings, state }, now) => {
    if (!isFields(options)) return invalid(name, [`the options are ${show(options)}, they must be an object`])
    const changed = settingsWith(settings, options)
    return Either.isLeft(changed)
      ? invalid(name, changed.left)
      : Effect.succeed([turnInto(name, { settings, state }, changed.right, now), done] as const)
  })

export const remove = (name: string): Effect.Effect<void, UnknownSchedule | JournalError, Journal> =>
  Effect.gen(function*() {
    yield* known(name)
    const removed = yield* removeRow(yield* Journal, name)
    if (!removed) yield* new UnknownSchedule({ schedule: name })
  })

export const pause = (name: string, text: string | null, by: string | null) =>
  update(name, ({ settings, state }, now) => {
    const note = { text, by, at: now }
    return Effect.succeed([{ settings, state: { ...state, status: "paused", note } }, done] as const)
  })

export const resume = (name: string) =>
  update(name, ({ settings, state }, now) => {
    if (state.status === "active" || state.status === "ended") return Effect.succeed([null, done] as const)
    if (state.status === "paused") {
      return Effect.succeed([begin(name, settings, { ...state, status: "active" }, now), done] as const)
    }
    return Effect.succeed([mend(name, settings, state, now), done] as const)
  })

/** Add to what was asked for by hand, and do it at once if this process can. */
const ask = <A>(
  name: string,
  decide: (settings: Settings, now: number) => Effect.Effect<readonly [ReadonlyArray<Asked>, A], ValueInvalid>
) =>
  Effect.gen(function*() {
    const answer = yield* update(name, ({ settings, state }, now) =>
      Effect.gen(function*() {
        const refuse = (detail: string) => new ValueInvalid({ what: `schedule "${name}"`, detail })
        if (state.status === "quarantined") {
          return yield* refuse(`it is quarantined (${state.note?.text ?? ""}): mend that, and resume it first`)
        }
        const [asked, given] = yield* decide(settings, now)
        const backlog = [...state.backlog, ...asked]
        return backlog.length > MOST_ASKED
          ? yield* refuse(`${backlog.length} runs would wait, at most ${MOST_ASKED} may: ask again when fewer do`)
          : [{ settings, state: { ...state, backlog } }, given] as const
      }))
    const journal = yield* Journal
    const { now, record } = yield* find(journal, name)
    if (record === null || !needs(journal).includes(record.needs)) return answer
    yield* fire(journal, [record], now)
    const { record: after } = yield* find(journal, name)
    const note = after === null ? null : Either.getOrElse(decodeState(after.state), () => initial).note
    return note?.text?.startsWith(DROPPED) === true && note.at >= now
      ? yield* new ValueInvalid({ what: `schedule "${name}"`, detail: note.text })
      : answer
  })

export const trigger = (name: string, overlap: "allow" | "queueAll" | undefined) =>
  ask(name, (_settings, now) =>
    Effect.map(Clock.currentTimeMillis, (millis) => {
      const run = makeRunId(millis)
      return [[{ slot: now, run, serial: overlap === "queueAll" }], run] as const
    }))

export const backfill = (
  name: string,
  range: { readonly from: unknown; readonly to: unknown; readonly overlap?: "allow" | "queueAll" | undefined }
) =>
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
  })
