/**
 * One statement on a connection of its own: what a harness needs, independent of the client under test.
 */
import * as Effect from "effect/Effect"
import * as pg from "pg"
import { ClusterError } from "../ClusterError.js"

/** Runs statements one after another, gives the rows of the last one, and closes the connection. */
export const query = (
  url: string,
  ...statements: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<Record<string, unknown>>, ClusterError> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const client = new pg.default.Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
      // A connection that is cut while idle emits this; the statement that follows reports it.
      client.on("error", () => {})
      return client
    }),
    (client) =>
      Effect.tryPromise({
        try: async () => {
          await client.connect()
          let rows: ReadonlyArray<Record<string, unknown>> = []
          for (const statement of statements) {
            rows = (await client.query<Record<string, unknown>>(statement)).rows
          }
          return rows
        },
        catch: (cause) =>
          new ClusterError({ operation: `query ${statements.join("; ").slice(0, 200)}`, detail: String(cause), cause })
      }),
    (client) => Effect.ignore(Effect.tryPromise(() => client.end()))
  )

/** The same server, another database. */
export const withDatabase = (url: string, database: string): string => {
  const parsed = new URL(url)
  parsed.pathname = `/${encodeURIComponent(database)}`
  return parsed.href
}
