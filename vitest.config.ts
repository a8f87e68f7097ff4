/**
 * One run over the core and every package, on the sources: no build is needed. `--mode long` runs the long suites.
 *
 * The global set-up starts the databases once a run, and only if a test file imports `@perdure/testing/TestDatabase`.
 */
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"
import { projects, SlowestFirst } from "./vitest.workspace.js"

const root = fileURLToPath(new URL(".", import.meta.url))

/** The mapping of `paths` in tsconfig.base.json, and a PGlite that starts faster. */
const alias = [
  { find: /^perdure$/, replacement: `${root}src/index.ts` },
  { find: /^perdure\/(.+)$/, replacement: `${root}src/$1.ts` },
  { find: /^@perdure\/([^/]+)$/, replacement: `${root}packages/$1/src/index.ts` },
  { find: /^@perdure\/([^/]+)\/(.+)$/, replacement: `${root}packages/$1/src/$2.ts` },
  { find: /^@electric-sql\/pglite$/, replacement: `${root}test/fixtures/pglite.ts` }
]

export default defineConfig(({ mode }) => ({
  resolve: { alias },
  test: {
    globalSetup: [`${root}packages/testing/src/globalSetup.ts`],
    setupFiles: [`${root}test/fixtures/setup.ts`],
    pool: "forks",
    // Two cores: two processes, which the files of a project share: loading all modules takes longer than most files.
    // Not fewer at times: tinypool can lose a file when it ends an idle process.
    poolOptions: { forks: { isolate: false, minForks: 2, maxForks: 2, execArgv: ["--expose-gc"] } },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
    sequence: { concurrent: false, sequencer: SlowestFirst },
    allowOnly: false,
    passWithNoTests: false,
    projects: projects(mode === "long" ? "long" : "fast")
  }
}))
