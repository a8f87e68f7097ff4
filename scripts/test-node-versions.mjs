/**
 * Runs the smoke suite and the demo on the other versions of Node that are supported
 * (`nodeReleases.mjs`).
 *
 *   npm run test:node             on every version
 *   npm run test:node -- 22       on one
 */
import { spawnSync } from "node:child_process"
import { delimiter, dirname } from "node:path"
import { fileURLToPath } from "node:url"
import { binaryOf, releases } from "./nodeReleases.mjs"

const root = fileURLToPath(new URL("..", import.meta.url))

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
