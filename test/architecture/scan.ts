/**
 * Reads TypeScript just well enough for the architecture test: where comments, strings and code are, what a file
 * imports, and what it exports. Positions stay as they are, so that line numbers stay true.
 */

/** A source file, by its path from the root of the repository. */
export interface Source {
  readonly path: string
  readonly text: string
}

/** The same text, with what is not asked for turned into blanks. */
export interface Scanned extends Source {
  /** Without comments, strings (their quotes stay), regular expressions and the text of templates. */
  readonly code: string
  /** Without comments only. */
  readonly uncommented: string
}

const blank = (text: string) => text.replaceAll(/[^\n]/g, " ")

/** After these a slash begins a regular expression, not a division. */
const beforeRegex =
  /(?:[=(,:;!&|?{}[+*%<>~^-]|\b(?:return|case|typeof|in|of|yield|await|else|do|delete|void|throw)|^)\s*$/

const regexEnd = (text: string, from: number): number => {
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

export const scan = ({ path, text }: Source): Scanned => {
  let code = ""
  let uncommented = ""
  // Braces open within `${}` of each template that we are in.
  const templates: Array<number> = []
  const keep = (part: string) => {
    code += part
    uncommented += part
  }
  const hide = (part: string) => {
    code += part.length > 1 ? `${part[0]}${blank(part.slice(1, -1))}${part.at(-1)}` : blank(part)
    uncommented += part
  }
  /** The text of a template from `from` (a backquote, or the brace that ends a hole) to its end or its next hole. */
  const template = (from: number): number => {
    let at = from + 1
    while (at < text.length && text[at] !== "`" && !(text[at] === "$" && text[at + 1] === "{"))
      at += text[at] === "\\"
        ? 2
        : 1
    if (text[at] === "$") {
      templates.push(0)
      hide(text.slice(from, at + 2))
      return at + 2
    }
    hide(text.slice(from, at + 1))
    return at + 1
  }
  let at = 0
  while (at < text.length) {
    const char = text[at] ?? ""
    const two = text.slice(at, at + 2)
    if (two === "//" || two === "/*") {
      const end = two === "//" ? text.indexOf("\n", at) : text.indexOf("*/", at) + 2
      const comment = text.slice(at, end < at + 2 ? text.length : end)
      keep(blank(comment))
      at += comment.length
    } else if (char === "\"" || char === "'") {
      const end = stringEnd(text, at)
      hide(text.slice(at, end))
      at = end
    } else if (char === "`") {
      at = template(at)
    } else if (char === "/" && beforeRegex.test(code.slice(-80))) {
      const end = regexEnd(text, at)
      hide(text.slice(at, end))
      at = end
    } else {
      const depth = templates.at(-1)
      if (depth !== undefined && char === "{") templates[templates.length - 1] = depth + 1
      if (depth !== undefined && char === "}") {
        if (depth === 0) {
          templates.pop()
          at = template(at)
          continue
        }
        templates[templates.length - 1] = depth - 1
      }
      keep(char)
      at++
    }
  }
  return { path, text, code, uncommented }
}

export const lineOf = (text: string, index: number): number => text.slice(0, index).split("\n").length

/** A module that a file imports or exports from; `path` is its source file if it is one of this repository. */
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
  const own = /^perdure(?:\/(.+))?$/.exec(specifier)
  if (own !== null) return `src/${own[1] ?? "index"}.ts`
  const satellite = /^@perdure\/([^/]+)(?:\/(.+))?$/.exec(specifier)
  return satellite === null ? undefined : `packages/${satellite[1]}/src/${satellite[2] ?? "index"}.ts`
}

export const importsOf = ({ path, uncommented, code }: Scanned): ReadonlyArray<Import> =>
  [...code.matchAll(/\bfrom\s*"|\bimport\s*\(?\s*"/g)].map((match) => {
    const start = match.index + match[0].length
    const specifier = uncommented.slice(start, uncommented.indexOf("\"", start))
    return { specifier, path: resolve(path, specifier), line: lineOf(code, match.index) }
  })

/** A declaration that a file exports, with the comment that stands over it. */
export interface Export {
  readonly name: string
  readonly line: number
  readonly doc: string
}

export const exportsOf = ({ code, text }: Scanned): ReadonlyArray<Export> => {
  const declaration =
    /^export (?:default )?(?:declare )?(?:abstract )?(?:async )?(?:const|let|function\*?|class|interface|type|enum|namespace) (\w+)/gm
  return [...code.matchAll(declaration)].map((match) => ({
    name: match[1] ?? "",
    line: lineOf(code, match.index),
    doc: /\/\*\*(?:(?!\*\/)[^])*\*\/\s*$/.exec(text.slice(0, match.index))?.[0] ?? ""
  }))
}
