/** The rules over one source file. Each is a pure function, so that a test can show it a bad source. */
import { proseViolations } from "./prose.js"
import { rankViolations } from "./ranks.js"
import { exportsOf, importsOf, lineOf, type Scanned } from "./scan.js"
import type { Violation } from "./violation.js"

type Rule = (source: Scanned) => ReadonlyArray<Violation>

export const MAX_LINES = 500

const isTest = (path: string) => /(^|\/)test\//.test(path)
const inCore = (path: string) => path.startsWith("src/")
const packageOf = (path: string) => /^packages\/([^/]+)\//.exec(path)?.[1]

const fileLength: Rule = ({ path, text }) => {
  const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0)
  return lines <= MAX_LINES ? [] : [{ rule: "length", path, line: MAX_LINES + 1, detail: `${lines} lines` }]
}

/** Imports outside of the core; `ranks.ts` has the rules of the core. */
const imports: Rule = (source) => {
  const { path } = source
  const own = isTest(path) ? undefined : packageOf(path)
  return importsOf(source).flatMap(({ line, path: target, specifier }) => {
    const found = (detail: string): ReadonlyArray<Violation> => [{ rule: "imports", path, line, detail }]
    if (specifier === "effect") return found("import Effect's modules one by one, as `effect/Effect`")
    if (target === undefined) return []
    if (target.startsWith("scratchpad/")) return found("the scratchpad is never imported")
    if (own === undefined) return []
    if (specifier.startsWith(".")) {
      return packageOf(target) === own ? [] : found(`a package imports from its own folder only, not "${specifier}"`)
    }
    if (packageOf(target) === "testing" && own !== "testing") {
      return found(`published code does not import test code: "${specifier}"`)
    }
    return /^(perdure|@perdure\/[^/]+)\/internal\//.test(specifier)
      ? found(`a package does not import internal modules of another: "${specifier}"`)
      : []
  })
}

const bans: ReadonlyArray<{
  readonly rule: string
  readonly pattern: RegExp
  readonly where?: (path: string) => boolean
}> = [
  { rule: "Date.now", pattern: /\bDate\.now\b|\bnew Date\(\)/g },
  { rule: "Math.random", pattern: /\bMath\.random\b/g },
  { rule: "timers", pattern: /\b(?:setTimeout|setInterval|setImmediate)\b/g },
  { rule: "process.exit", pattern: /\bprocess\.exit\b(?!Code)/g },
  { rule: "any", pattern: /(?<![.\w$"'#])any\b(?!\s*[(:])/g },
  { rule: "non-null", pattern: /[\w$)\]]!(?=[.,;:)\]}[\s]|$)(?!\s*=)/gm },
  {
    rule: "casts",
    // A cast to `never`, or one cast after another: the compiler checks neither.
    pattern: /\bas\s+never\b|\bas\s+[\w$.]+(?:<[^;=]*?>)?(?:\[[^\]\n]*\])*\s+as\s+(?=[\w${([])/g
  },
  {
    rule: "runtime",
    pattern: /\bEffect\.runtime\b|\bRuntime\.(?:run|make|default)\w*/g,
    where: inCore
  },
  {
    rule: "skipped tests",
    pattern:
      /\b(?:it|test|describe|layer|suite)(?:\.\w+)*\.(?:skip|only|todo|skipIf|runIf|fails)\b|\bx(?:it|test|describe)\s*\(/g,
    where: isTest
  }
]

const banned: Rule = ({ code, path }) =>
  bans.flatMap(({ pattern, rule, where }) =>
    where !== undefined && !where(path) ? [] : [...code.matchAll(pattern)].map((match) => ({
      rule,
      path,
      line: lineOf(code, match.index),
      detail: match[0]
    }))
  )

/** Only a test may expect an error of the compiler: it then shows what does not compile. */
const suppressed: Rule = ({ path, text, uncommented }) =>
  [...text.matchAll(/(?:\/\/|\/\*)\s*(@ts-(?:ignore|nocheck|expect-error))/g)]
    .filter((match) => uncommented[match.index] === " " && !(match[1] === "@ts-expect-error" && isTest(path)))
    .map((match) => ({ rule: "suppressed", path, line: lineOf(text, match.index), detail: match[1] ?? "" }))

/** In tests, only the test clock sleeps. */
const sleeps: Rule = ({ code, path }) => {
  const live = /\bit\.(?:live|scopedLive)\b|\bTestServices\.(?:provideLive|live)\b|\bTestClock\.live\b/.exec(code)
  return !isTest(path) || live === null ? [] : [...code.matchAll(/\bEffect\.(?:sleep|delay)\b/g)].map((match) => ({
    rule: "sleeps",
    path,
    line: lineOf(code, match.index),
    detail: `${match[0]} in a file of live tests`
  }))
}

/** Public exports have a docstring with `@since`; exports that are public for technical reasons have `@internal`. */
const documented: Rule = (source) => {
  if (!/^(?:packages\/[^/]+\/)?src\/[^/]+\.ts$/.test(source.path)) return []
  const all = exportsOf(source)
  return all
    .filter(({ name }) => !all.some((other) => other.name === name && /@since \d+\.\d+\.\d+|@internal/.test(other.doc)))
    .map(({ line, name }) => ({
      rule: "documented",
      path: source.path,
      line,
      detail: `${name} has no docstring with @since`
    }))
}

/** Categories of values that need no example: they are used with others, or as names. */
const withoutExample = new Set(["constants", "errors", "guards", "models", "schemas", "symbols", "tags", "verbs"])

/** The values of packages that programs begin with. */
const entrances = new Set(["constructors", "layers"])

const needsExample = (path: string, doc: string): boolean => {
  const category = /@category (\w+)/.exec(doc)?.[1] ?? ""
  return !doc.includes("@internal") && (inCore(path) ? !withoutExample.has(category) : entrances.has(category))
}

/** Public values of the core, and layers and constructors of packages, have an example. */
const exemplified: Rule = (source) => {
  if (!/^(?:packages\/[^/]+\/)?src\/[^/]+\.ts$/.test(source.path)) return []
  const all = exportsOf(source)
  return all
    .filter(({ doc, kind, name }) =>
      ["class", "const", "function"].includes(kind) && needsExample(source.path, doc) &&
      !all.some((other) => other.name === name && other.doc.includes("@example"))
    )
    .map(({ line, name }) => ({ rule: "examples", path: source.path, line, detail: `${name} has no @example` }))
}

/** Every violation of a rule by one file. */
export const check = (source: Scanned): ReadonlyArray<Violation> =>
  [fileLength, rankViolations, imports, banned, suppressed, sleeps, documented, exemplified, proseViolations].flatMap(
    (rule) => rule(source)
  )
