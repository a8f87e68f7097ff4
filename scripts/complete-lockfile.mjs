/**
 * Adds to package-lock.json the platform packages (optional dependencies such as `@oxlint/binding-darwin-arm64`) that
 * npm left out because they were not at hand where the lockfile was written. Without them `npm ci` refuses the
 * lockfile, on any platform. Run it after every `npm install` that changes dependencies: `npm run lockfile`.
 *
 * With `--check` it writes nothing and fails if something is missing.
 */
import { readFileSync, writeFileSync } from "node:fs"

const file = new URL("../package-lock.json", import.meta.url)
const text = readFileSync(file, "utf8")
const lock = JSON.parse(text)

const systems = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32"]
const processors = ["arm64", "arm", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "x64", "wasm32"]

/** What a platform package runs on, from its name: `binding-linux-arm-musleabihf`, `linux-x64-glibc`. */
const platform = (name) => {
  const words = name.replace("windows", "win32").split("/").at(-1).split("-")
  const os = systems.find((system) => words.includes(system))
  const cpu = processors.find((processor) => words.includes(processor))
  const libc = words.some((word) => word.startsWith("musl")) ?
    "musl"
    : words.some((word) => word.startsWith("gnu") || word === "glibc") && os === "linux"
    ? "glibc"
    : undefined
  if (os === undefined && cpu === undefined) throw new Error(`cannot tell the platform of ${name}`)
  return {
    ...(cpu === undefined ? {} : { cpu: [cpu] }),
    ...(os === undefined ? {} : { os: [os] }),
    ...(libc === undefined ? {} : { libc: [libc] })
  }
}

const missing = Object.entries(lock.packages).flatMap(([at, entry]) =>
  Object.entries(entry.optionalDependencies ?? {})
    .filter(([name]) => !lock.packages[`${at}/node_modules/${name}`] && !lock.packages[`node_modules/${name}`])
    .map(([name, range]) => [
      `node_modules/${name}`,
      {
        version: range.replace(/^[\^~]/, ""),
        ...(entry.dev ? { dev: true } : {}),
        ...(entry.peer ? { peer: true } : {}),
        optional: true,
        ...platform(name)
      }
    ])
)

if (process.argv.includes("--check")) {
  if (missing.length > 0) {
    console.error(`package-lock.json lacks ${missing.map(([at]) => at).join(", ")}: run \`npm run lockfile\``)
    process.exitCode = 1
  }
} else if (missing.length > 0) {
  lock.packages = Object.fromEntries(
    Object.entries({ ...lock.packages, ...Object.fromEntries(missing) })
      .sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0)
  )
  writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
  console.log(`added ${missing.length} platform packages`)
}
