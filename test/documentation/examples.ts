/**
 * The TypeScript examples of the documentation (fences of Markdown files and of docstrings), and the errors that the
 * compiler finds in them. Fences of one document with the same name after `ts` are one module: ` ```ts fulfil `.
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

/** A module made of fences. Each line has the same number as in the document. */
export interface Example {
  readonly document: string
  readonly name: string
  readonly text: string
}

/** The languages that are not compiled. Others are refused, so that TypeScript cannot hide under another name. */
const unchecked: ReadonlySet<string> = new Set(["text", "sh", "sql", "json"])

/** The margin of each line of a docstring. */
const docstring = /^ *\* $/

const fence = /^(\s*(?:\* ?)?)(?:```|~~~)([^\s`]*) *(.*)$/

type Refuse = (index: number, why: string) => never

/** Puts code that follows `@example` in a docstring into a fence. Lines keep their numbers. */
const withFences = (lines: ReadonlyArray<string>, refuse: Refuse): ReadonlyArray<string> => {
  const all = [...lines]
  for (const [index, line] of lines.entries()) {
    const tag = /^( *\* )@example(.*)$/.exec(line)
    if (tag === null) continue
    const next = lines[index + 1] ?? ""
    if (/^ *\* ```/.test(next)) continue
    const [, margin = "", title = ""] = tag
    if (title.trim() !== "" || !next.startsWith(margin) || /^ *\* @/.test(next)) {
      refuse(index, "an `@example` without code right after it")
    }
    all[index] = `${margin}\`\`\`ts`
    const end = lines.findIndex((later, at) => at > index && /\*\/|^ *\* @\w/.test(later))
    if (/@example/.test(lines[end] ?? "")) refuse(end, "an `@example` right after one without a fence")
    all[end] = `${margin}\`\`\``
  }
  return all
}

/**
 * The examples of a document. Throws for anything that would hide code from the compiler: a fence that asks not to be
 * checked, that names another language or none, that is not closed, or that has lines without the docstring's margin.
 */
export const examplesOf = ({ path: document, text }: Document): ReadonlyArray<Example> => {
  const refuse: Refuse = (index, why) => {
    throw new Error(`${document}:${index + 1}: ${why}`)
  }
  const isSource = document.endsWith(".ts")
  const lines = text.split("\n")
  const modules = new Map<string, Array<string>>()
  let open: { readonly at: number; readonly margin: string; readonly into: Array<string> } | undefined
  for (const [index, line] of (isSource ? withFences(lines, refuse) : lines).entries()) {
    if (open !== undefined) {
      const { into, margin } = open
      // An empty line may lack the end of the margin.
      if (!line.startsWith(margin) && line !== margin.trimEnd()) refuse(index, "a line without the margin of its fence")
      const code = line.slice(margin.length)
      if (/^\s*(?:```|~~~)/.test(code)) {
        open = undefined
        continue
      }
      if (/@ts-(?:ignore|nocheck|expect-error)/.test(code)) refuse(index, "an example that silences the compiler")
      while (into.length < index) into.push("")
      into.push(code)
      continue
    }
    if (isSource && /\/\*\*.*```/.test(line)) refuse(index, "a fence on a docstring's first line")
    const start = fence.exec(line)
    if (start === null) continue
    const [, margin = "", language = "", rest = ""] = start
    if (isSource && !docstring.test(margin)) refuse(index, "a fence without the margin of a docstring")
    if (unchecked.has(language)) {
      open = { at: index, margin, into: [] }
      continue
    }
    if (language !== "ts") refuse(index, `a fence of language "${language}", which is not compiled`)
    const name = rest.trim()
    if (/nocheck|ignore|skip/.test(name)) refuse(index, "an example that is not checked")
    const key = name === "" ? `line-${index + 1}` : name
    const into = modules.get(key) ?? []
    modules.set(key, into)
    open = { at: index, margin, into }
  }
  if (open !== undefined) refuse(open.at, "a fence that is not closed")
  return [...modules].map(([name, lines]) => ({ document, name, text: `${lines.join("\n")}\n` }))
}

const compile = (folder: string) =>
  Effect.async<string>((resume) => {
    const tsc = path.join(root, "node_modules/typescript/bin/tsc")
    execFile(process.execPath, [tsc, "-p", folder, "--pretty", "false"], { cwd: folder }, (_, stdout, stderr) =>
      resume(Effect.succeed(stdout + stderr)))
  })

/** Where an example is compiled. One that is named by a path can be imported by others of its document. */
const fileOf = ({ document, name }: Example): string => {
  const folder = document.replaceAll(/[^\w]+/g, "_")
  return /^[\w/.-]+\.ts$/.test(name) ? `${folder}/${name}` : `${folder}__${name.replaceAll(/[^\w-]+/g, "_")}.ts`
}

/** The errors of the compiler in these examples, each with its place in the documents. */
export const compilerErrors = (examples: ReadonlyArray<Example>): Effect.Effect<ReadonlyArray<string>> =>
  Effect.acquireUseRelease(
    Effect.promise(async () => {
      await fs.mkdir(path.join(root, "dist"), { recursive: true })
      return fs.mkdtemp(path.join(root, "dist/examples-"))
    }),
    (folder) =>
      Effect.gen(function*() {
        const files = new Map(
          examples.map((example) => [fileOf(example), example])
        )
        const config = {
          extends: path.join(root, "tsconfig.base.json"),
          // Examples may declare what they do not use.
          compilerOptions: { noEmit: true, composite: false, incremental: false, noUnusedLocals: false, rootDir: root },
          files: [...files.keys()]
        }
        yield* Effect.promise(async () => {
          for (const [file, { text }] of files) {
            await fs.mkdir(path.dirname(path.join(folder, file)), { recursive: true })
            await fs.writeFile(path.join(folder, file), text)
          }
          await fs.writeFile(path.join(folder, "tsconfig.json"), JSON.stringify(config))
        })
        const output = yield* compile(folder)
        return output.split("\n").filter((line) => line.trim() !== "").map((line) =>
          line.replace(/^([^(]+)\((\d+),\d+\)/, (whole, file: string, at: string) => {
            const example = files.get(file)
            return example === undefined ? whole : `${example.document}:${at}`
          })
        )
      }),
    (folder) => Effect.promise(() => fs.rm(folder, { recursive: true, force: true }))
  )
