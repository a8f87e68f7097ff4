/**
 * Databases for tests on real PostgreSQL. A fresh database is copied from a template, which takes some tens of
 * milliseconds. Vitest must run with the `globalSetup` of this package. The first import of this module in a test run
 * starts the servers.
 *
 * @example
 * ```ts
 * import * as TestDatabase from "@perdure/testing/TestDatabase"
 * import { describe, it } from "@effect/vitest"
 * import * as Effect from "effect/Effect"
 *
 * describe.each(TestDatabase.servers)("$name", (server) => {
 *   it.scoped("has its own database", () =>
 *     Effect.gen(function*() {
 *       const { url } = yield* TestDatabase.freshOn(server)
 *       yield* Effect.log(url)
 *     }))
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createHash, randomUUID } from "node:crypto"
import { inject } from "vitest"
import { ClusterError } from "./ClusterError.js"
import type { ServerAddress } from "./globalSetup.js"
import { query, withDatabase } from "./internal/admin.js"

/**
 * A PostgreSQL server of this test run. `url` is the URL of its maintenance database.
 *
 * @since 0.1.0
 * @category models
 */
export interface Server {
  readonly name: string
  readonly version: number
  readonly url: string
}

/**
 * A database that is dropped when its scope closes.
 *
 * @since 0.1.0
 * @category models
 */
export interface Database {
  readonly name: string
  readonly url: string
  readonly server: Server
}

/**
 * The contents of a fresh database. Databases of one `key` are copies of one template, which `prepare` fills once a
 * test run. `prepare` must close its connections before it ends.
 *
 * @since 0.1.0
 * @category models
 */
export interface Template {
  readonly key: string
  readonly prepare: (url: string) => Effect.Effect<void, unknown>
}

const ask = async (): Promise<readonly [Server, ...Array<Server>]> => {
  const response = await fetch(inject("perdureServers"))
  const text = await response.text()
  if (!response.ok) throw new Error(`no PostgreSQL for this test file: ${text}`)
  const [first, ...more]: ReadonlyArray<ServerAddress> = JSON.parse(text)
  if (first === undefined) throw new Error("no PostgreSQL for this test file")
  return [first, ...more]
}

/**
 * The servers of this run: PostgreSQL 18 first, then 15 if it is installed.
 *
 * @since 0.1.0
 * @category servers
 */
export const servers: readonly [Server, ...Array<Server>] = await ask()

const quoted = (name: string) => `"${name.replaceAll("\"", "\"\"")}"`

/** The name of the template. The first caller prepares it under a draft name and then renames it. */
const template = ({ key, prepare }: Template, server: Server): Effect.Effect<string, ClusterError> => {
  const name = `template_${createHash("sha256").update(key).digest("hex").slice(0, 24)}`
  const draft = `draft_${randomUUID().replaceAll("-", "")}`
  const exists = Effect.map(
    query(server.url, `select 1 from pg_database where datname = '${name}'`),
    (rows) => rows.length > 0
  )
  return Effect.if(exists, {
    onTrue: () => Effect.succeed(name),
    onFalse: () =>
      Effect.gen(function*() {
        yield* query(server.url, `create database ${quoted(draft)} template template0`)
        yield* Effect.mapError(prepare(withDatabase(server.url, draft)), (cause) =>
          new ClusterError({ operation: `prepare the template ${key}`, detail: String(cause), cause }))
        // A rename is atomic: if several files prepare the same template, the first one wins.
        yield* Effect.catchAll(
          query(server.url, `alter database ${quoted(draft)} rename to ${quoted(name)}`),
          (error) =>
            Effect.zipRight(
              query(server.url, `drop database if exists ${quoted(draft)} with (force)`),
              Effect.flatMap(exists, (there) =>
                there ? Effect.void : Effect.fail(error))
            )
        )
        return name
      })
  })
}

/**
 * A fresh database on this server, empty or copied from a template.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * import * as TestDatabase from "@perdure/testing/TestDatabase"
 * import * as Effect from "effect/Effect"
 *
 * const databases = Effect.forEach(TestDatabase.servers, (server) => TestDatabase.freshOn(server))
 */
export const freshOn = (
  server: Server,
  from?: Template
): Effect.Effect<Database, ClusterError, Scope.Scope> =>
  Effect.gen(function*() {
    const source = from === undefined ? "template0" : yield* template(from, server)
    const name = `test_${randomUUID().replaceAll("-", "")}`
    yield* Effect.acquireRelease(
      query(server.url, `create database ${quoted(name)} template ${quoted(source)}`),
      () => Effect.ignore(query(server.url, `drop database if exists ${quoted(name)} with (force)`))
    )
    return { name, url: withDatabase(server.url, name), server }
  })

/**
 * A fresh, empty database on the first server.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * import * as TestDatabase from "@perdure/testing/TestDatabase"
 * import * as Effect from "effect/Effect"
 *
 * const url = Effect.map(TestDatabase.fresh, (database) => database.url)
 */
export const fresh: Effect.Effect<Database, ClusterError, Scope.Scope> = freshOn(servers[0])
