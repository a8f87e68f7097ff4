/**
 * The rows of schedules. The core decides what a schedule does and when; a driver stores its row, finds the rows that
 * are due, and replaces a row only for a caller that has read its current revision. These rules come with the rules of
 * `JournalDriver`:
 *
 * - **One writer.** Each change of a row increments its revision. A change names the revision that it was made from and
 *   applies to that one only. So one process of those that find a row due fires it, in a transaction with the runs that
 *   it starts.
 * - **No waiting.** Rows that another transaction has locked are skipped.
 * - **Due by index.** The cost of finding due rows is proportional to their number, and to the number of rows that wait
 *   for a run.
 *
 * @since 0.1.0
 */
import type { Call, Json, Millis } from "./Answer.js"
import type { RunStatus } from "./RunStatus.js"

/**
 * What the core stores of a schedule.
 *
 * @since 0.1.0
 * @category models
 */
export interface ScheduleRow {
  readonly name: string
  /** What a process needs to fire the schedule, as an opaque string. `dueSchedules` finds rows by it. */
  readonly needs: string
  /** The schedule is due from this instant on; `Infinity` for never. */
  readonly dueAt: Millis
  /** The latest run that the schedule started; null for none. */
  readonly run: string | null
  /** The schedule is also due once `run` is final or deleted. */
  readonly waits: boolean
  /** The rule: what the schedule starts, and when. */
  readonly settings: Json
  /** The progress: which slots have fired. */
  readonly state: Json
  /** The definition that was applied last; null if the schedule has none. */
  readonly definition: Json | null
}

/**
 * A schedule as it is stored.
 *
 * @since 0.1.0
 * @category models
 */
export interface ScheduleRecord extends ScheduleRow {
  /** 1 at first; each change increments it. */
  readonly revision: number
  /** When a process last reported that it has the definition, to within half a minute. */
  readonly seenAt: Millis
  /** The state of `run`; null if there is no such run. */
  readonly runStatus: RunStatus | null
}

/**
 * The verbs for schedules.
 *
 * @since 0.2.0
 * @category verbs
 */
export interface ScheduleVerbs {
  /** Reads the schedules of these names, or all schedules beyond `after`, in order of name, at most `limit`. */
  readonly schedules: (request: {
    readonly names: ReadonlyArray<string> | null
    readonly after: string | null
    readonly limit: number
  }) => Call<ReadonlyArray<ScheduleRecord>>

  /**
   * Reads up to `limit` due schedules of these `needs`: first those that wait for their run, then by `dueAt`. `nextDue`
   * is the instant at which the next schedule becomes due (null for none). `awaited` has at most `limit` runs that
   * schedules wait for.
   */
  readonly dueSchedules: (request: { readonly needs: ReadonlyArray<string>; readonly limit: number }) => Call<{
    readonly schedules: ReadonlyArray<ScheduleRecord>
    readonly nextDue: Millis | null
    readonly awaited: ReadonlyArray<string>
  }>

  /**
   * Replaces rows that have the given revision, or inserts rows (revision 0). Returns the names of the written rows.
   *
   * With `hint`, each written row is a `Scheduled` hint. `idleMillis`: storage may roll back the caller's transaction
   * after this time without a statement, so that a process that stopped does not keep rows locked.
   */
  readonly writeSchedules: (request: {
    readonly schedules: ReadonlyArray<ScheduleRow & { readonly revision: number }>
    readonly hint: boolean
    readonly idleMillis?: Millis
  }) => Call<ReadonlyArray<string>>

  /** Deletes the schedules that have the given revision. Returns the names of the deleted rows. */
  readonly removeSchedules: (
    schedules: ReadonlyArray<{ readonly name: string; readonly revision: number }>
  ) => Call<ReadonlyArray<string>>

  /** Sets `seenAt` of these schedules to now. Returns how many exist. The revision stays. */
  readonly seeSchedules: (names: ReadonlyArray<string>) => Call<number>
}
