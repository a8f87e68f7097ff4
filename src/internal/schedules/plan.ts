/** What is to be done about a schedule that is due: its next row, and the runs that it starts. Nothing is written here. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { JournalError } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import type { Enqueued, Millis, NewRun, ScheduleRecord, ScheduleRow } from "../../driver/JournalDriver.js"
import type { RegisteredSchedule } from "../process/Registry.js"
import { makeRunId } from "../codec/ids.js"
import { queueMissing } from "../process/queues.js"
import { isFinal } from "../process/RunWatch.js"
import type { Shape } from "../workflow/shape.js"
import { runOf, slotKey, slotText } from "./definition.js"
import type { Readable } from "./rows.js"
import { isBusy, quarantined, read, rowOf } from "./rows.js"
import type { Asked, State } from "./settings.js"
import { encodeState } from "./settings.js"
import type { Start, Turn } from "./turn.js"
import { isOver, turn } from "./turn.js"

/** What is to be done about one schedule. */
export interface Plan {
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
  /** All of them were asked for by hand. */
  readonly isByHand: boolean
  /** Why some that were asked for by hand are not made. */
  readonly dropped: string | null
  /** Why the schedule is quarantined. */
  readonly refused: string | null
}

interface Launcher {
  readonly shape: Shape
  readonly payload: ((slot: number) => unknown) | null
}

/** How the runs of a schedule are started by this process, if they can be. */
export const launcher = (
  { registry }: JournalService,
  known: ReadonlyMap<string, RegisteredSchedule>,
  record: ScheduleRecord,
  { settings }: Pick<Readable, "settings">
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
  { run, slot }: Pick<Start, "run" | "slot">
): Effect.Effect<Either.Either<NewRun, string>, JournalError> =>
  Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const made = yield* runOf({ name, settings, ...launch }, slot, {
      id: run ?? makeRunId(now),
      key: run === null ? slotKey(name, slot) : `schedule ${name} by hand ${run}`,
      now
    })
    if (Either.isLeft(made)) return made
    const problem = yield* queueMissing(journal, made.right.queue)
    return problem === undefined ? made : Either.left(problem)
  })

/** What a schedule says when runs that were asked for could not be made. They are asked for no more. */
const DROPPED = "not started, though asked for by hand: "

const ofSlot = ({ slot }: Pick<Start, "slot">, why: string): string => `slot ${slotText(slot)}: ${why}`

/** Why one of these that are asked for by hand cannot be made, if that is so. */
export const startProblem = (
  journal: JournalService,
  record: ScheduleRecord,
  readable: Readable,
  launch: Launcher,
  asked: ReadonlyArray<Asked>
): Effect.Effect<string | undefined, JournalError> =>
  Effect.gen(function*() {
    for (const each of asked) {
      const run = yield* runFor(journal, record, readable, launch, each)
      if (Either.isLeft(run)) return ofSlot(each, run.left)
    }
    return undefined
  })

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
      else if (index < byHand) dropped = ofSlot(start, run.left)
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

/** A state with a note; why it is paused stays. */
const saying = (state: State, text: string | null, at: Millis): State =>
  text === null || state.status === "paused" ? state : { ...state, note: { text, by: null, at } }

/** Decide about one schedule; null to leave it to others. */
export const planOf = (
  journal: JournalService,
  record: ScheduleRecord,
  now: Millis,
  look: { readonly most: number; readonly onlyAsked?: number },
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
      isByHand: false,
      dropped: null,
      refused: reason
    })
    const readable = read(record)
    if (Either.isLeft(readable)) return refuse(readable.left)
    const { settings, state } = readable.right
    const launch = launcher(journal, known, record, readable.right)
    // What it needs has just left this process, which is stopping.
    if (launch === undefined) return null
    const decided = turn(record.name, settings, state, { ...look, now, busy: isBusy(record) })
    const made = yield* runsOf(journal, record, readable.right, launch, decided)
    if (Either.isLeft(made)) return refuse(made.left)
    const { dropped, runs, starts } = made.right
    const last = lastOf(made.right)
    const said = dropped === null ? null : `${DROPPED}${dropped}`
    const next: State = {
      ...saying(decided.state, said, now),
      ...(last === null ? {} : { last: { ...last, at: now } })
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
      isByHand: decided.starts.length > 0 &&
        decided.starts.length === state.backlog.length - decided.state.backlog.length,
      dropped: said,
      refused: null
    }
  })

/** What a cancel by a schedule says of itself. */
export const cancelOf = ({ cancels, record }: Plan) => {
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

/** The plan once storage has said which runs there are: another than is written now, or undefined. */
export const corrected = (plan: Plan, answers: ReadonlyMap<string, Enqueued>): Plan | undefined => {
  const stands = standing(plan, answers)
  if (stands === undefined || plan.state === null) return undefined
  const run = stands.last?.run ?? plan.record.run
  return { ...plan, row: { ...plan.row, run, state: encodeState({ ...plan.state, ...stands }) } }
}

/** What is done instead of what storage refuses: what was asked for by hand is dropped; with others, the schedule is quarantined. */
export const refusedBy = (plan: Plan, why: string, now: Millis): Plan => {
  const { before, isByHand, record, state } = plan
  const nothing = { ...plan, runs: [], starts: [], cancels: null }
  const readable = read(record)
  if (!isByHand || before === null || state === null || Either.isLeft(readable)) {
    return { ...nothing, row: quarantined(record, why, now), state: null, refused: why }
  }
  const dropped = `${DROPPED}${why}`
  const { settings } = readable.right
  const said = saying({ ...before, backlog: state.backlog }, dropped, now)
  const isEnded = said.status === "active" && said.backlog.length === 0 && isOver(settings, said)
  const next: State = isEnded ? { ...said, status: "ended" } : said
  const row = rowOf(record, { settings, state: next }, now)
  return { ...nothing, row, state: next, dropped }
}
