/** Sending a statement: the one way from the driver's operations to the database. */
import type * as Effect from "effect/Effect"
import type { JournalError } from "perdure/Errors"
import type * as Row from "../internal/Row.js"
import type { Verb } from "../Verb.js"

/**
 * Sends the statement of a verb and decodes its rows. A row that cannot be decoded is `Corrupt`. `operation` names the
 * driver's operation in errors; by default it is the verb's name.
 */
export type Query = <A>(
  verb: Verb,
  parameters: ReadonlyArray<unknown>,
  decode: (rows: ReadonlyArray<Row.Fields>) => A,
  operation?: string
) => Effect.Effect<A, JournalError>
