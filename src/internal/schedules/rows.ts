/** Rows of schedules, read and changed: each change is made from a row as it is, and made again if that was another's. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import { JournalError } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import type { Millis, ScheduleRecord, ScheduleRow } from "../../driver/JournalDriver.js"
import { perJournal } from "../process/perJournal.js"
import { isFinal } from "../process/RunWatch.js"
import { KeyedMutex } from "../util/KeyedMutex.js"
import type { Settings, State } from "./settings.js"
import { decodeSettings, decodeState, encodeSettings, encodeState } from "./settings.js"
import { Slots } from "./slots.js"
import { wakes } from "./turn.js"

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
  queue: [],
  cancelled: false,
  started: 0,
  skipped: 0,
  last: null,
  note: null,
  backlog: []
}

export const read = (record: ScheduleRecord): Either.Either<Readable, string> =>
  Either.flatMap(
    decodeSettings(record.settings),
    (settings) => Either.map(decodeState(record.state), (state) => ({ settings, state }))
  )

/** Whether the run before has not ended. */
export const isBusy = ({ run, runStatus }: Pick<ScheduleRecord, "run" | "runStatus">): boolean =>
  run !== null && runStatus !== null && !isFinal(runStatus)

/** A definition that no process has said to have for so long is an orphan's. Milliseconds. */
const ORPHANED = 180_000

/** Whether no process has its definition, as far as this one knows, which may have it (`isKnown`). */
export const isOrphan = ({ definition, seenAt }: ScheduleRecord, isKnown: boolean, now: Millis): boolean =>
  definition !== null && !isKnown && seenAt < now - ORPHANED

/** The row of a schedule that goes on from this state. */
export const rowOf = (
  record: Pick<ScheduleRecord, "name" | "definition" | "run" | "runStatus">,
  { settings, state }: Readable,
  now: Millis
): ScheduleRow => ({
  name: record.name,
  definition: record.definition,
  needs: needsOf(record.name, settings.workflow, record.definition !== null),
  run: record.run,
  settings: encodeSettings(settings),
  state: encodeState(state),
  ...wakes(new Slots(record.name, settings), settings, state, isBusy(record), now)
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
const PAUSE = { least: 20, most: 80 }

/** Not the same for all that wait. Milliseconds. */
const pause = Effect.flatMap(Random.nextRange(PAUSE.least, PAUSE.most), Effect.sleep)

/** Try until nobody is in the way. None: somebody was. */
const insist = <A, E, R>(
  what: string,
  attempt: Effect.Effect<Option.Option<A>, E, R>
): Effect.Effect<A, E | JournalError, R> => {
  const go = (left: number): Effect.Effect<A, E | JournalError, R> =>
    Effect.flatMap(attempt, (done): Effect.Effect<A, E | JournalError, R> => {
      if (Option.isSome(done)) return Effect.succeed(done.value)
      if (left > 0) return Effect.zipRight(left > TRIES - AT_ONCE ? Effect.void : pause, go(left - 1))
      return new JournalError({
        code: "Conflict",
        operation: "schedules",
        detail: `others change ${what} again and again`,
        retryable: true
      })
    })
  return go(TRIES)
}

/** Changes of one schedule that a process makes at the same time take turns, as each could but stand in the others' way. */
const mutexOf = perJournal(() => new KeyedMutex())

/** Do something with a schedule as it is, null if there is none; again if that was another's meanwhile (none). */
export const insistOn = <A, E, R>(
  journal: JournalService,
  name: string,
  attempt: (record: ScheduleRecord | null, now: Millis) => Effect.Effect<Option.Option<A>, E, R>
): Effect.Effect<A, E | JournalError, R> =>
  Effect.gen(function*() {
    const all = insist(
      `schedule "${name}"`,
      Effect.flatMap(
        journal.driver.schedules({ names: [name], after: null, limit: 1 }),
        ({ now, value: [record = null] }) => {
          journal.time.observe(now)
          return attempt(record, now)
        }
      )
    )
    // Who is in a transaction may have the row for which the one whose turn it is waits.
    return yield* (yield* journal.driver.inTransaction) ? all : mutexOf(journal).take(name, all)
  })

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
): Effect.Effect<A, E | JournalError, R> =>
  insistOn(journal, name, (record, now) =>
    Effect.gen(function*() {
      const { answer, row } = yield* decide(record, now)
      if (row === null) return Option.some(answer)
      const schedules = [{ ...row, revision: record?.revision ?? 0 }]
      const written = yield* journal.ask(journal.driver.writeSchedules({ schedules, tell: true }))
      return written.length > 0 ? Option.some(answer) : Option.none()
    }))

/** Schedules that are changed together. */
const PAGE = 200

/** Change many, a page at a time. `decide` is given each row as it is, and says what to write (null: nothing). */
export const changeAll = (
  journal: JournalService,
  names: ReadonlyArray<string>,
  decide: (name: string, record: ScheduleRecord | null, now: Millis) => ScheduleRow | null
): Effect.Effect<void, JournalError> =>
  Effect.forEach(Chunk.chunksOf(Chunk.fromIterable(names), PAGE), (page) => {
    let left = Chunk.toReadonlyArray(page)
    return insist(
      `schedule "${left[0]}" and others`,
      Effect.gen(function*() {
        const { now, value } = yield* journal.driver.schedules({ names: left, after: null, limit: PAGE })
        journal.time.observe(now)
        const records = new Map(value.map((record) => [record.name, record]))
        const schedules = left.flatMap((name) => {
          const record = records.get(name) ?? null
          const row = decide(name, record, now)
          return row === null ? [] : [{ ...row, revision: record?.revision ?? 0 }]
        })
        if (schedules.length === 0) return Option.some(undefined)
        const written = new Set(yield* journal.ask(journal.driver.writeSchedules({ schedules, tell: true })))
        left = schedules.flatMap(({ name }) => written.has(name) ? [] : [name])
        return left.length === 0 ? Option.some(undefined) : Option.none()
      })
    )
  }, { discard: true })

/** Take a schedule away. False if there is none. */
export const remove = (journal: JournalService, name: string): Effect.Effect<boolean, JournalError> =>
  insistOn(journal, name, (record) =>
    Effect.gen(function*() {
      if (record === null) return Option.some(false)
      const removed = yield* journal.ask(journal.driver.removeSchedules([{ name, revision: record.revision }]))
      return removed.length > 0 ? Option.some(true) : Option.none()
    }))
