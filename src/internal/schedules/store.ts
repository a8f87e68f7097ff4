/**
 * Rows of schedules, read and changed. A change is made from the row as it was read, and made again if another
 * process has changed the row since. What a change is, the caller decides.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import { JournalError } from "../../Errors.js"
import type { JournalService } from "../../Journal.js"
import type { Millis, ScheduleRecord, ScheduleRow } from "../../driver/JournalDriver.js"
import { perJournal } from "../journal/perJournal.js"
import { KeyedMutex } from "../util/KeyedMutex.js"

/**
 * How often a change is attempted. Most conflicts are over by the next read; a process that has stopped in a
 * transaction can lock the row for seconds.
 */
const ATTEMPT_COUNT = 300
const ATTEMPT_COUNT_WITHOUT_DELAY = 50
const DELAY_MIN_MILLIS = 20
const DELAY_MAX_MILLIS = 80

/** Not the same for all processes that wait. */
const delay = Effect.flatMap(Random.nextRange(DELAY_MIN_MILLIS, DELAY_MAX_MILLIS), Effect.sleep)

/** Repeats `attempt` until it is `Some`. `None` means another writer won. */
const retryConflicts = <A, E, R>(
  subject: string,
  attempt: Effect.Effect<Option.Option<A>, E, R>
): Effect.Effect<A, E | JournalError, R> => {
  const loop = (left: number): Effect.Effect<A, E | JournalError, R> =>
    Effect.flatMap(attempt, (result): Effect.Effect<A, E | JournalError, R> => {
      if (Option.isSome(result)) return Effect.succeed(result.value)
      if (left > 0) {
        const isImmediate = left > ATTEMPT_COUNT - ATTEMPT_COUNT_WITHOUT_DELAY
        return Effect.zipRight(isImmediate ? Effect.void : delay, loop(left - 1))
      }
      return new JournalError({
        code: "Conflict",
        operation: "schedules",
        detail: `other processes changed ${subject} before each of ${ATTEMPT_COUNT} attempts`,
        retryable: true
      })
    })
  return loop(ATTEMPT_COUNT)
}

/** Changes of one schedule by this process run one after the other: at the same time they would only conflict. */
const mutexOf = perJournal(() => new KeyedMutex())

/** Runs `attempt` with the row (null: no such schedule) until it is `Some`. `None` means another writer won. */
export const modify = <A, E, R>(
  journal: JournalService,
  name: string,
  attempt: (record: ScheduleRecord | null, now: Millis) => Effect.Effect<Option.Option<A>, E, R>
): Effect.Effect<A, E | JournalError, R> =>
  Effect.gen(function*() {
    const attempts = retryConflicts(
      `schedule "${name}"`,
      Effect.flatMap(
        journal.schedules({ names: [name], after: null, limit: 1 }),
        ({ now, value: [record = null] }) => attempt(record, now)
      )
    )
    // Inside a transaction it must not wait: the caller can have locked the row that the owner of the mutex waits for.
    return yield* (yield* journal.inTransaction) ? attempts : mutexOf(journal).withLock(name, attempts)
  })

/**
 * Changes a schedule. `decide` returns the row to write, or null to write nothing, for the row as it is (null: none).
 */
export const update = <E, R>(
  journal: JournalService,
  name: string,
  decide: (record: ScheduleRecord | null, now: Millis) => Effect.Effect<ScheduleRow | null, E, R>
): Effect.Effect<void, E | JournalError, R> =>
  modify(journal, name, (record, now) =>
    Effect.gen(function*() {
      const row = yield* decide(record, now)
      if (row === null) return Option.some(undefined)
      const schedules = [{ ...row, revision: record?.revision ?? 0 }]
      const written = yield* journal.writeSchedules({ schedules, hint: true })
      return written.length > 0 ? Option.some(undefined) : Option.none()
    }))

/** Schedules that one statement reads or writes. */
const UPDATE_PAGE_SIZE = 200

/** Changes many schedules, a page at a time. `decide` is as for `update`. */
export const updateMany = (
  journal: JournalService,
  names: ReadonlyArray<string>,
  decide: (name: string, record: ScheduleRecord | null, now: Millis) => ScheduleRow | null
): Effect.Effect<void, JournalError> =>
  Effect.forEach(Chunk.chunksOf(Chunk.fromIterable(names), UPDATE_PAGE_SIZE), (page) => {
    let left = Chunk.toReadonlyArray(page)
    return retryConflicts(
      `schedule "${left[0]}" and others`,
      Effect.gen(function*() {
        const { now, value } = yield* journal.schedules({ names: left, after: null, limit: UPDATE_PAGE_SIZE })
        const records = new Map(value.map((record) => [record.name, record]))
        const schedules = left.flatMap((name) => {
          const record = records.get(name) ?? null
          const row = decide(name, record, now)
          return row === null ? [] : [{ ...row, revision: record?.revision ?? 0 }]
        })
        if (schedules.length === 0) return Option.some(undefined)
        const written = new Set(yield* journal.writeSchedules({ schedules, hint: true }))
        left = schedules.flatMap(({ name }) => written.has(name) ? [] : [name])
        return left.length === 0 ? Option.some(undefined) : Option.none()
      })
    )
  }, { discard: true })

/** Deletes a schedule. False if it does not exist. */
export const remove = (journal: JournalService, name: string): Effect.Effect<boolean, JournalError> =>
  modify(journal, name, (record) =>
    Effect.gen(function*() {
      if (record === null) return Option.some(false)
      const removed = yield* journal.removeSchedules([{ name, revision: record.revision }])
      return removed.length > 0 ? Option.some(true) : Option.none()
    }))
