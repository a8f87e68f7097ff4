/**
 * The ranks of the folders in `src/`, as data, and the rules over them: imports (type imports included) never go up,
 * and no imports form a circle.
 */
import { importsOf, type Scanned } from "./scan.js"
import type { Violation } from "./violation.js"

/**
 * Lowest first. A name that ends in a slash is a folder, any other one a file; every file in `src/` itself that is not
 * named here is a public noun. A file imports files of its own rank and of lower ranks.
 */
export const PUBLIC_NOUNS = "public nouns"
export const ranks: ReadonlyArray<ReadonlyArray<string>> = [
  ["src/Errors.ts", "src/HostProcess.ts"],
  ["src/internal/util/"],
  ["src/JournalDriver.ts", "src/driver/"],
  ["src/internal/codec/", "src/internal/journalMemory/"],
  ["src/internal/options/"],
  ["src/internal/calendar/"],
  ["src/internal/machine/"],
  ["src/CurrentRun.ts", "src/Limits.ts"],
  ["src/internal/process/"],
  ["src/Journal.ts", "src/internal/journal/"],
  ["src/internal/runs/", "src/internal/schedules/", "src/internal/workflow/"],
  ["src/internal/worker/"],
  [PUBLIC_NOUNS],
  ["src/Check.ts", "src/index.ts"]
]

/** Limits beyond the ranks: which files may import a part, or what it may import. A folder stands for its files. */
const walls: ReadonlyArray<{
  readonly part: string
  readonly importers?: ReadonlyArray<string>
  readonly imports?: ReadonlyArray<string>
  readonly why: string
}> = [
  {
    part: "src/internal/journalMemory/",
    imports: ["src/Errors.ts", "src/JournalDriver.ts", "src/driver/", "src/internal/util/"],
    importers: ["src/JournalMemory.ts"],
    why: "the memory driver and the core meet only in the driver contract"
  },
  { part: "src/JournalMemory.ts", importers: ["src/Check.ts", "src/index.ts"], why: "the core never chooses a driver" },
  { part: "src/internal/worker/", importers: ["src/Worker.ts"], why: "definitions and clients work without a worker" },
  {
    part: "src/Worker.ts",
    importers: ["src/Check.ts", "src/index.ts"],
    why: "definitions and clients work without a worker"
  }
]

const within = (path: string, name: string) => name.endsWith("/") ? path.startsWith(name) : path === name

/** The positions in `ranks` that a file has. It must be exactly one. */
export const ranksOf = (path: string): ReadonlyArray<number> => {
  const named = ranks.flatMap((names, rank) => names.filter((name) => within(path, name)).map(() => rank))
  const noun = named.length === 0 && /^src\/[^/]+\.ts$/.test(path)
  return noun ? [ranks.findIndex((names) => names.includes(PUBLIC_NOUNS))] : named
}

/** Imports inside the core go to the same rank or a lower one, through no wall, and never to a package or to Node. */
export const rankViolations = (source: Scanned): ReadonlyArray<Violation> => {
  const { path } = source
  if (!path.startsWith("src/")) return []
  const own = ranksOf(path)
  const [rank] = own
  if (rank === undefined || own.length > 1) {
    return [{
      rule: "ranks",
      path,
      line: 1,
      detail: `must have one rank in test/architecture/ranks.ts, has ${own.length}`
    }]
  }
  return importsOf(source).flatMap(({ line, path: target, specifier }) => {
    const found = (detail: string): ReadonlyArray<Violation> => [{ rule: "ranks", path, line, detail }]
    if (target === undefined) {
      return /^effect(?:\/|$)/.test(specifier) ? [] : found(`the core imports Effect and itself, not "${specifier}"`)
    }
    if (!target.startsWith("src/")) return found(`the core imports no package, so not "${specifier}"`)
    const other = ranksOf(target)[0]
    if (other !== undefined && other > rank) return found(`imports from a higher rank: "${specifier}"`)
    return walls.flatMap(({ importers, imports, part, why }) => {
      const inside = within(path, part)
      const closed = importers !== undefined && within(target, part) && !inside && !importers.includes(path)
      const escapes = imports !== undefined && inside && ![part, ...imports].some((name) => within(target, name))
      return closed || escapes ? found(`${why}, so not "${specifier}"`) : []
    })
  })
}

/** The groups of files that import each other in a circle, type imports included (Tarjan's algorithm). */
export const circles = (sources: ReadonlyArray<Scanned>): ReadonlyArray<ReadonlyArray<string>> => {
  const graph = new Map(
    sources.map((source) => [source.path, importsOf(source).flatMap(({ path }) => path === undefined ? [] : [path])])
  )
  const found: Array<ReadonlyArray<string>> = []
  const order = new Map<string, number>()
  const stack: Array<string> = []
  const visit = (path: string): number => {
    const index = order.size
    order.set(path, index)
    stack.push(path)
    let lowest = index
    for (const next of graph.get(path) ?? []) {
      if (!graph.has(next)) continue
      if (!order.has(next)) lowest = Math.min(lowest, visit(next))
      else if (stack.includes(next)) lowest = Math.min(lowest, order.get(next) ?? index)
      if (next === path) found.push([path])
    }
    if (lowest === index) {
      const group = stack.splice(stack.indexOf(path))
      if (group.length > 1) found.push(group.sort())
    }
    return lowest
  }
  for (const path of graph.keys()) if (!order.has(path)) visit(path)
  return found
}

export const circleViolations = (sources: ReadonlyArray<Scanned>): ReadonlyArray<Violation> =>
  circles(sources).flatMap((group) =>
    group.map((path) => ({ rule: "circles", path, line: 1, detail: `in a circle of imports: ${group.join(", ")}` }))
  )
