/**
 * Proves that the packages work as they would be published: packs them, checks each with publint, then runs the
 * commands of `docs/install.md` in empty folders and uses what they installed.
 *
 * | project  | what is proved                                                                        |
 * |----------|---------------------------------------------------------------------------------------|
 * | Postgres | every module imports; the README's sample compiles                                     |
 * | PGlite   | every module imports; the README's sample compiles and runs; a bundle runs a worker    |
 * | tests    | the README's test passes                                                              |
 *
 * Programs run on Node 20 (the one that runs this script), 22 and 24. Types are checked with `nodenext` and `bundler`.
 *
 *   npm run test:packages
 */
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { publint } from "publint"
import { formatMessage } from "publint/utils"
import { binaryOf, releases } from "./nodeReleases.mjs"
import { packAll, run } from "./pack.mjs"

const root = fileURLToPath(new URL("..", import.meta.url))
const stage = (name) => console.log(`::: ${name}`)

/** The path of each Node, by its major version. */
const nodes = () => [process.execPath, ...Object.values(releases).map(binaryOf)]

/** Fails if publint has an error or a warning about a packed package. */
const lint = async ({ home, manifest }) => {
  const { messages } = await publint({ pkgDir: home, level: "warning", strict: true, pack: false })
  if (messages.length === 0) return
  throw new Error(`${manifest.name}:\n${messages.map((one) => formatMessage(one, manifest)).join("\n")}`)
}

/** The commands of a section of `docs/install.md`. */
const commandsOf = (heading) => {
  const page = readFileSync(`${root}docs/install.md`, "utf8")
  const section = page.split(/^## /m).find((each) => each.startsWith(heading))
  if (section === undefined) throw new Error(`docs/install.md has no section "${heading}"`)
  return [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, text]) => text.replaceAll("~/perdure/", root)).join("")
}

/** The first TypeScript sample of a section of the README. */
const sampleOf = (heading) => {
  const section = readFileSync(`${root}README.md`, "utf8").split(/^## /m).find((each) => each.startsWith(heading))
  const [, text] = /^```ts[^\n]*\n(.*?)^```$/ms.exec(section ?? "") ?? []
  if (text === undefined) throw new Error(`the README has no sample in "${heading}"`)
  return text
}

/** An empty folder in which the commands of a section were run. */
const project = (folder, heading) => {
  const home = join(folder, heading.replaceAll(/\W+/g, "-"))
  mkdirSync(home)
  const commands = commandsOf(heading)
  run("bash", ["-ec", commands], { cwd: home })
  return home
}

/** Fails if a copy of the core or of Effect exists twice: types and services of two copies do not fit. */
const requireSingle = (home) => {
  for (const name of ["effect", "perdure", "@effect/sql"]) {
    const found = readdirSync(join(home, "node_modules"), { recursive: true, encoding: "utf8" })
      .filter((path) => path === name || path.endsWith(`/node_modules/${name}`))
    if (found.length > 1) throw new Error(`${home} has ${found.length} copies of ${name}: ${found.join(", ")}`)
  }
}

/** Imports every public module of the packages. */
const importAll = (packed) => {
  const modules = packed.flatMap(({ home, manifest }) => [
    manifest.name,
    ...readdirSync(join(home, "dist"))
      .filter((name) => name.endsWith(".js") && name !== "index.js")
      .map((name) => `${manifest.name}/${name.slice(0, -".js".length)}`)
  ])
  return [
    ...modules.map((name) => `await import(${JSON.stringify(name)})`),
    `const { createRequire } = await import("node:module")`,
    `const require = createRequire(import.meta.url)`,
    ...packed.map(({ manifest }) => `require(${JSON.stringify(`${manifest.name}/package.json`)})`),
    ...packed.some(({ manifest }) => manifest.name === "@perdure/sql")
      ? [`require.resolve("@perdure/sql/schema.sql")`]
      : [],
    `console.log("imported", ${modules.length})`
  ].join("\n")
}

const tsconfig = (module, moduleResolution) =>
  JSON.stringify({
    compilerOptions: {
      target: "ES2023",
      module,
      moduleResolution,
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      types: ["node"],
      // The packages' own declarations are checked, too. Those of their dependencies are not ours.
      skipLibCheck: true
    },
    include: ["*.ts"]
  })

/** Checks the types with the project's TypeScript and with this repository's, both resolutions. */
const checkTypes = (home) => {
  for (const [module, resolution] of [["nodenext", "nodenext"], ["esnext", "bundler"]]) {
    writeFileSync(join(home, "tsconfig.json"), tsconfig(module, resolution))
    for (const compiler of [join(home, "node_modules"), join(root, "node_modules")]) {
      run(process.execPath, [join(compiler, "typescript/bin/tsc"), "-p", home], { cwd: home })
    }
  }
}

/** Runs a program and fails unless it ends by itself and prints the line. */
const expectLine = (node, args, home, line) => {
  const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` }
  const { error, status, stderr, stdout } = spawnSync(node, args, {
    cwd: home,
    env,
    encoding: "utf8",
    timeout: 120_000
  })
  if (error !== undefined) throw error
  if (status === 0 && stdout.includes(line)) return
  throw new Error(`${node} ${args.join(" ")} ended with code ${status}, without "${line}":\n${stdout}\n${stderr}`)
}

/** The README's sample as a program that ends, on PGlite. Its run then sleeps for a month. */
const endingSample = () => {
  const sample = sampleOf("A workflow")
    .replace(
      `import * as PgJournal from "@perdure/postgres/PgJournal"`,
      `import { PgliteJournal } from "@perdure/pglite"`
    )
    .replace(`PgJournal.layerConfig({ url: Config.redacted("DATABASE_URL") })`, `PgliteJournal.layer()`)
    .replace(`import { Config, Context`, `import { Context`)
  const end = `NodeRuntime.runMain(Layer.launch(Main))`
  if (!sample.includes(end) || sample.includes("DATABASE_URL")) throw new Error("the README's sample has another shape")
  return sample.replace(
    end,
    `NodeRuntime.runMain(Effect.provide(Effect.sleep("5 seconds"), Main))`
  )
}

/** A worker that executes a run to its end on PGlite, and prints its result. */
const worker = `
import { PgliteJournal } from "@perdure/pglite"
import { Console, Effect, Layer, Schema } from "effect"
import { Step, Worker, Workflow } from "perdure"

const Double = Workflow.make("Double", { payload: { n: Schema.Number }, success: Schema.Number })

const DoubleLive = Double.toLayer(({ n }) =>
  Effect.gen(function*() {
    yield* Effect.sleep("50 millis")
    return yield* Step.run("double", Effect.succeed(n * 2), { success: Schema.Number })
  })
)

const Main = Layer.mergeAll(DoubleLive, Worker.layer()).pipe(Layer.provideMerge(PgliteJournal.layer()))

await Effect.runPromise(
  Double.execute({ n: 21 }).pipe(Effect.flatMap((n) => Console.log("doubled", n)), Effect.provide(Main))
)
`

const banner = `import { createRequire } from "node:module"; const require = createRequire(import.meta.url);`

const bundle = (home, from, to) =>
  run(join(root, "node_modules/.bin/esbuild"), [
    from,
    "--bundle",
    "--platform=node",
    "--format=esm",
    `--outfile=${to}`,
    "--external:@electric-sql/pglite",
    `--banner:js=${banner}`,
    "--log-level=warning"
  ], { cwd: home })

const main = async () => {
  stage("pack")
  const packed = packAll()
  stage("publint")
  for (const one of packed) await lint(one)
  const named = (...names) => packed.filter(({ manifest }) => names.includes(manifest.name))
  const all = nodes()
  const folder = mkdtempSync(join(tmpdir(), "perdure-packages-"))
  try {
    stage("a project for Postgres")
    const postgres = project(folder, "For Postgres")
    requireSingle(postgres)
    writeFileSync(join(postgres, "imports.mjs"), importAll(named("perdure", "@perdure/sql", "@perdure/postgres")))
    for (const node of all) expectLine(node, ["imports.mjs"], postgres, "imported")
    writeFileSync(join(postgres, "main.ts"), sampleOf("A workflow"))
    checkTypes(postgres)

    stage("a project for PGlite")
    const pglite = project(folder, "For PGlite")
    requireSingle(pglite)
    writeFileSync(join(pglite, "imports.mjs"), importAll(named("perdure", "@perdure/sql", "@perdure/pglite")))
    writeFileSync(join(pglite, "worker.ts"), worker)
    writeFileSync(join(pglite, "sample.ts"), endingSample())
    checkTypes(pglite)
    bundle(pglite, "worker.ts", "bundle.mjs")
    for (const node of all) {
      expectLine(node, ["imports.mjs"], pglite, "imported")
      expectLine(node, ["--import", "tsx", "worker.ts"], pglite, "doubled 42")
      expectLine(node, ["bundle.mjs"], pglite, "doubled 42")
      expectLine(node, ["--import", "tsx", "sample.ts"], pglite, "reserved the goods of o-1")
    }

    stage("a project for tests")
    const tests = project(folder, "For tests")
    writeFileSync(join(tests, "remind.test.ts"), sampleOf("Test it"))
    checkTypes(tests)
    for (const node of all) run(node, ["node_modules/vitest/vitest.mjs", "run"], { cwd: tests })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

if (!existsSync(`${root}node_modules/publint`)) throw new Error("publint is missing: run `npm ci`")
await main()
