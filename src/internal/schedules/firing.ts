/**
 * Firing: starts the runs of schedules that are due. Many processes fire side by side. Each reads which schedules are
 * due and plans what to do; then one transaction replaces the rows that are still as they were read, and starts their
 * runs. So only one of the processes acts, and one that dies has done all of it or nothing.
 *
 * A schedule that cannot fire is quarantined with the reason; the schedules that were due with it still fire.
 */
import * as Effect from "effect/Effect"
import type { JournalError } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import type { EnqueueResult, Millis, ScheduleRecord } from "../../driver/JournalDriver.js"
import { launchersOf } from "./launch.js"
import type { Plan } from "./plan.js"
import { cancelOf, correctedPlan, planOf, refusedPlan } from "./plan.js"
import { needsOf } from "./row.js"

/** Schedules that are fired together. */
const FIRING_PAGE_SIZE = 100

/** Runs that one transaction starts. */
const RUN_COUNT_LIMIT = 1_000

/** A process that stops inside the transaction locks the rows for this time at most. */
const TRANSACTION_IDLE_MILLIS = 15_000

export interface Outcome {
  /** The number of schedules whose row was written. */
  readonly fired: number
  /** The ids of the runs to start, each with the id of the run that stands for it. */
  readonly started: ReadonlyMap<string, string>
  /** The schedules whose manual runs were dropped, each with the reason. */
  readonly dropped: ReadonlyMap<string, string>
}

const nothing: Outcome = { fired: 0, started: new Map(), dropped: new Map() }

/** What this process has. Storage finds the schedules by it that this process can fire. */
export const needsOfProcess = ({ process: { registrations } }: JournalService): ReadonlyArray<string> => [
  ...new Set([
    ...registrations.list().map(({ name }) => needsOf("", name, false)),
    ...[...registrations.schedules.keys()].map((name) => needsOf(name, "", true))
  ])
]

const outcomeOf = (plans: ReadonlyArray<Plan>, answers: ReadonlyMap<string, EnqueueResult>): Outcome => ({
  fired: plans.length,
  started: new Map([...answers].map(([id, answer]) => [id, answer.id])),
  dropped: new Map(plans.flatMap(({ dropped, record }) => dropped === null ? [] : [[record.name, dropped] as const]))
})

/** Writes the plans of the schedules whose rows are still as they were read. `hint`: other processes are hinted. */
const execute = (
  journal: JournalService,
  plans: ReadonlyArray<Plan>,
  hint: boolean
): Effect.Effect<Outcome, JournalError> =>
  Effect.gen(function*() {
    // The timeouts of a caller's transaction are the caller's.
    const timeout = (yield* journal.inTransaction) ? {} : { idleMillis: TRANSACTION_IDLE_MILLIS }
    const write = (some: ReadonlyArray<Plan>, revisions: number) =>
      journal.writeSchedules({
        schedules: some.map(({ record, row }) => ({ ...row, revision: record.revision + revisions })),
        hint,
        ...timeout
      })
    if (plans.every(({ cancels, runs }) => runs.length === 0 && cancels === null)) {
      const written = new Set(yield* write(plans, 0))
      return outcomeOf(plans.filter(({ record }) => written.has(record.name)), new Map())
    }
    return yield* journal.transaction(Effect.gen(function*() {
      const written = new Set(yield* write(plans, 0))
      const mine = plans.filter(({ record }) => written.has(record.name))
      const runs = mine.flatMap((each) => each.runs)
      const enqueued = runs.length === 0 ? [] : (yield* journal.enqueue({ runs, claim: null })).value
      const answers = new Map(runs.flatMap(({ id }, index) => {
        const answer = enqueued[index]
        return answer === undefined ? [] : [[id, answer] as const]
      }))
      const corrections = mine.flatMap((each) => correctedPlan(each, answers) ?? [])
      if (corrections.length > 0) yield* write(corrections, 1)
      yield* journal.cancel(mine.flatMap(cancelOf))
      return outcomeOf(mine, answers)
    }))
  })

/**
 * Executes the plans together. If storage refuses that, executes each by itself, so that one does not stop the
 * others.
 */
const executeAll = (
  journal: JournalService,
  plans: ReadonlyArray<Plan>,
  now: Millis
): Effect.Effect<Outcome, JournalError> =>
  Effect.catchIf(execute(journal, plans, false), (error) => !error.retryable, (error) => {
    const [only] = plans
    if (only === undefined) return Effect.succeed(nothing)
    if (plans.length > 1) {
      return Effect.map(
        Effect.forEach(plans, (each) => executeAll(journal, [each], now)),
        (outcomes) =>
          outcomes.reduce((all, each) => ({
            fired: all.fired + each.fired,
            started: new Map([...all.started, ...each.started]),
            dropped: new Map([...all.dropped, ...each.dropped])
          }), nothing)
      )
    }
    return execute(journal, [refusedPlan(only, `storage refuses its run: ${error.message}`, now)], false)
  })

/** Fires up to a page of schedules that are due. */
export const fireDue = (journal: JournalService) =>
  Effect.gen(function*() {
    const needs = needsOfProcess(journal)
    if (needs.length === 0) return { found: 0, fired: 0, nextDue: null, awaited: [] }
    const { now, value: { awaited, nextDue, schedules } } = yield* journal.dueSchedules({
      needs,
      limit: FIRING_PAGE_SIZE
    })
    const { dropped, fired } = schedules.length === 0 ? nothing : yield* fire(journal, schedules, now)
    for (const [schedule, reason] of dropped) {
      yield* Effect.logWarning("manual runs of a schedule were dropped").pipe(
        Effect.annotateLogs({ schedule, reason })
      )
    }
    return { found: schedules.length, fired, nextDue, awaited }
  })

/** Fires schedules as they were read. */
const fire = (
  journal: JournalService,
  records: ReadonlyArray<ScheduleRecord>,
  now: Millis
): Effect.Effect<Outcome, JournalError> =>
  Effect.gen(function*() {
    const launchers = launchersOf(journal)
    const limit = Math.max(1, Math.floor(RUN_COUNT_LIMIT / records.length))
    const plans = yield* Effect.forEach(records, (record) => planOf(journal, launchers, record, { now, limit }))
    const mine = plans.filter((plan) => plan !== null)
    return mine.length === 0 ? nothing : yield* executeAll(journal, mine, now)
  })

/**
 * Starts the last `count` manual runs of a record, which its stored row does not have yet, and hints other processes,
 * which fire all else. If this fails, nothing has changed.
 */
export const fireManual = (
  journal: JournalService,
  record: ScheduleRecord,
  now: Millis,
  count: number
): Effect.Effect<Outcome, JournalError> =>
  Effect.flatMap(
    planOf(journal, launchersOf(journal), record, { now, limit: RUN_COUNT_LIMIT, manualOnly: count }),
    (plan) => plan === null ? Effect.succeed(nothing) : execute(journal, [plan], true)
  )
