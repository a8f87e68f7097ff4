import { assert, describe, it } from "@effect/vitest"
import { check, MAX_LINES } from "./rules.js"
import { scan } from "./scan.js"

/** The violations of a source, as `rule@line`. */
const found = (path: string, text: string) => check(scan({ path, text })).map(({ line, rule }) => `${rule}@${line}`)

describe("the checker of a file", () => {
  it("rejects imports outside of the core that break the packages' borders", () => {
    const bad: ReadonlyArray<readonly [path: string, text: string]> = [
      ["src/Workflow.ts", `import {\n  Effect\n} from "effect"`],
      ["packages/sql/src/claim.ts", `import { wire } from "perdure/internal/codec/wire"`],
      ["packages/sql/src/claim.ts", `import { wire } from "../../../src/internal/codec/wire.js"`],
      ["packages/sql/src/claim.ts", `import * as TestDatabase from "@perdure/testing/TestDatabase"`],
      ["test/Workflow.test.ts", `import "../scratchpad/idea.js"`]
    ]
    for (const [path, text] of bad) assert.match(found(path, text).join(), /^imports@\d$/, `${path}: ${text}`)
    const good: ReadonlyArray<readonly [path: string, text: string]> = [
      ["src/Workflow.ts", `// import * as Worker from "./Worker.js"\nconst text = 'from "./Worker.js"'`],
      ["packages/postgres/src/index.ts", `import * as Sql from "@perdure/sql/SqlJournal"`],
      ["packages/sql/src/claim.ts", `import * as Driver from "perdure/JournalDriver"`],
      ["packages/sql/test/claim.test.ts", `import * as TestDatabase from "@perdure/testing/TestDatabase"`]
    ]
    for (const [path, text] of good) assert.deepStrictEqual(found(path, text), [], `${path}: ${text}`)
  })

  it("rejects files that are too long", () => {
    assert.deepStrictEqual(found("bench/main.ts", "\n".repeat(MAX_LINES)), [])
    assert.deepStrictEqual(found("bench/main.ts", "\n".repeat(MAX_LINES + 1)), [`length@${MAX_LINES + 1}`])
  })

  it("rejects banned calls, types and casts", () => {
    const bad: ReadonlyArray<readonly [text: string, rule: string]> = [
      ["const now = Date.now()", "Date.now"],
      ["const now = new Date()", "Date.now"],
      ["const luck = `${Math.random()}`", "Math.random"],
      ["setTimeout(() => {}, 1)", "timers"],
      ["setInterval(f, 1)", "timers"],
      ["if (bad) process.exit(1)", "process.exit"],
      ["const x: any = 1", "any"],
      ["type X = Array<any>", "any"],
      ["type X = Record<string, any>", "any"],
      ["const f = (x: any) => x", "any"],
      ["const f = (x: any[]) => x", "any"],
      ["const y = x as any", "any"],
      ["const y = x!.y", "non-null"],
      ["f(x!)", "non-null"],
      ["const y = x[0]!", "non-null"],
      ["const y = f()! + 1", "non-null"],
      ["const y = x as never", "casts"],
      ["const y = x as unknown as Y", "casts"],
      ["const y = x as Schema.Schema.Any as Y", "casts"],
      ["const y = x as Map<A, B>[\"size\"] as Y", "casts"],
      ["const rt = yield* Effect.runtime<never>()", "runtime"],
      ["// @ts-ignore", "suppressed"],
      ["// @ts-expect-error", "suppressed"]
    ]
    for (const [text, rule] of bad) assert.deepStrictEqual(found("src/internal/util/x.ts", text), [`${rule}@1`], text)
  })

  it("accepts banned words outside of code, and code that only looks banned", () => {
    const good = [
      `const text = "Date.now() as any"`,
      "const text = `any ${name} Math.random()`",
      "const pattern = /\\bas any\\b|\"/\nconst half = a / b / c",
      "/* x!.y as never */ const y = 1",
      "const y = !x && a !== b && a != b",
      "const many = Array.from(many.values)",
      "const found = list.any(x)",
      "const y = `${`${x}`}` // as any",
      "const it = { skip: 1 }\nit.skip",
      "const y = x as const",
      "const y = [x as A, y as B]",
      "import * as A from \"./a.js\"\nimport { b as c, d as e } from \"./b.js\"",
      "process.exitCode = 1",
      "const at = new Date(millis)"
    ]
    for (const text of good) assert.deepStrictEqual(found("src/internal/util/x.ts", text), [], text)
  })

  it("rejects tests that are skipped and tests that sleep", () => {
    const skipped = [
      "it.skip(\"x\", f)",
      "describe.only(\"x\", f)",
      "it.effect.todo(\"x\")",
      "it.skipIf(ci)(\"x\", f)",
      "xit(\"\", f)"
    ]
    for (const text of skipped)
      assert.deepStrictEqual(found("packages/sql/test/a.test.ts", text), ["skipped tests@1"], text)
    assert.deepStrictEqual(found("test/a.test.ts", "it.live(\"x\", () =>\n  Effect.sleep(10))"), ["sleeps@2"])
    assert.deepStrictEqual(found("test/a.test.ts", "it.effect(\"x\", () =>\n  Effect.sleep(10))"), [])
    assert.deepStrictEqual(found("test/a.test.ts", "// @ts-expect-error: no payload\nstart()"), [])
  })

  it("rejects public values without an example", () => {
    const doc = (...tags: ReadonlyArray<string>) =>
      `/**\n * @since 0.1.0\n${tags.map((tag) => ` * ${tag}\n`).join("")} */\n`
    const example = doc("@category operations", "@example", "f()")
    assert.deepStrictEqual(found("src/X.ts", `${doc("@category operations")}export const x = 1`), ["examples@5"])
    assert.deepStrictEqual(found("src/X.ts", `${doc()}export function f() {}`), ["examples@4"])
    assert.deepStrictEqual(found("src/X.ts", `${example}export const x = 1`), [])
    assert.deepStrictEqual(found("src/X.ts", `${example}export function f(): 1\n${doc()}export function f() {}`), [])
    for (const tag of ["@category errors", "@category guards", "@internal"]) {
      assert.deepStrictEqual(found("src/X.ts", `${doc(tag)}export const x = 1`), [], tag)
    }
    assert.deepStrictEqual(found("src/X.ts", `${doc()}export interface X {}`), [])
    assert.deepStrictEqual(found("packages/sql/src/X.ts", `${doc()}export const x = 1`), [])
    assert.deepStrictEqual(found("packages/sql/src/X.ts", `${doc("@category layers")}export const x = 1`), [
      "examples@5"
    ])
  })

  it("rejects public exports without a docstring", () => {
    const doc = "/**\n * What it does.\n *\n * @since 0.1.0\n */\n"
    assert.deepStrictEqual(found("src/X.ts", "/** No since. */\nexport type X = 1"), ["documented@2"])
    assert.deepStrictEqual(found("src/X.ts", `${doc}const y = 1\n\nexport interface X {}`), ["documented@8"])
    assert.deepStrictEqual(found("packages/sql/src/X.ts", "export class X {}"), ["documented@1"])
    assert.deepStrictEqual(found("src/X.ts", `${doc}export interface X {}\n\nexport type X = 1`), [])
    assert.deepStrictEqual(found("src/internal/util/x.ts", "export const x = 1"), [])
  })
})
