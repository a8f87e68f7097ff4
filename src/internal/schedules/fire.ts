/**
 * Firing schedules. Any number of processes do it side by side: each looks which are due, decides what that means, and
 * then, in one transaction, replaces the rows that are still as it saw them and starts their runs. So of all that decide,
 * one acts, and a process that dies has done all of it or nothing.
 *
 * A schedule that cannot fire is quarantined with the reason; those that were due with it go on.
 */
import * as Effect from "effect/Effect"
import type { JournalError } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import type { Enqueued, Millis, ScheduleRecord } from "../../driver/JournalDriver.js"
import type { Plan } from "./plan.js"
import { cancelOf, corrected, planOf, refusedBy } from "./plan.js"
import { needsOf } from "./rows.js"

/** Schedules that are looked at together, and runs that they start together. */
const PAGE = 100
const RUNS = 1_000

/** A process that stops in the midst of firing keeps the rows from others for no longer than that, in milliseconds. */
const IDLE = 15_000

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
    // A transaction of the caller's own is as patient as the caller wants it to be.
    const patience = (yield* driver.inTransaction) ? {} : { idleMillis: IDLE }
    const write = (some: ReadonlyArray<Plan>, by: number) =>
      driver.writeSchedules({
        schedules: some.map(({ record, row }) => ({ ...row, revision: record.revision + by })),
        tell,
        ...patience
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
      const others = mine.flatMap((each) => corrected(each, byId) ?? [])
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
  now: Millis
): Effect.Effect<Fired, JournalError> =>
  Effect.catchIf(act(journal, plans, false), (error) => !error.retryable, (error) => {
    const [only] = plans
    if (only === undefined) return Effect.succeed(nothing)
    if (plans.length > 1) {
      return Effect.map(
        Effect.forEach(plans, (each) => actOnAll(journal, [each], now)),
        (acted) =>
          acted.reduce((all, each) => ({
            count: all.count + each.count,
            started: new Map([...all.started, ...each.started]),
            dropped: new Map([...all.dropped, ...each.dropped])
          }), nothing)
      )
    }
    return act(journal, [refusedBy(only, `storage refuses its run: ${error.message}`, now)], false)
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
    const { count, dropped } = schedules.length === 0 ? nothing : yield* fire(journal, schedules, now)
    for (const [name, why] of dropped) {
      yield* Effect.logWarning("runs of a schedule cannot be made").pipe(Effect.annotateLogs({ schedule: name, why }))
    }
    return { found: schedules.length, fired: count, nextDue, awaited }
  })

/** Fire these schedules as they were seen at a time of the driver's. */
const fire = (
  journal: JournalService,
  schedules: ReadonlyArray<ScheduleRecord>,
  now: Millis
): Effect.Effect<Fired, JournalError> =>
  Effect.gen(function*() {
    const known = journal.registry.schedules
    const most = Math.max(1, Math.floor(RUNS / schedules.length))
    const plans = yield* Effect.forEach(schedules, (record) => planOf(journal, record, now, { most }, known))
    const mine = plans.filter((each) => each !== null)
    return mine.length === 0 ? nothing : yield* actOnAll(journal, mine, now)
  })

/**
 * Start what is asked of a schedule (the last so many in its backlog, of which its row does not say yet), and tell others. All else
 * is left to them. If this fails, all
 * is as before.
 */
export const fireAsked = (
  journal: JournalService,
  record: ScheduleRecord,
  now: Millis,
  asked: number
): Effect.Effect<Fired, JournalError> =>
  Effect.flatMap(
    planOf(journal, record, now, { most: RUNS, onlyAsked: asked }, journal.registry.schedules),
    (plan) => plan === null ? Effect.succeed(nothing) : act(journal, [plan], true)
  )
