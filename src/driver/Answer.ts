/**
 * The primitive values of the storage contract, and the shape of every answer.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { JournalError } from "../Errors.js"

/**
 * JSON text. A driver stores it and returns the same text.
 *
 * @since 0.1.0
 * @category models
 */
export type Json = string

/**
 * An instant of the driver's clock, in milliseconds since the Unix epoch, or a duration in milliseconds. `Infinity`
 * means never.
 *
 * @since 0.1.0
 * @category models
 */
export type Millis = number

/**
 * The value that a verb returns, with the driver's time.
 *
 * @since 0.1.0
 * @category models
 */
export interface Answer<A> {
  readonly now: Millis
  readonly value: A
}

/**
 * A call of a verb.
 *
 * @since 0.2.0
 * @category models
 */
export type Call<A> = Effect.Effect<Answer<A>, JournalError>
