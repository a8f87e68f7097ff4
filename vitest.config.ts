/**
 * One vitest run over the core and every package, on the sources (no build needed).
 *
 * The databases are started by the global set-up, once a run, and only when a test file imports
 * `@perdure/testing/TestDatabase`.
 */
import { existsSync, readdirSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

const root = fileURLToPath(new URL(".", import.meta.url))

/** The same mapping as `paths` in tsconfig.base.json. */
const alias = [
  { find: /^perdure$/, replacement: `${root}src/index.ts` },
  { find: /^perdure\/(.+)$/, replacement: `${root}src/$1.ts` },
  { find: /^@perdure\/([^/]+)$/, replacement: `${root}packages/$1/src/index.ts` },
  { find: /^@perdure\/([^/]+)\/(.+)$/, replacement: `${root}packages/$1/src/$2.ts` }
]

const project = (name: string, directory: string) => ({
  extends: true as const,
  test: { name, root: `${root}${directory}`, include: ["test/**/*.test.ts"] }
})

export default defineConfig({
  resolve: { alias },
  test: {
    globalSetup: [`${root}packages/testing/src/globalSetup.ts`],
    // Two cores: two processes, and a process of its own for each file, so that a leak stays where it is made.
    pool: "forks",
    poolOptions: { forks: { minForks: 1, maxForks: 2, execArgv: ["--expose-gc"] } },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
    sequence: { concurrent: false },
    allowOnly: false,
    passWithNoTests: false,
    projects: [
      project("perdure", "."),
      ...readdirSync(`${root}packages`)
        .filter((name) => existsSync(`${root}packages/${name}/test`))
        .map((name) => project(name, `packages/${name}`))
    ]
  }
})
