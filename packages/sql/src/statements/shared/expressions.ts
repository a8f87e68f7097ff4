/** Expressions that many statements use. */
import { ClaimableStatus, FinalStatus, FinishStatus, HaltedStatus, type RunStatus } from "perdure/JournalDriver"

/** A parameter in milliseconds, which may be Infinity, as a timestamptz. */
export const instant = (millis: string): string => `to_timestamp(${millis} / 1000.0::float8)`

/** A timestamptz in milliseconds; Infinity for 'infinity'. */
export const millis = (at: string): string => `date_part('epoch', ${at}) * 1000`

/** Milliseconds as an interval. */
export const interval = (milliseconds: number): string => `${milliseconds} * interval '1 millisecond'`

/** Statuses, as the right side of IN. */
export const statusList = (statuses: ReadonlyArray<RunStatus>): string =>
  `(${statuses.map((each) => `'${each}'`).join(", ")})`

/** The statuses that a run never leaves. Part of the predicates of `runs_holding` and `runs_deadline`. */
export const finals = statusList(FinalStatus.literals)

/** The statuses that a `Finish` leads to. */
export const finishes = statusList(FinishStatus.literals)

/** The statuses in which a run waits for a claim. Part of the predicate of `runs_claim`. */
export const claimable = statusList(ClaimableStatus.literals)

/** The statuses in which a run waits for a user. Part of the predicates of `runs_parked` and `runs_shelved`. */
export const halted = statusList(HaltedStatus.literals)

/** The strings of a JSON array, as an array. */
export const textArray = (parameter: string): string => `ARRAY(SELECT json_array_elements_text(${parameter}::json))`
