/**
 * A `pg` client for the journal's statements. The server keeps them prepared: they get names, so that each connection
 * parses and plans them once. And they are not waited for for ever: a connection that gives no answer in time is closed.
 * Statements of others pass unchanged.
 *
 * @since 0.1.0
 */
import { nameOf } from "@perdure/sql/Verb"
import * as Pg from "pg"

/**
 * @since 0.1.0
 * @category models
 */
export interface JournalClientOptions {
  /** Whether the server keeps the journal's statements prepared. */
  readonly prepare: boolean
  /** How long one of them may take, in milliseconds. */
  readonly statementMillis: number
}

const transactionControl = /^(?:BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)/i

/**
 * @since 0.1.0
 * @category constructors
 */
export const journalClient = ({ prepare, statementMillis }: JournalClientOptions): typeof Pg.Client =>
  class JournalClient extends Pg.Client {
    constructor(config?: string | Pg.ClientConfig) {
      super(config)
      const send = this.query
      /** Without an answer nobody knows what was done, and nobody may wait: closing the connection says so. */
      const inTime = (callback: unknown): unknown => {
        if (typeof callback !== "function") return callback
        const timer = setTimeout(() => void this.end(), statementMillis)
        return (...args: ReadonlyArray<unknown>): unknown => {
          clearTimeout(timer)
          return Reflect.apply(callback, undefined, args)
        }
      }
      // `query` has a dozen overloads; what concerns us is (text, values, callback), as PgClient calls it.
      Object.defineProperty(this, "query", {
        value: (query: unknown, values: unknown, callback: unknown): unknown => {
          const name = typeof query === "string" ? nameOf(query) : null
          if (name !== null && Array.isArray(values)) {
            const named = prepare ? { name, text: query, values } : { text: query, values }
            return Reflect.apply(send, this, [named, inTime(callback)])
          }
          const isControl = typeof query === "string" && transactionControl.test(query)
          return Reflect.apply(send, this, [query, values, isControl ? inTime(callback) : callback])
        }
      })
    }
  }
