/** A plain connection, for tests of plans, locks and the catalogue, which the driver's client hides. */
import * as Cluster from "@perdure/testing/Cluster"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Pg from "pg"

export class SessionError
  extends Data.TaggedError("SessionError")<{ readonly code: string; readonly cause: unknown }>
{}

export interface Session {
  readonly run: (
    text: string,
    parameters?: ReadonlyArray<unknown>
  ) => Effect.Effect<ReadonlyArray<Record<string, unknown>>, SessionError>
}

export const connect = (url: string): Effect.Effect<Session, SessionError, Scope.Scope> => {
  const attempt = <A>(evaluate: () => Promise<A>) =>
    Effect.tryPromise({
      try: evaluate,
      catch: (cause) => new SessionError({ code: cause instanceof Pg.DatabaseError ? cause.code ?? "" : "", cause })
    })
  return Effect.map(
    Effect.acquireRelease(
      Effect.gen(function*() {
        const client = new Pg.Client({ connectionString: url })
        client.on("error", () => {})
        yield* attempt(() => client.connect())
        return client
      }),
      (client) => Effect.ignore(attempt(() => client.end()))
    ),
    (client): Session => ({
      run: (text, parameters = []) =>
        Effect.map(attempt(() => client.query<Record<string, unknown>>(text, [...parameters])), (result) => result.rows)
    })
  )
}

/** A session on a fresh database. */
export const fresh = (server: TestDatabase.Server) =>
  Effect.flatMap(TestDatabase.freshOn(server), ({ url }) => Effect.map(connect(url), (session) => ({ url, session })))

/**
 * A session that is alone on its server: what others do there delays when a session learns that row versions are dead,
 * and makes it plan its statements again.
 */
export const alone = (server: TestDatabase.Server) =>
  Effect.gen(function*() {
    if (!(yield* Cluster.versions).includes(server.version)) return yield* fresh(server)
    const settings = { autovacuum: "off" }
    return yield* fresh(yield* Cluster.start({ version: server.version, fsync: false, settings }))
  })
