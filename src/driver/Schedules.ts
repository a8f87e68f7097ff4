/**
 * The part of the storage contract that is about schedules. What a schedule does, and when, is decided above: a driver keeps
 * its row, finds those that are due, and replaces a row only for who has seen it as it is. The rules of `JournalDriver`
 * hold; these come with them:
 *
 * - **One writer.** A row has a revision, which grows by one with each change. A change names the revision that it was made
 *   from, and is applied only to that one. So of many processes that find a row due, one takes it; in a transaction, together
 *   with the runs that it starts.
 * - **Nobody waits.** Rows that somebody else is just changing are passed over.
 * - **Due by index.** Looking for rows that are due takes no more work than there are such, and rows that wait for a run.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { JournalError } from "../Errors.js"
import type { Answer, Json, Millis, RunStatus } from "./Model.js"

type Op<A> = Effect.Effect<Answer<A>, JournalError>

/**
 * What is kept of a schedule.
 *
 * @since 0.1.0
 * @category models
 */
export interface ScheduleRow {
  readonly name: string
  /** What a process must have to take it, whatever that means above: `due` is asked by it. */
  readonly needs: string
  /** Due from this instant on; Infinity for never. */
  readonly dueAt: Millis
  /** The latest run that it has started; null for none. */
  readonly run: string | null
  /** Due, too, once `run` is final or gone. */
  readonly waits: boolean
  /** What it does and when. */
  readonly settings: Json
  /** How far it has come. */
  readonly state: Json
  /** What its definition said when that was applied last; null if it has none. */
  readonly definition: Json | null
}

/**
 * A schedule as it is stored.
 *
 * @since 0.1.0
 * @category models
 */
export interface ScheduleRecord extends ScheduleRow {
  /** From 1 on, one more with each change. */
  readonly revision: number
  /** When a process last said that it has its definition, give or take half a minute. */
  readonly seenAt: Millis
  /** The state of `run`; null if there is none, or it was deleted. */
  readonly runStatus: RunStatus | null
}

/**
 * What a driver does about schedules.
 *
 * @since 0.1.0
 * @category models
 */
export interface JournalSchedules {
  /** Of these names, or all from `after` on, in order of name, at most `limit`. */
  readonly schedules: (request: {
    readonly names: ReadonlyArray<string> | null
    readonly after: string | null
    readonly limit: number
  }) => Op<ReadonlyArray<ScheduleRecord>>

  /**
   * Up to `limit` schedules of these `needs` that are due, those that wait for their run first, then in order of when they
   * became due. `nextDue` is when the next one that is not yet due will be (null if none); `awaited` are runs, at most `limit`,
   * that schedules wait for.
   */
  readonly dueSchedules: (request: { readonly needs: ReadonlyArray<string>; readonly limit: number }) => Op<{
    readonly schedules: ReadonlyArray<ScheduleRecord>
    readonly nextDue: Millis | null
    readonly awaited: ReadonlyArray<string>
  }>

  /**
   * Write rows: in place of those with this revision, or new ones (revision 0). Answers the names that were written. With
   * `tell`, processes that have what they need are hinted (`Scheduled`). `idleMillis`: storage may roll back the caller's
   * transaction when nothing was asked in it for so long, so that a process which has stopped there holds no rows.
   */
  readonly writeSchedules: (request: {
    readonly schedules: ReadonlyArray<ScheduleRow & { readonly revision: number }>
    readonly tell: boolean
    readonly idleMillis?: Millis
  }) => Op<ReadonlyArray<string>>

  /** Delete those with this revision. Answers the names that were deleted. */
  readonly removeSchedules: (
    schedules: ReadonlyArray<{ readonly name: string; readonly revision: number }>
  ) => Op<ReadonlyArray<string>>

  /** Say that this process has their definitions. Answers how many are there. The revision stays. */
  readonly seeSchedules: (names: ReadonlyArray<string>) => Op<number>
}
