/** Statements on their own connection, independent of the client under test. */
import * as Effect from "effect/Effect"
import * as pg from "pg"
import { ClusterError } from "../ClusterError.js"

/** Executes statements in order on a new connection. Returns the rows of the last one. */
export const query = (
  url: string,
  ...statements: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<Record<string, unknown>>, ClusterError> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const client = new pg.default.Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
      // An idle connection that is cut emits this. The next statement reports it.
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

/** The URL of another database on the same server. */
export const withDatabase = (url: string, database: string): string => {
  const parsed = new URL(url)
  parsed.pathname = `/${encodeURIComponent(database)}`
  return parsed.href
}
