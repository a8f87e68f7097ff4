/**
 * PgBouncer in transaction mode, in front of a database: each transaction of a client gets another connection of the
 * server, perhaps. It needs the program `pgbouncer` (Debian package `pgbouncer`). It is stopped when the scope closes,
 * and also when this process dies.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { ClusterError } from "./ClusterError.js"
import { account, type Account, temporaryFolder } from "./internal/binaries.js"
import { freePort } from "./internal/freePort.js"

/** Stops PgBouncer at the end of its standard input, which comes when this process closes it or dies. */
const guardian = `
pgbouncer "$1" &
pid=$!
read -r _
kill -INT "$pid"
wait "$pid"
`

const configuration = (target: URL, port: number): string =>
  `[databases]
* = host=${target.hostname} port=${target.port === "" ? 5432 : target.port} user=${target.username}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
server_idle_timeout = 5
`

/** A file with the configuration, in a folder that the account can read. */
const configurationFile = (text: string, who: Account): Effect.Effect<string, ClusterError, Scope.Scope> =>
  Effect.gen(function*() {
    const parent = yield* temporaryFolder(who)
    const folder = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: () => fs.mkdtemp(path.join(parent, "perdure-pooler-")),
        catch: (cause) => new ClusterError({ operation: "make a folder", detail: String(cause), cause })
      }),
      (made) => Effect.promise(() => fs.rm(made, { recursive: true, force: true }))
    )
    const file = path.join(folder, "pgbouncer.ini")
    yield* Effect.tryPromise({
      try: async () => {
        await fs.writeFile(file, text)
        await fs.chmod(folder, 0o755)
      },
      catch: (cause) => new ClusterError({ operation: "write the configuration", detail: String(cause), cause })
    })
    return file
  })

const launch = (file: string, who: Account) =>
  Effect.async<ChildProcess, ClusterError>((resume) => {
    const child = spawn("/bin/sh", ["-c", guardian, "guardian", file], {
      ...who,
      cwd: "/",
      env: { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin`, LC_ALL: "C" },
      stdio: ["pipe", "ignore", "pipe"]
    })
    let log = ""
    const failed = (detail: string) => resume(new ClusterError({ operation: "start pgbouncer", detail }))
    child.once("error", (cause) => failed(String(cause)))
    child.once("exit", (code) => failed(`it ended with ${code}: install the package pgbouncer. Its log:\n${log}`))
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      log = (log + chunk).slice(-16_384)
      if (log.includes("process up")) resume(Effect.succeed(child))
      else if (/not found|FATAL/.test(log)) failed(`install the package pgbouncer. Its log:\n${log}`)
    })
  })

/**
 * Starts PgBouncer in front of a database. Returns the URL of the database through it.
 *
 * @example
 * ```ts
 * import * as TransactionPooler from "@perdure/testing/TransactionPooler"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.scoped(Effect.gen(function*() {
 *   const url = yield* TransactionPooler.make("postgres://postgres@127.0.0.1:5432/postgres")
 *   yield* Effect.log(url)
 * }))
 * ```
 *
 * @since 0.2.0
 * @category constructors
 */
export const make = (url: string): Effect.Effect<string, ClusterError, Scope.Scope> =>
  Effect.gen(function*() {
    const who = yield* account
    const port = yield* freePort
    const file = yield* configurationFile(configuration(new URL(url), port), who)
    yield* Effect.acquireRelease(launch(file, who), (child) =>
      Effect.async<void>((resume) => {
        child.once("exit", () => resume(Effect.void))
        if (child.exitCode !== null) resume(Effect.void)
        child.stdin?.end()
      }))
    const through = new URL(url)
    through.hostname = "127.0.0.1"
    through.port = `${port}`
    return through.href
  })
