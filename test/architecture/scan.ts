/**
 * Reads TypeScript just well enough for the architecture test: where comments, strings and code are, what a file
 * imports, and what it exports. It never changes an offset, so line numbers stay true. It is no parser of TypeScript.
 */

/** A source file, by its path from the root of the repository. */
export interface Source {
  readonly path: string
  readonly text: string
}

/** The text of a source, with some of its parts replaced by blanks. */
export interface Scanned extends Source {
  /** Without comments, strings (their quotes stay), regular expressions and template text. */
  readonly code: string
  /** Without comments. */
  readonly uncommented: string
  /** The comments, strings and template text. */
  readonly prose: string
}

type Kind = "code" | "comment" | "string" | "pattern"

const blank = (text: string) => text.replaceAll(/[^\n]/g, " ")

/** A slash after one of these begins a regular expression, not a division. */
const beforePattern =
  /(?:[=(,:;!&|?{}[+*%<>~^-]|\b(?:return|case|typeof|in|of|yield|await|else|do|delete|void|throw)|^)\s*$/

const patternEnd = (text: string, from: number): number => {
  let inClass = false
  for (let at = from + 1; at < text.length; at++) {
    const char = text[at]
    if (char === "\n") return from + 1
    if (char === "\\") at++
    else if (char === "[") inClass = true
    else if (char === "]") inClass = false
    else if (char === "/" && !inClass) return at + 1
  }
  return from + 1
}

const stringEnd = (text: string, from: number): number => {
  for (let at = from + 1; at < text.length; at++) {
    if (text[at] === "\\") at++
    else if (text[at] === text[from] || text[at] === "\n") return at + 1
  }
  return text.length
}

const commentEnd = (text: string, from: number): number => {
  const end = text[from + 1] === "/" ? text.indexOf("\n", from) : text.indexOf("*/", from + 2) + 2
  return end < from + 2 ? text.length : end
}

/**
 * The end of the template text that begins at `from`, with a backquote or the brace that closes a hole, and whether
 * another hole follows.
 */
const templateEnd = (text: string, from: number): { readonly end: number; readonly hole: boolean } => {
  let at = from + 1
  while (at < text.length && text[at] !== "`" && !(text[at] === "$" && text[at + 1] === "{")) {
    at += text[at] === "\\" ? 2 : 1
  }
  const hole = text[at] === "$"
  return { end: at + (hole ? 2 : 1), hole }
}

const special = /["'`/{}]/g

export const scan = ({ path, text }: Source): Scanned => {
  let code = ""
  let uncommented = ""
  let prose = ""
  const emit = (kind: Kind, part: string) => {
    const blanks = blank(part)
    const shell = part.length > 1 ? `${part[0]}${blanks.slice(1, -1)}${part.at(-1)}` : blanks
    code += kind === "code" ? part : kind === "comment" ? blanks : shell
    uncommented += kind === "comment" ? blanks : part
    prose += kind === "comment" || kind === "string" ? part : blanks
  }
  // For each open template, how many braces are open in its current hole.
  const holes: Array<number> = []
  let at = 0
  const take = (kind: Kind, end: number) => {
    emit(kind, text.slice(at, end))
    at = end
  }
  const takeTemplate = () => {
    const { end, hole } = templateEnd(text, at)
    if (hole) holes.push(0)
    take("string", Math.min(end, text.length))
  }
  while (at < text.length) {
    special.lastIndex = at
    take("code", special.exec(text)?.index ?? text.length)
    const char = text[at]
    const depth = holes.at(-1)
    if (char === undefined) break
    if (char === "/") {
      if (text[at + 1] === "/" || text[at + 1] === "*") take("comment", commentEnd(text, at))
      else if (beforePattern.test(code.slice(-80))) take("pattern", patternEnd(text, at))
      else take("code", at + 1)
    } else if (char === "`") takeTemplate()
    else if (char === "{" || char === "}") {
      if (depth === 0 && char === "}") {
        holes.pop()
        takeTemplate()
      } else {
        if (depth !== undefined) holes[holes.length - 1] = depth + (char === "{" ? 1 : -1)
        take("code", at + 1)
      }
    } else take("string", stringEnd(text, at))
  }
  return { path, text, code, uncommented, prose }
}

export const lineOf = (text: string, index: number): number => {
  let line = 1
  for (let at = text.indexOf("\n"); at !== -1 && at < index; at = text.indexOf("\n", at + 1)) line++
  return line
}

/** A module that a file imports or exports from. `path` is its source file if it belongs to this repository. */
export interface Import {
  readonly specifier: string
  readonly path: string | undefined
  readonly line: number
}

const resolve = (from: string, specifier: string): string | undefined => {
  if (specifier.startsWith(".")) {
    const parts = from.split("/").slice(0, -1)
    for (const part of specifier.split("/")) {
      if (part === "..") parts.pop()
      else if (part !== ".") parts.push(part)
    }
    return parts.join("/").replace(/\.js$/, ".ts")
  }
  const core = /^perdure(?:\/(.+))?$/.exec(specifier)
  if (core !== null) return `src/${core[1] ?? "index"}.ts`
  const satellite = /^@perdure\/([^/]+)(?:\/(.+))?$/.exec(specifier)
  return satellite === null ? undefined : `packages/${satellite[1]}/src/${satellite[2] ?? "index"}.ts`
}

export const importsOf = ({ code, path, uncommented }: Scanned): ReadonlyArray<Import> =>
  [...code.matchAll(/\bfrom\s*"|\bimport\s*\(?\s*"/g)].map((match) => {
    const start = match.index + match[0].length
    const specifier = uncommented.slice(start, uncommented.indexOf("\"", start))
    return { specifier, path: resolve(path, specifier), line: lineOf(code, match.index) }
  })

/** A declaration that a file exports, with the comment above it. */
export interface Export {
  readonly name: string
  /** `const`, `class`, `interface` … */
  readonly kind: string
  readonly line: number
  readonly doc: string
}

export const exportsOf = ({ code, text }: Scanned): ReadonlyArray<Export> => {
  const declaration =
    /^export (?:default )?(?:declare )?(?:abstract )?(?:async )?(const|let|function\*?|class|interface|type|enum|namespace) (\w+)/gm
  return [...code.matchAll(declaration)].map((match) => ({
    name: match[2] ?? "",
    kind: match[1] ?? "",
    line: lineOf(code, match.index),
    doc: /\/\*\*(?:(?!\*\/)[^])*\*\/\s*$/.exec(text.slice(0, match.index))?.[0] ?? ""
  }))
}
