/**
 * The tables, each qualified by the schema that the user chose.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { ConfigurationInvalid } from "perdure/Errors"
import * as Rule from "perdure/Rule"

/**
 * The tables of one schema, quoted for the text of a statement.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tables {
  /** The name of the schema, and of the NOTIFY channel. */
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

/**
 * The name of a schema: valid without escapes in SQL, as a channel of NOTIFY, and in a file name.
 *
 * @since 0.2.0
 * @category rules
 */
export const schemaName: Rule.Rule<string> = Rule.rule(
  "a string of 1 to 48 letters, digits and underscores that starts neither with a digit nor with pg_",
  (value) =>
    typeof value === "string" && /^[A-Za-z_][A-Za-z0-9_]{0,47}$/.test(value) && !value.toLowerCase().startsWith("pg_")
)

/**
 * The tables of a schema. Fails with `ConfigurationInvalid` if the name is not valid.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * import * as Tables from "@perdure/sql/Tables"
 * import * as Effect from "effect/Effect"
 *
 * const runs = Effect.map(Tables.make("perdure"), (tables) => tables.runs) // "perdure"."runs"
 */
export const make = (schema: string): Effect.Effect<Tables, ConfigurationInvalid> =>
  Effect.map(
    Rule.requireConfiguration("the tables of the journal", schemaName.problems(schema, "schema")),
    () => unsafeMake(schema)
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
