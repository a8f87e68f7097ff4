/**
 * A verb of the driver: the text of one statement, how many parameters it takes, and the name by which a connection
 * may keep it prepared. Statements begin with a comment that carries the name, so that it shows in `pg_stat_activity`
 * and so that a client which prepares statements can tell ours from the user's.
 *
 * @since 0.1.0
 */
import { instant } from "./statements/words.js"
import type { Tables } from "./Tables.js"

/**
 * Whose clock the driver goes by: the database's, or the one of the calling fiber (so that `TestClock` drives a real
 * database).
 *
 * @since 0.1.0
 * @category models
 */
export type ClockSource = "database" | "effect"

/**
 * What a statement's text is made of.
 *
 * @since 0.1.0
 * @category models
 */
export interface Words extends Tables {
  /** The driver's now, a timestamptz of whole milliseconds. The only such expression in any statement. */
  readonly now: string
}

/**
 * A statement, ready to be sent.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statement {
  readonly name: string
  readonly text: string
  /** Whether the last parameter is the driver's now, in milliseconds. */
  readonly clocked: boolean
}

/**
 * A statement's text, given the words; `parameters` says how many it takes besides the clock's.
 *
 * @since 0.1.0
 * @category models
 */
export interface Verb {
  readonly name: string
  readonly parameters: number
  readonly text: (words: Words) => string
}

/** FNV-1a, for telling texts of one name apart. */
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
 */
export const statement = (verb: Verb, tables: Tables, clock: ClockSource): Statement => {
  const now = clock === "database"
    ? "date_trunc('milliseconds', statement_timestamp())"
    : instant(`$${verb.parameters + 1}::float8`)
  const body = verb.text({ ...tables, now })
  const name = `${verb.name}:${fingerprint(body)}`
  return { name, text: `${prefix}${name} */ ${body}`, clocked: clock === "effect" && body.includes(now) }
}

/**
 * The name in a text made by `statement`; null for any other text.
 *
 * @since 0.1.0
 * @category accessors
 */
export const nameOf = (text: string): string | null =>
  text.startsWith(prefix) ? text.slice(3, text.indexOf(" */", prefix.length)) : null
