/**
 * The style of the house as rules over sources. Each is a pure function, so that the test can also show it bad sources.
 */
import { exportsOf, importsOf, lineOf, type Scanned } from "./scan.js"

export interface Violation {
  readonly rule: string
  readonly path: string
  readonly line: number
  readonly detail: string
}

type Rule = (source: Scanned) => ReadonlyArray<Violation>

export const MAX_LINES = 500

const isTest = (path: string) => /(^|\/)test\//.test(path)
const inCore = (path: string) => path.startsWith("src/")
const packageOf = (path: string) => /^packages\/([^/]+)\//.exec(path)?.[1]

const fileLength: Rule = ({ path, text }) => {
  const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0)
  return lines <= MAX_LINES ? [] : [{ rule: "length", path, line: MAX_LINES + 1, detail: `${lines} lines` }]
}

/** Who may import whom in the core: a file of the first pattern that applies imports only what `may` says. */
const layers: ReadonlyArray<{ readonly name: string; readonly of: RegExp; readonly may: RegExp }> = [
  {
    name: "the machine is pure: it imports Effect, codecs and itself",
    of: /^src\/internal\/machine\//,
    may: /^src\/internal\/(machine\/|(runtime|exits|wire|due)\.ts$)/
  },
  {
    name: "codecs are pure: they import Effect, the contract and the machine's ops",
    of: /^src\/internal\/(exits|wire|ids)\.ts$/,
    may: /^src\/(JournalDriver|Errors|Limits|internal\/(exits|wire|ids|machine\/Op))\.ts$/
  },
  {
    name: "the contract imports Effect and the errors",
    of: /^src\/(Journal(?!Memory\.)\w+|Errors|Limits)\.ts$/,
    may: /^src\/(Journal(?!Memory\.)\w+|Errors|Limits)\.ts$/
  },
  {
    name: "a driver imports the contract, and the journal's front for its layer",
    of: /^src\/JournalMemory\.ts$/,
    may: /^src\/(JournalDriver|Journal|Errors|internal\/journalMemory\/\w+)\.ts$/
  },
  {
    name: "a driver imports the contract",
    of: /^src\/internal\/journalMemory\//,
    may: /^src\/(JournalDriver|JournalWorkers|Errors|internal\/journalMemory\/\w+)\.ts$/
  },
  {
    name: "the journal's front imports neither definitions nor workers nor drivers",
    of: /^src\/Journal\.ts$/,
    may:
      /^src\/(?!Workflow|Step|Signal|Run\.|Callback|CurrentRun|Worker|JournalMemory|index)(?!internal\/(worker|journalMemory)\/)/
  },
  { name: "the index imports all, and so does the check of all", of: /^src\/(index|Check)\.ts$/, may: /^src\// },
  {
    name: "a worker imports no driver",
    of: /^src\/(Worker\.ts|internal\/worker\/)/,
    may: /^src\/(?!JournalMemory|index|internal\/journalMemory\/)/
  },
  {
    name: "definitions import neither workers nor drivers",
    of: /^src\//,
    may: /^src\/(?!Worker|JournalMemory|index|internal\/(worker|journalMemory)\/)/
  }
]

const importDirection: Rule = (source) => {
  const { path } = source
  const found = (line: number, detail: string): Violation => ({ rule: "imports", path, line, detail })
  const layer = layers.find(({ of }) => of.test(path))
  const own = packageOf(path)
  return importsOf(source).flatMap(({ line, path: target, specifier }) => {
    if (specifier === "effect") return [found(line, "import Effect's modules one by one, as `effect/Effect`")]
    if (layer !== undefined) {
      if (/pure/.test(layer.name) && !specifier.startsWith(".") && !specifier.startsWith("effect/")) {
        return [found(line, `${layer.name}, not "${specifier}"`)]
      }
      if (target !== undefined && !inCore(target))
        return [found(line, `the core imports no package, so not "${specifier}"`)]
      return target === undefined || layer.may.test(target) ? [] : [found(line, `${layer.name}, not "${specifier}"`)]
    }
    if (target === undefined) return []
    if (own !== undefined && !isTest(path)) {
      if (specifier.startsWith(".")) {
        return packageOf(target) === own ? [] : [found(line, `a package reaches out of its folder: "${specifier}"`)]
      }
      if (packageOf(target) === "testing" && own !== "testing") {
        return [found(line, `what is shipped does not import tests: "${specifier}"`)]
      }
      return /^(perdure|@perdure\/[^/]+)\/internal\//.test(specifier)
        ? [found(line, `internal modules are not for other packages: "${specifier}"`)]
        : []
    }
    return target.startsWith("scratchpad/") ? [found(line, "the scratchpad is never imported")] : []
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
  { rule: "casts", pattern: /\bas\s+(?:never|unknown\s+as)\b/g },
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

/** Errors of the compiler may be expected only in tests, which then show what does not compile. */
const suppressed: Rule = ({ path, text, uncommented }) =>
  [...text.matchAll(/(?:\/\/|\/\*)\s*(@ts-(?:ignore|nocheck|expect-error))/g)]
    .filter((match) => uncommented[match.index] === " " && !(match[1] === "@ts-expect-error" && isTest(path)))
    .map((match) => ({ rule: "suppressed", path, line: lineOf(text, match.index), detail: match[1] ?? "" }))

/** In tests only the test clock sleeps. */
const sleeps: Rule = ({ code, path }) => {
  const live = /\bit\.(?:live|scopedLive)\b|\bTestServices\.(?:provideLive|live)\b|\bTestClock\.live\b/.exec(code)
  return !isTest(path) || live === null ? [] : [...code.matchAll(/\bEffect\.(?:sleep|delay)\b/g)].map((match) => ({
    rule: "sleeps",
    path,
    line: lineOf(code, match.index),
    detail: `${match[0]} in a file of live tests`
  }))
}

/** What users see says what it is and since when; what they see though it is not for them says `@internal`. */
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

/** All that is wrong with a file. */
export const check = (source: Scanned): ReadonlyArray<Violation> =>
  [fileLength, importDirection, banned, suppressed, sleeps, documented].flatMap((rule) => rule(source))
