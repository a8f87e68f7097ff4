/**
 * The names that statements are written with: every table qualified by a schema that the user chose, and the one
 * expression for "now".
 *
 * @since 0.1.0
 */
import { JournalError } from "perdure/Errors"
import * as Effect from "effect/Effect"

/**
 * The tables of one schema, quoted, as they stand in a statement's text.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tables {
  /** The schema's plain name; also the name of the NOTIFY channel. */
  readonly schema: string
  /** The schema, quoted. */
  readonly quoted: string
  readonly runs: string
  readonly inputs: string
  readonly journal: string
  readonly inbox: string
  readonly published: string
  readonly workers: string
  readonly queues: string
  readonly turns: string
  readonly keyNotices: string
  readonly held: string
  readonly controls: string
  readonly samples: string
  readonly singletons: string
  readonly schedules: string
  readonly migrations: string
}

/** A name that needs no care anywhere: in SQL, as a channel of NOTIFY, in a file. */
const valid = /^[A-Za-z_][A-Za-z0-9_]{0,47}$/

/**
 * The tables of a schema. Fails with `Refused` unless the name is 1 to 48 letters, digits and underscores and does not
 * begin with a digit.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * import * as Tables from "@perdure/sql/Tables"
 * import * as Effect from "effect/Effect"
 *
 * const runs = Effect.map(Tables.make("perdure"), (tables) => tables.runs) // "perdure"."runs"
 */
export const make = (schema: string): Effect.Effect<Tables, JournalError> =>
  valid.test(schema) && !schema.toLowerCase().startsWith("pg_")
    ? Effect.succeed(unsafeMake(schema))
    : Effect.fail(
      new JournalError({
        code: "Refused",
        operation: "schema",
        detail:
          `"${schema}" cannot be the name of the schema: 1 to 48 letters, digits and underscores, not beginning ` +
          `with a digit or with pg_`,
        retryable: false
      })
    )

/** @internal */
export const unsafeMake = (schema: string): Tables => {
  const table = (name: string) => `"${schema}"."${name}"`
  return {
    schema,
    quoted: `"${schema}"`,
    runs: table("runs"),
    inputs: table("inputs"),
    journal: table("journal"),
    inbox: table("inbox"),
    published: table("published"),
    workers: table("workers"),
    queues: table("queues"),
    turns: table("turns"),
    keyNotices: table("key_notices"),
    held: table("held"),
    controls: table("controls"),
    samples: table("samples"),
    singletons: table("singletons"),
    schedules: table("schedules"),
    migrations: table("migrations")
  }
}
