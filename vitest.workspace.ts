/**
 * The projects of a test run: the core and each package. A run has one of two sizes:
 *
 * - `npm test` proves every behaviour, at sizes that a developer waits for: every `*.test.ts` that is not long;
 * - `npm run test:long` explores the same properties at large sizes: every `*.long.test.ts`.
 */
import { existsSync, readdirSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { TestProjectConfiguration } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"

const root = fileURLToPath(new URL(".", import.meta.url))

const LONG = "**/*.long.test.ts"

/** Each folder that has tests, by the name of its project. */
export const folders: ReadonlyArray<readonly [name: string, folder: string]> = [
  ["perdure", "."],
  ...readdirSync(`${root}packages`)
    .filter((name) => existsSync(`${root}packages/${name}/test`))
    .map((name) => [name, `packages/${name}`] as const)
]

export type Size = "fast" | "long"

export const projects = (size: Size): Array<TestProjectConfiguration> =>
  folders.map(([name, folder]) => ({
    extends: true,
    test: {
      name,
      root: `${root}${folder}`,
      ...(size === "long" ? { include: [`test/${LONG}`] } : { include: ["test/**/*.test.ts"], exclude: [LONG] })
    }
  }))

/** The files that take longest, in this order. The others are short beside them. */
const slowest = [
  "crash/memory",
  "examples",
  "documentation/tutorial",
  "faults/schedules",
  "faults/",
  "crash/",
  "RunSchedule",
  "folder",
  "finding",
  "plans",
  "claimPlans",
  "PgJournal",
  "PgliteJournal",
  "locks",
  "agreement"
]

const rankOf = ({ moduleId }: TestSpecification): number => {
  const rank = slowest.findIndex((name) => moduleId.includes(`/test/${name}`))
  return rank === -1 ? slowest.length : rank
}

/** Begins with the slowest files, so that the last ones end together: a project waits for the one before it. */
export class SlowestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    return (await super.sort(files)).toSorted((a, b) => rankOf(a) - rankOf(b))
  }
}
