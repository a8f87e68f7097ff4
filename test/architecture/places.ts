/** The places of test files: each belongs to one project and size, and mirrors a module or is in a suite. */
import { folders } from "../../vitest.workspace.js"
import type { Violation } from "./violation.js"

/** Folders in `test/` whose files test the whole system, the fixtures, or the repository itself. */
const suites = new Set([
  "architecture",
  "crash",
  "documentation",
  "examples",
  "faults",
  "fixtures",
  "replay",
  "statements",
  "types"
])

const parse = (path: string) => {
  const match = /^(.*)\/([^/]+?)(\.long)?\.test\.ts$/.exec(path)
  return match === null
    ? undefined
    : { folder: match[1] ?? "", name: match[2] ?? "", isLong: match[3] !== undefined }
}

/** Whether a fast file tests the same: `Run.agreement` or `Run` for the long `Run.agreement`. */
const isSibling = (name: string, long: string) => long === name || long.startsWith(`${name}.`)

/** The violations by test files, of all files of the repository. */
export const placeViolations = (files: ReadonlyArray<string>): ReadonlyArray<Violation> => {
  const all = new Set(files)
  const hasFolder = (folder: string) => files.some((path) => path.startsWith(`${folder}/`))
  return files.flatMap((path) => {
    const test = parse(path)
    if (test === undefined) return []
    const found = (detail: string): ReadonlyArray<Violation> => [{ rule: "places", path, line: 1, detail }]
    const { folder, isLong, name } = test
    const project = folders.find(([, home]) => path.startsWith(home === "." ? "test/" : `${home}/test/`))
    if (project === undefined) return found("belongs to no project of vitest.workspace.ts")
    const siblings = files.flatMap((other) => {
      const parsed = parse(other)
      return parsed !== undefined && parsed.folder === folder && !parsed.isLong ? [parsed.name] : []
    })
    if (isLong && !siblings.some((fast) => isSibling(fast, name))) return found("has no fast test beside it")
    const home = project[1] === "." ? "" : `${project[1]}/`
    const within = folder.slice(`${home}test`.length)
    const module = name.split(".")[0] ?? ""
    if (all.has(`${home}src${within}/${module}.ts`)) return []
    if (home !== "") {
      const isTopic = /^[a-z]/.test(module)
      const isModule = files.some((other) => other.startsWith(`${home}src/`) && other.endsWith(`/${module}.ts`))
      return isTopic || isModule ? [] : found(`names no module of ${home}src/`)
    }
    const isTopic = suites.has(within === "" ? module : within.split("/")[1] ?? "") ||
      within !== "" && hasFolder(`src${within}`)
    return isTopic ? [] : found(`mirrors no module in src${within}/ and is in no suite of test/architecture/places.ts`)
  })
}
