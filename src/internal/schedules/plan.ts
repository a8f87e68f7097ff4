/** The plan for one schedule: its next row, and the runs that start with it. Nothing is written here. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { JournalError } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import type { EnqueueResult, Millis, NewRun, ScheduleRecord, ScheduleRow } from "../../driver/JournalDriver.js"
import { makeRunId } from "../codec/ids.js"
import { isFinal } from "../../driver/RunStatus.js"
import type { Decision, Situation, Start } from "./decision.js"
import { decide, isOver } from "./decision.js"
import type { Launcher, Launchers } from "./launch.js"
import { runOf, slotKey, slotText, triggerKey } from "./launch.js"
import type { ManualRun, Schedule, State } from "./model.js"
import { encodeState } from "./model.js"
import { isBusy, quarantinedRow, rowOf, scheduleOf } from "./row.js"

export interface Plan {
  readonly record: ScheduleRecord
  readonly row: ScheduleRow
  /** The state before, and the state of the row; null if the schedule is quarantined. */
  readonly before: State | null
  readonly state: State | null
  readonly runs: ReadonlyArray<NewRun>
  /** What each of the runs was started for. */
  readonly starts: ReadonlyArray<Start>
  /** The run to cancel. */
  readonly cancels: string | null
  /** All runs are manual. */
  readonly isManual: boolean
  /** Why some manual runs are not started. */
  readonly dropped: string | null
}

/** The run to start. Left: why it cannot be made. */
const newRunOf = (
  journal: JournalService,
  schedule: Schedule,
  launcher: Launcher,
  { run, slot }: Pick<Start, "run" | "slot">
): Effect.Effect<Either.Either<NewRun, string>, JournalError> =>
  Effect.gen(function*() {
    const { name } = schedule
    const now = yield* Clock.currentTimeMillis
    const made = yield* runOf(schedule, launcher, {
      slot,
      id: run ?? makeRunId(now),
      key: run === null ? slotKey(name, slot) : triggerKey(name, run),
      now
    })
    if (Either.isLeft(made)) return made
    const problem = yield* journal.process.queues.missing(made.right.queue)
    return problem === undefined ? made : Either.left(problem)
  })

const ofSlot = ({ slot }: Pick<Start, "slot">, problem: string): string => `slot ${slotText(slot)}: ${problem}`

/** The first problem of manual runs; undefined if all of them can be made. */
export const checkManualRuns = (
  journal: JournalService,
  schedule: Schedule,
  launcher: Launcher,
  manualRuns: ReadonlyArray<ManualRun>
): Effect.Effect<string | undefined, JournalError> =>
  Effect.gen(function*() {
    for (const each of manualRuns) {
      const run = yield* newRunOf(journal, schedule, launcher, each)
      if (Either.isLeft(run)) return ofSlot(each, run.left)
    }
    return undefined
  })

/** The runs of a decision. */
type Runs = Pick<Plan, "runs" | "starts" | "dropped">

/** Left: why the run of a slot cannot be made. A manual run that cannot be made is dropped. */
const runsOf = (
  journal: JournalService,
  schedule: Schedule,
  launcher: Launcher,
  { starts, state }: Decision
): Effect.Effect<Either.Either<Runs, string>, JournalError> =>
  Effect.gen(function*() {
    const manual = schedule.state.backlog.length - state.backlog.length
    const made: Array<{ readonly run: NewRun; readonly start: Start }> = []
    let dropped: string | null = null
    for (const [index, start] of starts.entries()) {
      const run = yield* newRunOf(journal, schedule, launcher, start)
      if (Either.isRight(run)) made.push({ run: run.right, start })
      else if (index < manual) dropped = droppedText(ofSlot(start, run.left))
      else return Either.left(run.left)
    }
    return Either.right({ runs: made.map(({ run }) => run), starts: made.map(({ start }) => start), dropped })
  })

/** The detail of a schedule whose manual runs were dropped. */
const droppedText = (problem: string): string => `manual runs were not started: ${problem}`

/** The last run that the next one waits for. */
const lastSerial = ({ runs, starts }: Runs) => {
  const index = starts.findLastIndex(({ serial }) => serial)
  const [slot, run] = [starts[index]?.slot, runs[index]?.id]
  return slot === undefined || run === undefined ? null : { slot, run }
}

/** The reason of a pause stays. */
const withReason = (state: State, reason: string | null, at: Millis): State =>
  reason === null || state.status === "paused" ? state : { ...state, detail: { reason, by: null, at } }

const noRuns = { runs: [], starts: [], cancels: null }

/** The plan for a schedule; null if this process can no longer start its runs and leaves it to others. */
export const planOf = (
  journal: JournalService,
  launchers: Launchers,
  record: ScheduleRecord,
  situation: Omit<Situation, "busy">
): Effect.Effect<Plan | null, JournalError> =>
  Effect.gen(function*() {
    const { now } = situation
    const quarantine = (reason: string): Plan => ({
      ...noRuns,
      record,
      row: quarantinedRow(record, reason, now),
      before: null,
      state: null,
      isManual: false,
      dropped: null
    })
    const readable = scheduleOf(record)
    if (Either.isLeft(readable)) return quarantine(readable.left)
    const schedule = readable.right
    const launcher = launchers(record, schedule.settings)
    if (launcher === undefined) return null
    const decision = decide(schedule, { ...situation, busy: isBusy(record) })
    const made = yield* runsOf(journal, schedule, launcher, decision)
    if (Either.isLeft(made)) return quarantine(made.left)
    const { dropped, runs, starts } = made.right
    const last = lastSerial(made.right)
    const state: State = {
      ...withReason(decision.state, dropped, now),
      ...(last === null ? {} : { last: { ...last, at: now } })
    }
    return {
      record,
      row: {
        name: record.name,
        definition: record.definition,
        needs: record.needs,
        settings: record.settings,
        state: encodeState(state),
        run: last?.run ?? record.run,
        dueAt: decision.dueAt,
        waits: decision.waits
      },
      before: schedule.state,
      state,
      runs,
      starts,
      cancels: decision.cancels ? record.run : null,
      isManual: decision.starts.length > 0 &&
        decision.starts.length === schedule.state.backlog.length - decision.state.backlog.length,
      dropped
    }
  })

/** The request that cancels the previous run. */
export const cancelOf = ({ cancels, record }: Plan) =>
  cancels === null ? [] : [{ run: cancels, by: `schedule ${record.name}`, reason: "its next run is due" }]

/**
 * The previous run of the next decision, where it is not the last of these runs: a slot may have had its run before,
 * or its singleton may have joined another one. A live run is preferred to one that has ended.
 */
const previousRun = (
  { before, record, runs, starts, state }: Plan,
  answers: ReadonlyMap<string, EnqueueResult>
): Pick<State, "last"> | undefined => {
  const found = runs.flatMap(({ id }, index) => {
    const [answer, start] = [answers.get(id), starts[index]]
    return answer === undefined || start === undefined || !start.serial ? [] : [{ answer, slot: start.slot }]
  })
  const at = state?.last?.at
  const last = found.at(-1)
  if (at === undefined || last === undefined || last.answer._tag === "Started") return undefined
  const fresh = found.findLast(({ answer }) => answer._tag !== "Existing")
  if (fresh === undefined && isBusy(record)) return { last: before?.last ?? null }
  const live = found.findLast(({ answer }) => answer._tag === "Existing" && !isFinal(answer.status))
  const { answer, slot } = fresh ?? live ?? last
  return { last: { slot, run: answer.id, at } }
}

/** The plan with the previous run that storage's answers imply; undefined if the row is right as it was written. */
export const correctedPlan = (plan: Plan, answers: ReadonlyMap<string, EnqueueResult>): Plan | undefined => {
  const previous = previousRun(plan, answers)
  if (previous === undefined || plan.state === null) return undefined
  const run = previous.last?.run ?? plan.record.run
  return { ...plan, row: { ...plan.row, run, state: encodeState({ ...plan.state, ...previous }) } }
}

/**
 * The plan instead of one that storage refuses: it drops manual runs; for the run of a slot it quarantines the
 * schedule.
 */
export const refusedPlan = (plan: Plan, reason: string, now: Millis): Plan => {
  const { before, isManual, record, state } = plan
  const readable = scheduleOf(record)
  if (!isManual || before === null || state === null || Either.isLeft(readable)) {
    return { ...plan, ...noRuns, row: quarantinedRow(record, reason, now), state: null }
  }
  const dropped = droppedText(reason)
  const schedule = readable.right
  const left = withReason({ ...before, backlog: state.backlog }, dropped, now)
  const isEnded = left.status === "active" && left.backlog.length === 0 && isOver(schedule.settings, left)
  const next: State = isEnded ? { ...left, status: "ended" } : left
  return { ...plan, ...noRuns, row: rowOf(record, { ...schedule, state: next }, now), state: next, dropped }
}
