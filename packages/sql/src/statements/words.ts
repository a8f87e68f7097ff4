/** Expressions that statements have in common. */
import { FinalStatus, type RunStatus } from "perdure/JournalDriver"

/** An instant in a parameter (milliseconds, may be Infinity) as a timestamptz. */
export const instant = (millis: string): string => `to_timestamp(${millis} / 1000.0::float8)`

/** A timestamptz as milliseconds, Infinity for 'infinity'. */
export const millis = (at: string): string => `date_part('epoch', ${at}) * 1000`

/** Statuses, as the right side of IN. */
export const list = (statuses: ReadonlyArray<RunStatus>): string =>
  `(${statuses.map((each) => `'${each}'`).join(", ")})`

/** The statuses that a run never leaves. */
export const finals = list(FinalStatus.literals)

/** The states in which a run waits to be claimed: the predicate of the index `runs_claim`. */
export const claimable = list(["pending", "suspended"])

/** A part of a WITH that is computed once. */
export const part = (name: string, body: string): string => `${name} AS MATERIALIZED (\n    ${body}\n  )`

/** A part that writes; it is run to its end whether or not anything reads it. */
export const change = (name: string, body: string): string => `${name} AS (\n    ${body}\n  )`
