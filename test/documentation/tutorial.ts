/**
 * Plays a tutorial: writes its files and runs its commands in a fresh folder, in the order of the page.
 *
 * A fence with a path after its language (` ```ts src/main.ts `) is a file. A `sh` fence has commands; only `node` and
 * `npx` are run, since the sources of this repository stand for the installed packages. A `text` fence is what the
 * commands before it must print: each line, in this order, with other lines allowed between. A command must succeed,
 * unless it sets `KILL_AT`: then its process kills itself.
 */
import * as Command from "@effect/platform/Command"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { readFileSync } from "node:fs"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

export const root: string = fileURLToPath(new URL("../..", import.meta.url))

/** The tutorial of this repository. */
export const page: string = readFileSync(`${root}docs/tutorial.md`, "utf8")

/** The commands of one or more `sh` fences, and the lines that they must print. */
interface Play {
  readonly line: number
  readonly files: ReadonlyMap<string, string>
  readonly commands: ReadonlyArray<string>
  readonly expected: ReadonlyArray<string>
}

const COMMAND = /^(?:[A-Z_]+=\S+ )*(?:node|npx) /

/** The exit code of a shell whose command was killed by SIGKILL. */
const KILLED_CODE = 137

/** The exit code that a command must have. */
export const expectedCode = (command: string): number => command.startsWith("KILL_AT=") ? KILLED_CODE : 0

/** The parts of the page: each ends with an expected output. */
export const partsOf = (page: string): ReadonlyArray<Play> => {
  const parts: Array<Play> = []
  let files = new Map<string, string>()
  let commands: Array<string> = []
  for (const match of page.matchAll(/^```(\w+)(?: (\S+))?\n(.*?)^```$/gms)) {
    const [, language, name, text = ""] = match
    const lines = text.split("\n").filter((line) => line !== "")
    if (language === "sh") commands.push(...lines.filter((line) => COMMAND.test(line)))
    else if (language === "text") {
      parts.push({ line: page.slice(0, match.index).split("\n").length, files, commands, expected: lines })
      files = new Map()
      commands = []
    } else if (name !== undefined) files.set(name, text)
  }
  return parts
}

/** The expected lines from the first one that the output does not have, in order. */
export const missingLines = (output: string, expected: ReadonlyArray<string>): ReadonlyArray<string> => {
  let from = 0
  for (const [index, line] of expected.entries()) {
    const at = output.indexOf(line, from)
    if (at === -1) return expected.slice(index)
    from = at + line.length
  }
  return []
}

const folderOf = Effect.acquireRelease(
  Effect.promise(async () => {
    await fs.mkdir(path.join(root, "dist"), { recursive: true })
    return fs.mkdtemp(path.join(root, "dist/tutorial-"))
  }),
  (folder) => Effect.promise(() => fs.rm(folder, { recursive: true, force: true }))
)

/** What `npm install` would do: the names of the packages lead to the sources. */
const packages = Effect.promise(async () => {
  const base: { readonly compilerOptions: { readonly paths: Readonly<Record<string, ReadonlyArray<string>>> } } = JSON
    .parse(await fs.readFile(path.join(root, "tsconfig.base.json"), "utf8"))
  return Object.fromEntries(
    Object.entries(base.compilerOptions.paths).map(([name, targets]) => [
      name,
      targets.map((target) => path.join(root, target))
    ])
  )
})

/** The same for Vitest, as code: the end of a name that ends in a star is kept. */
const aliases = (paths: Readonly<Record<string, ReadonlyArray<string>>>): ReadonlyArray<string> =>
  Object.entries(paths).map(([name, [target = ""]]) =>
    `{ find: /^${name.replaceAll("/", "\\/").replace("*", "(.+)")}$/, replacement: "${target.replace("*", "$1")}" }`
  )

const run = (folder: string, command: string) =>
  Effect.gen(function*() {
    const started = yield* Command.start(
      // The last `exit` makes the shell wait for its command, so that a killed command has an exit code, too.
      Command.make("sh", "-c", `${command.replace(/\bnpx /, "")} 2>&1; exit $?`).pipe(
        Command.workingDirectory(folder),
        Command.env({
          PATH: `${root}node_modules/.bin:${process.env["PATH"] ?? ""}`,
          VITEST: undefined,
          NODE_ENV: undefined
        })
      )
    )
    const [output, code] = yield* Effect.all([Stream.mkString(Stream.decodeText(started.stdout)), started.exitCode], {
      concurrency: "unbounded"
    })
    return { command, code: Number(code), output }
  }).pipe(Effect.scoped)

/**
 * Plays the page; returns, for each part, the output, the expected lines that it does not have, and the commands with
 * another exit code than the page says.
 */
export const play = (page: string) =>
  Effect.gen(function*() {
    const folder = yield* folderOf
    const paths = yield* packages
    const write = (name: string, text: string) =>
      Effect.promise(async () => {
        await fs.mkdir(path.dirname(path.join(folder, name)), { recursive: true })
        await fs.writeFile(path.join(folder, name), text)
      })
    yield* write("package.json", `{ "type": "module" }`)
    yield* write("vitest.config.mjs", `export default { resolve: { alias: [${aliases(paths).join(", ")}] } }\n`)
    const results = []
    for (const part of partsOf(page)) {
      for (const [name, text] of part.files) {
        if (name !== "tsconfig.json") yield* write(name, text)
        else {
          const config: { readonly compilerOptions: object } = JSON.parse(text)
          yield* write(name, JSON.stringify({ ...config, compilerOptions: { ...config.compilerOptions, paths } }))
        }
      }
      const runs = yield* Effect.forEach(part.commands, (command) => run(folder, command))
      const output = runs.map((each) => each.output).join("")
      const failed = runs.filter(({ code, command }) => code !== expectedCode(command))
      results.push({ line: part.line, output, missing: missingLines(output, part.expected), failed })
    }
    return results
  }).pipe(Effect.scoped, Effect.provide(NodeContext.layer))
