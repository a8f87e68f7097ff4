/** The files that the architecture test reads, and the few exceptions from its rules. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { documentViolations, proseViolations, shellViolations } from "./prose.js"
import { placeViolations } from "./places.js"
import { circleViolations } from "./ranks.js"
import { check } from "./rules.js"
import { scan, type Scanned, type Source } from "./scan.js"
import type { Violation } from "./violation.js"

const root = fileURLToPath(new URL("../..", import.meta.url))

export const packageFolders: ReadonlyArray<string> = [
  "",
  ...readdirSync(`${root}packages`).map((name) => `packages/${name}/`)
]

const ignored = /(^|\/)(node_modules|dist|coverage)\//

const filesBelow = (folder: string): ReadonlyArray<string> =>
  existsSync(`${root}${folder}`)
    ? readdirSync(`${root}${folder}`, { recursive: true, encoding: "utf8" })
      .map((name) => `${folder}/${name}`)
      .filter((path) => !ignored.test(path))
    : []

const files: ReadonlyArray<string> = [
  ...readdirSync(root),
  ...["src", "test", "bench", "examples", "docs", "packages"].flatMap(filesBelow)
]

export const read = (path: string): Source => ({ path, text: readFileSync(`${root}${path}`, "utf8") })

export const sources: ReadonlyArray<Scanned> = files
  .filter((path) => path.endsWith(".ts") && !path.endsWith(".d.ts"))
  .map((path) => scan(read(path)))

const scripts: ReadonlyArray<Scanned> = filesBelow("scripts").filter((path) => path.endsWith(".mjs")).map((path) =>
  scan(read(path))
)

const shellScripts: ReadonlyArray<Source> = [read(".ci/run")]

const documents: ReadonlyArray<Source> = files.filter((path) => path.endsWith(".md")).map(read)

/** Every violation in the repository. */
export const violations: ReadonlyArray<Violation> = [
  ...sources.flatMap(check),
  ...circleViolations(sources.filter(({ path }) => /^(?:packages\/[^/]+\/)?src\//.test(path))),
  ...scripts.flatMap(proseViolations),
  ...shellScripts.flatMap(shellViolations),
  ...documents.flatMap(documentViolations),
  ...placeViolations(files)
]

interface Exception {
  readonly path: string
  readonly rules: ReadonlyArray<string>
  readonly why: string
}

/** The files that need what is banned elsewhere. */
export const exceptions: ReadonlyArray<Exception> = [
  {
    path: "packages/sql/test/finding.long.test.ts",
    rules: ["places"],
    why: "only measures a million runs; what a search finds is in the contract"
  },
  { path: "src/internal/util/runtime.ts", rules: ["runtime"], why: "the only use of Effect's runtime" },
  {
    path: "src/internal/machine/fibers.ts",
    rules: ["timers"],
    why: "records the interval by which Effect.never keeps a process alive"
  },
  {
    path: "packages/postgres/src/internal/JournalClient.ts",
    rules: ["timers"],
    why: "closes a silent connection below Effect, in the callbacks of pg"
  },
  {
    path: "packages/testing/src/internal/binaries.ts",
    rules: ["words"],
    why: "names the unprivileged user account of Unix"
  },
  {
    path: "packages/testing/src/simulation/SimTime.ts",
    rules: ["timers"],
    why: "waits for the event loop: simulated time moves only when the process is idle"
  },
  {
    path: "packages/testing/src/EagerTimers.ts",
    rules: ["timers"],
    why: "shortens the ticks of the event loop that the test clock waits for"
  },
  {
    path: "packages/testing/test/EagerTimers.test.ts",
    rules: ["timers"],
    why: "sets timers to see when they fire"
  },
  { path: "src/internal/runs/start.ts", rules: ["casts"], why: "a key function takes what its own schema has encoded" },
  { path: "test/fixtures/setup.ts", rules: ["timers"], why: "lets the event loop tick between tests" },
  { path: "test/architecture/prose.test.ts", rules: ["words"], why: "shows the checker banned words" },
  { path: "docs/glossary.md", rules: ["words"], why: "lists the banned words" }
]
