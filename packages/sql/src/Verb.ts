/**
 * A verb of the driver: the text of one statement, how many parameters it takes, and the name by which a connection
 * may keep it prepared. Each statement starts with a comment that has the name: `pg_stat_activity` shows it, and a
 * client that prepares statements distinguishes the driver's from the user's by it.
 *
 * @since 0.1.0
 */
import { instant } from "./statements/shared/expressions.js"
import type { Tables } from "./Tables.js"

/**
 * The clock of the driver: the database's, or the calling fiber's `Clock` (so that `TestClock` drives a real database).
 *
 * @since 0.1.0
 * @category models
 */
export type ClockSource = "database" | "effect"

/**
 * The names and expressions that statements are written with.
 *
 * @since 0.1.0
 * @category models
 */
export interface Words extends Tables {
  /** The current time of the driver, a timestamptz of whole milliseconds. Statements have no other. */
  readonly now: string
}

/**
 * A statement with its text.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statement {
  readonly name: string
  readonly text: string
  /** Whether the last parameter is the current time of the driver, in milliseconds. */
  readonly clocked: boolean
}

/**
 * A statement's text as a function of the words. `parameters` counts its parameters without the clock's.
 *
 * @since 0.1.0
 * @category models
 */
export interface Verb {
  readonly name: string
  readonly parameters: number
  readonly text: (words: Words) => string
}

/** FNV-1a, which distinguishes statements of the same name. */
const fingerprint = (text: string): string => {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  return (hash >>> 0).toString(16).padStart(8, "0")
}

const prefix = "/* perdure:"

/**
 * The statement of a verb.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * import * as Tables from "@perdure/sql/Tables"
 * import * as Verb from "@perdure/sql/Verb"
 * import * as Effect from "effect/Effect"
 *
 * const now: Verb.Verb = { name: "now", parameters: 0, text: (words) => `SELECT ${words.now} AS now` }
 * const text = Effect.map(Tables.make("perdure"), (tables) => Verb.statement(now, tables, "database").text)
 */
export const statement = (verb: Verb, tables: Tables, clock: ClockSource): Statement => {
  const now = clock === "database"
    ? "date_trunc('milliseconds', statement_timestamp())"
    : instant(`$${verb.parameters + 1}::float8`)
  const body = verb.text({ ...tables, now })
  const name = `${verb.name}:${fingerprint(body)}`
  return { name, text: `${prefix}${name} */\n${body}`, clocked: clock === "effect" && body.includes(now) }
}

/**
 * The name in the text of a statement; null for any other SQL.
 *
 * @since 0.1.0
 * @category accessors
 */
export const nameOf = (text: string): string | null =>
  text.startsWith(prefix) ? text.slice(3, text.indexOf(" */", prefix.length)) : null
