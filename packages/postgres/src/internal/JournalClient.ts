/**
 * A `pg` client for the statements of the journal. It names them, so that each connection parses and plans them once,
 * and it closes a connection that does not answer in time. It notices a transaction pooler, which loses prepared
 * statements, and a server that became read-only. Statements of the application pass unchanged.
 *
 * @since 0.1.0
 */
import { nameOf } from "@perdure/sql/Verb"
import * as Pg from "pg"
import type { Fleet } from "./Fleet.js"

/**
 * Options of the client.
 *
 * @since 0.1.0
 * @category models
 */
export interface JournalClientOptions {
  /** What all connections of the journal share. */
  readonly fleet: Fleet
  /** How to connect. */
  readonly config: () => Pg.ClientConfig
  /** How long a statement of the journal may take, in milliseconds. */
  readonly statementMillis: number
}

const transactionControl = /^(?:BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)/i

/** SQLSTATEs of a prepared statement that the server lacks, or has already. */
const lostStatements: ReadonlySet<unknown> = new Set(["26000", "42P05"])

const stateOf = (error: unknown): unknown =>
  typeof error === "object" && error !== null ? Reflect.get(error, "code") : undefined

const isStalePlan = (error: unknown): boolean =>
  stateOf(error) === "0A000" && error instanceof Error && error.message.includes("cached plan")

const isRefusedSetting = (error: unknown): boolean =>
  stateOf(error) === "08P01" && error instanceof Error && error.message.includes("unsupported startup parameter")

/** A callback of `pg`: an error or null, and the result. */
type Callback = (error: unknown, ...result: ReadonlyArray<unknown>) => unknown

const asCallback = (callback: unknown): Callback | undefined =>
  typeof callback === "function" ? (...args) => Reflect.apply(callback, undefined, args) : undefined

/**
 * Makes the class of the clients, for the option `Client` of a `pg` pool.
 *
 * @since 0.1.0
 * @category constructors
 */
export const journalClient = ({ config, fleet, statementMillis }: JournalClientOptions): typeof Pg.Client =>
  class JournalClient extends Pg.Client {
    constructor() {
      super(config())
      const { connect, query: send } = this

      /**
       * Closes the connection if the callback is not called in time. The caller then gets the error of a cut
       * connection: the statement may have been executed.
       */
      const withTimeout = (callback: Callback): Callback => {
        const timer = setTimeout(() => void this.end(), statementMillis)
        return (...args) => {
          clearTimeout(timer)
          return callback(...args)
        }
      }

      const sendNamed = (name: string, text: string, values: ReadonlyArray<unknown>, callback: Callback): unknown => {
        const prepares = fleet.prepares
        const done: Callback = (error, ...result) => {
          const isLost = lostStatements.has(stateOf(error))
          if (stateOf(error) === "25006") fleet.retireAll()
          if (!prepares || !(isLost || isStalePlan(error))) return callback(error, ...result)
          // The statement was not executed. Outside of a transaction it can be sent again.
          if (isLost) fleet.stopPreparing()
          else fleet.retire(this)
          const again: Callback = (second, ...more) => callback(stateOf(second) === "25P02" ? error : second, ...more)
          return Reflect.apply(send, this, [{ text, values }, withTimeout(again)])
        }
        return Reflect.apply(send, this, [prepares ? { name, text, values } : { text, values }, withTimeout(done)])
      }

      /** Statements of the application: only this connection may be that of a read-only server. */
      const withState = (callback: Callback): Callback => (error, ...result) => {
        if (stateOf(error) === "25006") fleet.retire(this)
        return callback(error, ...result)
      }

      // `query` has a dozen overloads. PgClient calls the one with (text, values, callback).
      Object.defineProperty(this, "query", {
        value: (query: unknown, values: unknown, callback: unknown): unknown => {
          const respond = asCallback(callback)
          if (typeof query !== "string" || respond === undefined) {
            return Reflect.apply(send, this, [query, values, callback])
          }
          const name = nameOf(query)
          if (name !== null && Array.isArray(values)) return sendNamed(name, query, values, respond)
          const responding = withState(respond)
          return Reflect.apply(send, this, [
            query,
            values,
            transactionControl.test(query) ? withTimeout(responding) : responding
          ])
        }
      })
      // A pool connects with a callback.
      Object.defineProperty(this, "connect", {
        value: (callback: unknown): unknown => {
          const respond = asCallback(callback)
          return respond === undefined ? Reflect.apply(connect, this, []) : Reflect.apply(connect, this, [
            (error: unknown, ...result: ReadonlyArray<unknown>) => {
              if (isRefusedSetting(error)) fleet.stopSettings()
              return respond(error, ...result)
            }
          ])
        }
      })
    }
  }
