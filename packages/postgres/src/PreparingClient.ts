/**
 * A `pg` client that lets the server keep the journal's statements prepared: they get names, so that each connection
 * parses and plans them once. Statements of others pass unchanged.
 *
 * @since 0.1.0
 */
import { nameOf } from "@perdure/sql/Verb"
import * as Pg from "pg"

/**
 * @since 0.1.0
 * @category models
 */
export class PreparingClient extends Pg.Client {
  constructor(config?: string | Pg.ClientConfig) {
    super(config)
    const send = this.query
    // `query` has a dozen overloads; what concerns us is (text, values, callback), as PgClient calls it.
    Object.defineProperty(this, "query", {
      value: (query: unknown, values: unknown, ...rest: ReadonlyArray<unknown>): unknown => {
        const name = typeof query === "string" && Array.isArray(values) ? nameOf(query) : null
        return name === null
          ? Reflect.apply(send, this, [query, values, ...rest])
          : Reflect.apply(send, this, [{ name, text: query, values }, ...rest])
      }
    })
  }
}
