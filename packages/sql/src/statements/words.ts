/** Expressions that statements have in common. */

/** An instant in a parameter (milliseconds, may be Infinity) as a timestamptz. */
export const instant = (millis: string): string => `to_timestamp(${millis} / 1000.0::float8)`

/** A timestamptz as milliseconds, Infinity for 'infinity'. */
export const millis = (at: string): string => `date_part('epoch', ${at}) * 1000`

/** The states that a run never leaves. */
export const finals = `('completed', 'failed', 'cancelled', 'terminated', 'expired', 'exhausted')`

/** The states in which a run waits to be claimed: the predicate of the index `runs_claim`. */
export const claimable = `('pending', 'suspended')`

/** A part of a WITH that is computed once. */
export const part = (name: string, body: string): string => `${name} AS MATERIALIZED (\n    ${body}\n  )`

/** A part that writes; it is run to its end whether or not anything reads it. */
export const change = (name: string, body: string): string => `${name} AS (\n    ${body}\n  )`
