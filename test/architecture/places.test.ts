import { assert, describe, it } from "@effect/vitest"
import { placeViolations } from "./places.js"

const modules = ["src/Run.ts", "src/internal/machine/Machine.ts", "packages/sql/src/SqlJournal.ts"]

const found = (...paths: ReadonlyArray<string>) =>
  placeViolations([...modules, ...paths]).map(({ path, rule }) => `${rule} ${path}`)

describe("the places of tests", () => {
  it("are accepted beside a mirrored module, in a mirrored folder and in a suite", () => {
    const good = [
      "test/Run.test.ts",
      "test/Run.fork.test.ts",
      "test/internal/machine/Machine.test.ts",
      "test/internal/machine/replay.test.ts",
      "test/crash/memory.test.ts",
      "test/types.test.ts",
      "packages/sql/test/SqlJournal.test.ts",
      "packages/sql/test/plans.test.ts"
    ]
    assert.deepStrictEqual(found(...good), [])
  })

  it("are rejected where they mirror nothing", () => {
    const bad = [
      "test/Ran.test.ts",
      "test/internal/misc/thing.test.ts",
      "test/stuff/thing.test.ts",
      "packages/sql/test/SqlJourney.test.ts"
    ]
    for (const path of bad) assert.deepStrictEqual(found(path), [`places ${path}`])
  })

  it("are rejected outside of all projects", () => {
    for (const path of ["src/Run.test.ts", "bench/main.test.ts", "packages/none/test/x.test.ts"]) {
      assert.deepStrictEqual(found(path), [`places ${path}`])
    }
  })

  it("of long tests are rejected without a fast test of the same subject", () => {
    assert.deepStrictEqual(found("test/crash/memory.long.test.ts"), ["places test/crash/memory.long.test.ts"])
    assert.deepStrictEqual(found("test/Run.fork.long.test.ts", "test/Run.pause.test.ts"), [
      "places test/Run.fork.long.test.ts"
    ])
    assert.deepStrictEqual(found("test/Run.long.test.ts", "test/Run.test.ts"), [])
    assert.deepStrictEqual(found("test/crash/memory.random.long.test.ts", "test/crash/memory.test.ts"), [])
  })
})
