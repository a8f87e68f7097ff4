/**
 * Firing schedules. Any number of processes do it side by side: each looks which are due, decides what that means, and
 * then, in one transaction, replaces the rows that are still as it saw them and starts their runs. So of all that decide,
 * one acts, and a process that dies has done all of it or nothing.
 *
 * A schedule that cannot fire is quarantined with the reason; those that were due with it go on.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { JournalError } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import type { Enqueued, Millis, NewRun, ScheduleRecord, ScheduleRow } from "../../JournalDriver.js"
import type { RegisteredSchedule } from "../Registry.js"
import { makeRunId } from "../ids.js"
import { requireQueue } from "../queues.js"
import { isFinal } from "../RunWatch.js"
import type { Shape } from "../shape.js"
import { runOf, slotKey } from "./definition.js"
import type { Readable } from "./rows.js"
import { isBusy, needsOf, quarantined, read } from "./rows.js"
import type { State } from "./settings.js"
import { encodeState } from "./settings.js"
import type { Start, Turn } from "./turn.js"
import { turn } from "./turn.js"

/** Schedules that are looked at together, and runs that they start together. */
const PAGE = 100
const RUNS = 1_000

/** A process that stops in the midst of firing keeps the rows from others for no longer than that, in milliseconds. */
const IDLE = 15_000

/** What is to be done about one schedule. */
interface Plan {
  readonly record: ScheduleRecord
  readonly row: ScheduleRow
  /** The state as it was, and as the row holds it; null if it is quarantined. */
  readonly before: State | null
  readonly state: State | null
  readonly runs: ReadonlyArray<NewRun>
  /** What these are the runs of. */
  readonly starts: ReadonlyArray<Start>
  /** The run that is to be cancelled. */
  readonly cancels: string | null
  /** Why some that were asked for by hand are not made. */
  readonly dropped: string | null
}

/** What was done. */
export interface Fired {
  /** How many schedules were still as they were seen. */
  readonly count: number
  /** The runs that were asked for, each with the one that stands for it. */
  readonly started: ReadonlyMap<string, string>
  /** The schedules of which some that were asked for by hand were not made, and why. */
  readonly dropped: ReadonlyMap<string, string>
}

const nothing: Fired = { count: 0, started: new Map(), dropped: new Map() }

/** What this process has, for storage to know which schedules it can fire. */
export const needs = ({ registry }: JournalService): ReadonlyArray<string> => [
  ...new Set([
    ...registry.list().map(({ name }) => needsOf("", name, false)),
    ...[...registry.schedules.keys()].map((name) => needsOf(name, "", true))
  ])
]

interface Launcher {
  readonly shape: Shape
  readonly payload: ((slot: number) => unknown) | null
}

/** How the runs of a schedule are started by this process, if they can be. */
const launcher = (
  { registry }: JournalService,
  known: ReadonlyMap<string, RegisteredSchedule>,
  record: ScheduleRecord,
  { settings }: Readable
): Launcher | undefined => {
  const defined = record.definition === null ? undefined : known.get(record.name)
  // What was changed by hand is not computed.
  if (defined !== undefined) {
    return { shape: defined.shape, payload: settings.payload === null ? defined.payload : null }
  }
  const shape = record.definition === null ? registry.shapeOf(settings.workflow, settings.version) : undefined
  return shape === undefined ? undefined : { shape, payload: null }
}

/** The run of one that is to be started; the left side says why there can be none. */
const runFor = (
  journal: JournalService,
  { name }: ScheduleRecord,
  { settings }: Readable,
  launch: Launcher,
  { run, slot }: Start
): Effect.Effect<Either.Either<NewRun, string>, JournalError> =>
  Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const made = yield* runOf({ name, settings, ...launch }, slot, {
      id: run ?? makeRunId(now),
      key: run === null ? slotKey(name, slot) : `schedule ${name} by hand ${run}`,
      now
    })
    if (Either.isLeft(made)) return made
    return yield* requireQueue(journal, made.right.queue).pipe(
      Effect.as(made),
      Effect.catchTag("UnknownQueue", (error) => Effect.succeed(Either.left(error.message)))
    )
  })

/** What a schedule says when runs that were asked for could not be made. They are asked for no more. */
const DROPPED = "not started, though asked for by hand: "

/** A turn with the runs that it starts. */
interface Made {
  readonly runs: ReadonlyArray<NewRun>
  readonly starts: ReadonlyArray<Start>
  /** Why some that were asked for by hand could not be made. */
  readonly dropped: string | null
}

/** The runs of a turn. One of a slot that cannot be made is what is wrong with the schedule; one by hand is dropped. */
const runsOf = (
  journal: JournalService,
  record: ScheduleRecord,
  readable: Readable,
  launch: Launcher,
  { starts, state }: Turn
): Effect.Effect<Either.Either<Made, string>, JournalError> =>
  Effect.gen(function*() {
    const byHand = readable.state.backlog.length - state.backlog.length
    const made: Array<{ readonly run: NewRun; readonly start: Start }> = []
    let dropped: string | null = null
    for (const [index, start] of starts.entries()) {
      const run = yield* runFor(journal, record, readable, launch, start)
      if (Either.isRight(run)) made.push({ run: run.right, start })
      else if (index < byHand) dropped = run.left
      else return Either.left(run.left)
    }
    return Either.right({ runs: made.map(({ run }) => run), starts: made.map(({ start }) => start), dropped })
  })

/** The last of the runs that the next one has to wait for. */
const lastOf = ({ runs, starts }: Made) => {
  const index = starts.findLastIndex(({ beside }) => !beside)
  const [slot, run] = [starts[index]?.slot, runs[index]?.id]
  return slot === undefined || run === undefined ? null : { slot, run }
}

/** Decide about one schedule; null to leave it to others. */
const plan = (
  journal: JournalService,
  record: ScheduleRecord,
  now: Millis,
  most: number,
  known: ReadonlyMap<string, RegisteredSchedule>
): Effect.Effect<Plan | null, JournalError> =>
  Effect.gen(function*() {
    const refuse = (reason: string): Plan => ({
      record,
      row: quarantined(record, reason, now),
      before: null,
      state: null,
      runs: [],
      starts: [],
      cancels: null,
      dropped: null
    })
    const readable = read(record)
    if (Either.isLeft(readable)) return refuse(readable.left)
    const { settings, state } = readable.right
    const launch = launcher(journal, known, record, readable.right)
    // What it needs has just left this process, which is stopping.
    if (launch === undefined) return null
    const decided = turn(record.name, settings, state, { now, most, busy: isBusy(record) })
    const made = yield* runsOf(journal, record, readable.right, launch, decided)
    if (Either.isLeft(made)) return refuse(made.left)
    const { dropped, runs, starts } = made.right
    const last = lastOf(made.right)
    const said = dropped === null ? null : `${DROPPED}${dropped}`
    const next: State = {
      ...decided.state,
      ...(last === null ? {} : { last: { ...last, at: now } }),
      // Why it is paused stays.
      ...(said === null || state.status === "paused" ? {} : { note: { text: said, by: null, at: now } })
    }
    return {
      record,
      row: {
        name: record.name,
        definition: record.definition,
        needs: record.needs,
        settings: record.settings,
        state: encodeState(next),
        run: last?.run ?? record.run,
        dueAt: decided.dueAt,
        waits: decided.waits
      },
      before: state,
      state: next,
      runs,
      starts,
      cancels: decided.cancels ? record.run : null,
      dropped: said
    }
  })

/** What a cancel by a schedule says of itself. */
const cancelOf = ({ cancels, record }: Plan) => {
  if (cancels === null) return []
  const payload = JSON.stringify({ by: `schedule ${record.name}`, reason: "its next run is due" })
  return [{ to: cancels, kind: "cancel", id: "cancel", name: "cancel", payload } as const]
}

/**
 * The run before, for the next turn, if it is not the last of these: a slot may have had its run already, or one that its
 * singleton lets it join. One that has ended is not waited for, while another goes on.
 */
const standing = (
  { before, record, runs, starts, state }: Plan,
  answers: ReadonlyMap<string, Enqueued>
): Pick<State, "last"> | undefined => {
  const stands = runs.flatMap(({ id }, index) => {
    const [answer, start] = [answers.get(id), starts[index]]
    return answer === undefined || start === undefined || start.beside ? [] : [{ answer, slot: start.slot }]
  })
  const at = state?.last?.at
  const last = stands.at(-1)
  if (at === undefined || last === undefined || last.answer._tag === "Started") return undefined
  const fresh = stands.findLast(({ answer }) => answer._tag !== "Existing")
  if (fresh === undefined && isBusy(record)) return { last: before?.last ?? null }
  const live = stands.findLast(({ answer }) => answer._tag === "Existing" && !isFinal(answer.status))
  const { answer, slot } = fresh ?? live ?? last
  return { last: { slot, run: answer.id, at } }
}

const firedOf = (plans: ReadonlyArray<Plan>, answers: ReadonlyMap<string, Enqueued>): Fired => ({
  count: plans.length,
  started: new Map([...answers].map(([id, answer]) => [id, answer.id])),
  dropped: new Map(plans.flatMap(({ dropped, record }) => dropped === null ? [] : [[record.name, dropped] as const]))
})

/** Do what was decided, of as many schedules as are still as they were seen. */
const act = (
  journal: JournalService,
  plans: ReadonlyArray<Plan>,
  tell: boolean
): Effect.Effect<Fired, JournalError> =>
  Effect.gen(function*() {
    const { driver } = journal
    const write = (some: ReadonlyArray<Plan>, by: number) =>
      driver.writeSchedules({
        schedules: some.map(({ record, row }) => ({ ...row, revision: record.revision + by })),
        tell,
        idleMillis: IDLE
      })
    if (plans.every(({ cancels, runs }) => runs.length === 0 && cancels === null)) {
      const written = new Set(yield* journal.ask(write(plans, 0)))
      return firedOf(plans.filter(({ record }) => written.has(record.name)), new Map())
    }
    return yield* driver.transaction(Effect.gen(function*() {
      const written = new Set(yield* journal.ask(write(plans, 0)))
      const mine = plans.filter(({ record }) => written.has(record.name))
      const runs = mine.flatMap((each) => each.runs)
      const answers = runs.length === 0 ? [] : yield* journal.ask(driver.enqueue({ runs, claim: null }))
      const byId = new Map(runs.flatMap(({ id }, index) => {
        const answer = answers[index]
        return answer === undefined ? [] : [[id, answer] as const]
      }))
      const others = mine.flatMap((each): ReadonlyArray<Plan> => {
        const stands = standing(each, byId)
        if (stands === undefined || each.state === null) return []
        const run = stands.last?.run ?? each.record.run
        return [{ ...each, row: { ...each.row, run, state: encodeState({ ...each.state, ...stands }) } }]
      })
      if (others.length > 0) yield* journal.ask(write(others, 1))
      const cancels = mine.flatMap(cancelOf)
      if (cancels.length > 0) yield* journal.ask(driver.deliver(cancels))
      return firedOf(mine, byId)
    }))
  })

/** Act on all of them together; if storage refuses that, on each by itself, so that one cannot keep the others. */
const actOnAll = (
  journal: JournalService,
  plans: ReadonlyArray<Plan>,
  now: Millis,
  tell: boolean
): Effect.Effect<Fired, JournalError> =>
  Effect.catchIf(act(journal, plans, tell), (error) => !error.retryable, (error) => {
    const [only] = plans
    if (only === undefined) return Effect.succeed(nothing)
    if (plans.length > 1) {
      return Effect.map(
        Effect.forEach(plans, (each) => actOnAll(journal, [each], now, tell)),
        (acted) =>
          acted.reduce((all, each) => ({
            count: all.count + each.count,
            started: new Map([...all.started, ...each.started]),
            dropped: new Map([...all.dropped, ...each.dropped])
          }), nothing)
      )
    }
    const row = quarantined(only.record, `storage refuses its run: ${error.message}`, now)
    return act(journal, [{ ...only, row, state: null, runs: [], starts: [], cancels: null, dropped: null }], tell)
  })

/** Fire up to a page of schedules that are due. */
export const fireDue = (journal: JournalService) =>
  Effect.gen(function*() {
    const has = needs(journal)
    if (has.length === 0) return { found: 0, fired: 0, nextDue: null, awaited: [] }
    const { now, value: { awaited, nextDue, schedules } } = yield* journal.driver.dueSchedules({
      needs: has,
      limit: PAGE
    })
    journal.time.observe(now)
    const { count, dropped } = schedules.length === 0 ? nothing : yield* fire(journal, schedules, now, { tell: false })
    for (const [name, why] of dropped) {
      yield* Effect.logWarning("runs of a schedule cannot be made").pipe(Effect.annotateLogs({ schedule: name, why }))
    }
    return { found: schedules.length, fired: count, nextDue, awaited }
  })

/** Fire these schedules as they were seen at a time of the driver's, and perhaps tell others that they have changed. */
export const fire = (
  journal: JournalService,
  schedules: ReadonlyArray<ScheduleRecord>,
  now: Millis,
  { tell }: { readonly tell: boolean }
): Effect.Effect<Fired, JournalError> =>
  Effect.gen(function*() {
    const known = journal.registry.schedules
    const most = Math.max(1, Math.floor(RUNS / schedules.length))
    const plans = yield* Effect.forEach(schedules, (record) => plan(journal, record, now, most, known))
    const mine = plans.filter((each) => each !== null)
    return mine.length === 0 ? nothing : yield* actOnAll(journal, mine, now, tell)
  })
