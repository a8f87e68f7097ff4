/**
 * A `pg` client for the statements of the journal. It names them, so that each connection parses and plans them once,
 * and it closes a connection that does not answer in time. Statements of the application pass unchanged.
 *
 * @since 0.1.0
 */
import { nameOf } from "@perdure/sql/Verb"
import * as Pg from "pg"

/**
 * Options of the client.
 *
 * @since 0.1.0
 * @category models
 */
export interface JournalClientOptions {
  /** Whether the server keeps the statements of the journal prepared. */
  readonly prepare: boolean
  /** How long such a statement may take, in milliseconds. */
  readonly statementMillis: number
}

const transactionControl = /^(?:BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)/i

/**
 * Makes the class of the clients, for the option `Client` of a `pg` pool.
 *
 * @since 0.1.0
 * @category constructors
 */
export const journalClient = ({ prepare, statementMillis }: JournalClientOptions): typeof Pg.Client =>
  class JournalClient extends Pg.Client {
    constructor(config?: string | Pg.ClientConfig) {
      super(config)
      const send = this.query
      /**
       * Closes the connection if the callback is not called in time. The caller then gets the error of a cut
       * connection: the statement may have been executed.
       */
      const withTimeout = (callback: unknown): unknown => {
        if (typeof callback !== "function") return callback
        const timer = setTimeout(() => void this.end(), statementMillis)
        return (...args: ReadonlyArray<unknown>): unknown => {
          clearTimeout(timer)
          return Reflect.apply(callback, undefined, args)
        }
      }
      // `query` has a dozen overloads. PgClient calls the one with (text, values, callback).
      Object.defineProperty(this, "query", {
        value: (query: unknown, values: unknown, callback: unknown): unknown => {
          const name = typeof query === "string" ? nameOf(query) : null
          if (name !== null && Array.isArray(values)) {
            const named = prepare ? { name, text: query, values } : { text: query, values }
            return Reflect.apply(send, this, [named, withTimeout(callback)])
          }
          const isControl = typeof query === "string" && transactionControl.test(query)
          return Reflect.apply(send, this, [query, values, isControl ? withTimeout(callback) : callback])
        }
      })
    }
  }
