/**
 * The TypeScript examples of the documentation (fences of Markdown files and of docstrings), and what the compiler says
 * of them. Fences of one document that give a name after `ts` are one module, in order: ` ```ts fulfil `.
 */
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

export interface Document {
  readonly path: string
  readonly text: string
}

/** A module made of fences; its lines stand where they stand in the document. */
export interface Example {
  readonly document: string
  readonly name: string
  readonly text: string
}

const fence = /^(\s*(?:\*\s?)?)```ts\b([^\n]*)$/

/** Code that stands in a docstring after `@example` as it is becomes a fence; lines stay where they are. */
const withFences = (text: string): string => {
  const lines = text.split("\n")
  for (const [index, line] of lines.entries()) {
    if (!/^\s*\* @example\s*$/.test(line) || /^\s*\*\s*(```|@|\/|$)/.test(lines[index + 1] ?? "")) continue
    lines[index] = line.replace("@example", "```ts")
    const end = lines.findIndex((later, at) => at > index && /^\s*\*(\/| @\w)/.test(later))
    lines[end] = (lines[end] ?? "").replace(/\*.*$/, "* ```")
  }
  return lines.join("\n")
}

/** All examples of a document. A fence that asks not to be checked is not one, but a mistake. */
export const examplesOf = ({ path: document, text }: Document): ReadonlyArray<Example> => {
  const modules = new Map<string, Array<string>>()
  let open: { readonly into: Array<string>; readonly margin: string } | undefined
  for (const [index, line] of withFences(text).split("\n").entries()) {
    if (open !== undefined) {
      if (line.trim().replace(/^\*\s*/, "").startsWith("```")) open = undefined
      else {
        while (open.into.length < index) open.into.push("")
        // In a docstring an empty line has less than the whole margin.
        open.into.push(line.startsWith(open.margin) ? line.slice(open.margin.length) : line.replace(/^\s*\*/, ""))
      }
      continue
    }
    const start = fence.exec(line)
    if (start === null) continue
    const name = (start[2] ?? "").trim()
    if (/nocheck|ignore|skip/.test(name)) throw new Error(`${document}:${index + 1}: an example that is not checked`)
    const key = name === "" ? `line-${index + 1}` : name
    const into = modules.get(key) ?? []
    modules.set(key, into)
    open = { into, margin: start[1] ?? "" }
  }
  return [...modules].map(([name, lines]) => ({ document, name, text: `${lines.join("\n")}\n` }))
}

const compile = (folder: string) =>
  Effect.async<string>((resume) => {
    const tsc = path.join(root, "node_modules/typescript/bin/tsc")
    execFile(process.execPath, [tsc, "-p", folder, "--pretty", "false"], { cwd: folder }, (_, stdout, stderr) =>
      resume(Effect.succeed(stdout + stderr)))
  })

/** What the compiler says of these examples, each line led by its place in the documents. */
export const complaints = (examples: ReadonlyArray<Example>): Effect.Effect<ReadonlyArray<string>> =>
  Effect.acquireUseRelease(
    Effect.promise(async () => {
      await fs.mkdir(path.join(root, "dist"), { recursive: true })
      return fs.mkdtemp(path.join(root, "dist/examples-"))
    }),
    (folder) =>
      Effect.gen(function*() {
        const files = new Map(
          examples.map((example) => [
            `${example.document.replaceAll(/[^\w]+/g, "_")}__${example.name.replaceAll(/[^\w-]+/g, "_")}.ts`,
            example
          ])
        )
        const config = {
          extends: path.join(root, "tsconfig.base.json"),
          // An example shows; it need not use all that it shows.
          compilerOptions: { noEmit: true, composite: false, incremental: false, noUnusedLocals: false, rootDir: root },
          files: [...files.keys()]
        }
        yield* Effect.promise(async () => {
          for (const [file, { text }] of files) await fs.writeFile(path.join(folder, file), text)
          await fs.writeFile(path.join(folder, "tsconfig.json"), JSON.stringify(config))
        })
        const said = yield* compile(folder)
        return said.split("\n").filter((line) => line.trim() !== "").map((line) =>
          line.replace(/^([^(]+)\((\d+),\d+\)/, (whole, file: string, at: string) => {
            const example = files.get(path.basename(file))
            return example === undefined ? whole : `${example.document}:${at}`
          })
        )
      }),
    (folder) => Effect.promise(() => fs.rm(folder, { recursive: true, force: true }))
  )
