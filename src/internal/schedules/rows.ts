/** Rows of schedules, read and changed: each change is made from a row as it is, and made again if that was another's. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { JournalError } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import type { Millis, ScheduleRecord, ScheduleRow } from "../../JournalDriver.js"
import { isFinal } from "../RunWatch.js"
import type { Settings, State } from "./settings.js"
import { decodeSettings, decodeState, encodeSettings, encodeState } from "./settings.js"
import { Slots, wakes } from "./turn.js"

/** A schedule that can be read. */
export interface Readable {
  readonly settings: Settings
  readonly state: State
}

/** Due when a process has its definition, or, if it has none, its workflow. */
export const needsOf = (name: string, workflow: string, isDefined: boolean): string =>
  isDefined ? `schedule ${name}` : `workflow ${workflow}`

export const initial: State = {
  status: "active",
  slot: null,
  waiting: false,
  started: 0,
  skipped: 0,
  last: null,
  note: null,
  backlog: []
}

export const readSettings = decodeSettings

export const readState = decodeState

export const read = (record: ScheduleRecord): Either.Either<Readable, string> =>
  Either.flatMap(
    decodeSettings(record.settings),
    (settings) => Either.map(decodeState(record.state), (state) => ({ settings, state }))
  )

/** Whether the run before has not ended. */
export const isBusy = ({ run, runStatus }: ScheduleRecord): boolean =>
  run !== null && runStatus !== null && !isFinal(runStatus)

/** The row of a schedule that goes on from this state. */
export const rowOf = (
  record: Pick<ScheduleRecord, "name" | "definition" | "run" | "runStatus" | "seenAt" | "revision" | "needs">,
  { settings, state }: Readable
): ScheduleRow => ({
  name: record.name,
  definition: record.definition,
  needs: needsOf(record.name, settings.workflow, record.definition !== null),
  run: record.run,
  settings: encodeSettings(settings),
  state: encodeState(state),
  ...wakes(
    new Slots(record.name, settings),
    state,
    record.run !== null && record.runStatus !== null && !isFinal(record.runStatus)
  )
})

/** A schedule that cannot fire, and why. What can be read of it stays. */
export const quarantined = (record: ScheduleRecord, reason: string, now: Millis): ScheduleRow => ({
  name: record.name,
  definition: record.definition,
  needs: record.needs,
  run: record.run,
  settings: record.settings,
  state: encodeState({
    ...Either.getOrElse(decodeState(record.state), () => initial),
    status: "quarantined",
    note: { text: reason, by: null, at: now }
  }),
  dueAt: Infinity,
  waits: false
})

/**
 * How often a change is tried anew. Most of those that are in the way have ended by the next question to storage; one that
 * has stopped in the midst of a transaction may hold the row for seconds.
 */
const TRIES = 300
const AT_ONCE = 50
const PAUSE = "50 millis"

/**
 * Change a schedule. `decide` is given the row as it is, null if there is none, and says what to write (null: nothing) and
 * to answer.
 */
export const change = <A, E, R>(
  journal: JournalService,
  name: string,
  decide: (
    record: ScheduleRecord | null,
    now: Millis
  ) => Effect.Effect<{ readonly row: ScheduleRow | null; readonly answer: A }, E, R>
): Effect.Effect<A, E | JournalError, R> => {
  const attempt = (left: number): Effect.Effect<A, E | JournalError, R> =>
    Effect.gen(function*() {
      const { now, value: [record = null] } = yield* journal.driver.schedules({ names: [name], after: null, limit: 1 })
      journal.time.observe(now)
      const { answer, row } = yield* decide(record, now)
      if (row === null) return answer
      const written = yield* journal.ask(
        journal.driver.writeSchedules({ schedules: [{ ...row, revision: record?.revision ?? 0 }], tell: true })
      )
      if (written.length > 0) return answer
      if (left > 0) {
        if (left <= TRIES - AT_ONCE) yield* Effect.sleep(PAUSE)
        return yield* attempt(left - 1)
      }
      return yield* new JournalError({
        code: "Conflict",
        operation: "schedules",
        detail: `others change schedule "${name}" again and again`,
        retryable: true
      })
    })
  return attempt(TRIES)
}
