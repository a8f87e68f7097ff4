import { assert, describe, it } from "@effect/vitest"
import { circles, circleViolations, ranks, ranksOf, rankViolations } from "./ranks.js"
import { scan } from "./scan.js"

const found = (path: string, text: string) =>
  rankViolations(scan({ path, text })).map(({ line, rule }) => `${rule}@${line}`)

describe("ranks", () => {
  it("rejects imports of a higher rank, type imports included", () => {
    const bad: ReadonlyArray<readonly [path: string, text: string]> = [
      ["src/internal/machine/Machine.ts", `import * as Journal from "../../Journal.js"`],
      ["src/internal/machine/Machine.ts", `export { x } from "../worker/loop.js"`],
      ["src/internal/options/filters.ts", `import type { Ref } from "../../RunQueue.js"`],
      ["src/internal/options/filters.ts", `import { type Ref } from "../../RunQueue.js"`],
      ["src/JournalDriver.ts", `import { Journal } from "./Journal.js"`],
      ["src/Journal.ts", `import type { Run } from "./Run.js"`],
      ["src/Journal.ts", `const late = () => import("./Worker.js")`],
      ["src/Workflow.ts", `export * from "./index.js"`]
    ]
    for (const [path, text] of bad) assert.deepStrictEqual(found(path, text), ["ranks@1"], `${path}: ${text}`)
  })

  it("accepts imports of the same rank and of lower ranks", () => {
    const good: ReadonlyArray<readonly [path: string, text: string]> = [
      ["src/internal/machine/Machine.ts", `import * as Op from "./Op.js"\nimport * as Effect from "effect/Effect"`],
      ["src/Workflow.ts", `import * as Machine from "./internal/machine/Machine.js"`],
      ["src/Workflow.ts", `import type * as Run from "./Run.js"`],
      ["src/Journal.ts", `import * as possibleRuns from "./internal/journal/possibleRuns.js"`],
      ["packages/sql/src/claim.ts", `import * as Worker from "perdure/Worker"`]
    ]
    for (const [path, text] of good) assert.deepStrictEqual(found(path, text), [], `${path}: ${text}`)
  })

  it("rejects imports of Node and of packages by the core", () => {
    const specifiers = ["node:fs", "@effect/sql/SqlClient", "pg", "@perdure/sql", "@perdure/sql/SqlJournal"]
    for (const specifier of specifiers) {
      assert.deepStrictEqual(found("src/Workflow.ts", `import * as X from "${specifier}"`), ["ranks@1"], specifier)
      assert.deepStrictEqual(found("src/internal/codec/wire.ts", `import * as X from "${specifier}"`), ["ranks@1"])
    }
  })

  it("rejects imports through a wall", () => {
    const bad: ReadonlyArray<readonly [path: string, text: string]> = [
      ["src/Workflow.ts", `import * as Worker from "./Worker.js"`],
      ["src/Worker.ts", `import * as JournalMemory from "./JournalMemory.js"`],
      ["src/Runs.ts", `import * as Hold from "./internal/worker/Hold.js"`],
      ["src/internal/worker/Hold.ts", `import * as claim from "../journalMemory/claim.js"`],
      ["src/internal/journalMemory/claim.ts", `import * as wire from "../codec/wire.js"`]
    ]
    for (const [path, text] of bad) assert.deepStrictEqual(found(path, text), ["ranks@1"], `${path}: ${text}`)
  })

  it("rejects files of the core that have no rank", () => {
    assert.deepStrictEqual(found("src/internal/start.ts", ""), ["ranks@1"])
    assert.deepStrictEqual(found("src/internal/misc/start.ts", ""), ["ranks@1"])
    assert.deepStrictEqual(found("src/internal/util/start.ts", ""), [])
  })

  it("gives one rank to every file and folder in the table", () => {
    for (const [rank, names] of ranks.entries()) {
      for (const name of names)
        assert.deepStrictEqual(ranksOf(name.startsWith("src") ? name : "src/X.ts"), [rank], name)
    }
  })
})

describe("circles", () => {
  const files = (texts: Record<string, string>) => Object.entries(texts).map(([path, text]) => scan({ path, text }))

  it("finds files that import each other in a circle, type imports included", () => {
    const sources = files({
      "src/A.ts": `import * as B from "./B.js"`,
      "src/B.ts": `import * as D from "./D.js"\nimport type { C } from "./C.js"`,
      "src/C.ts": `import { a } from "perdure/A"`,
      "src/D.ts": `import * as Effect from "effect/Effect"`
    })
    assert.deepStrictEqual(circles(sources), [["src/A.ts", "src/B.ts", "src/C.ts"]])
    assert.deepStrictEqual(circleViolations(sources).map(({ path, rule }) => `${path} ${rule}`), [
      "src/A.ts circles",
      "src/B.ts circles",
      "src/C.ts circles"
    ])
  })

  it("finds each of several circles, and a file that imports itself", () => {
    const sources = files({
      "src/A.ts": `import "./B.js"\nimport "./C.js"`,
      "src/B.ts": `import "./A.js"`,
      "src/C.ts": `import "./D.js"`,
      "src/D.ts": `import "./C.js"\nimport "./E.js"`,
      "src/E.ts": `import "./E.js"`
    })
    assert.deepStrictEqual(
      new Set(circles(sources).map((group) => group.join())),
      new Set([
        "src/A.ts,src/B.ts",
        "src/C.ts,src/D.ts",
        "src/E.ts"
      ])
    )
  })

  it("accepts several paths to one file", () => {
    const sources = files({
      "src/A.ts": `import "./B.js"\nimport "./C.js"`,
      "src/B.ts": `import "./D.js"`,
      "src/C.ts": `import "./D.js"\nimport "./B.js"`,
      "src/D.ts": ""
    })
    assert.deepStrictEqual(circles(sources), [])
  })
})
