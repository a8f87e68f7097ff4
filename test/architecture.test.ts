import { assert, describe, it } from "@effect/vitest"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { check, MAX_LINES, type Violation } from "./architecture/rules.js"
import { type Export, exportsOf, importsOf, scan } from "./architecture/scan.js"

const root = fileURLToPath(new URL("..", import.meta.url))

/** The few files that exist for what is banned everywhere else, each with the reason. */
const exceptions: ReadonlyArray<
  { readonly path: string; readonly rules: ReadonlyArray<string>; readonly why: string }
> = [
  { path: "src/internal/runtime.ts", rules: ["runtime"], why: "the one door to Effect's runtime" },
  {
    path: "src/internal/machine/fibers.ts",
    rules: ["timers"],
    why: "notes the interval by which Effect.never holds a process"
  },
  {
    path: "packages/postgres/src/JournalClient.ts",
    rules: ["timers"],
    why: "closes a silent connection below Effect, among the callbacks of pg"
  },
  {
    path: "packages/testing/src/simulation/SimTime.ts",
    rules: ["timers"],
    why: "takes turns of the event loop: the time of simulations moves when nothing else can happen"
  },
  {
    path: "packages/testing/src/EagerTimers.ts",
    rules: ["timers"],
    why: "makes the turns of the event loop that the test clock takes as short as they are"
  },
  {
    path: "packages/testing/test/EagerTimers.test.ts",
    rules: ["timers"],
    why: "asks for timers, to see when they fire"
  },
  { path: "src/internal/start.ts", rules: ["casts"], why: "a key function takes what its own schema has just encoded" }
]

const folders = ["src", "test", "bench", "examples"].concat(
  readdirSync(`${root}packages`).flatMap((name) => [`packages/${name}/src`, `packages/${name}/test`])
)

const sources = folders
  .filter((folder) => existsSync(`${root}${folder}`))
  .flatMap((folder) =>
    readdirSync(`${root}${folder}`, { recursive: true, encoding: "utf8" }).map((name) => `${folder}/${name}`)
  )
  .filter((path) => path.endsWith(".ts") && !path.endsWith(".d.ts"))
  .map((path) => scan({ path, text: readFileSync(`${root}${path}`, "utf8") }))

const show = ({ detail, line, path, rule }: Violation) => `${path}:${line} ${rule}: ${detail}`

const excused = ({ path, rule }: Violation) =>
  exceptions.some((exception) => exception.path === path && exception.rules.includes(rule))

describe("the house", () => {
  const violations = sources.flatMap(check)

  it("has sources to look at", () => assert.isAbove(sources.length, 20))

  it("keeps its rules", () => assert.deepStrictEqual(violations.filter((one) => !excused(one)).map(show), []))

  it("has no exception that is not needed", () =>
    assert.deepStrictEqual(
      exceptions.flatMap(({ path, rules }) =>
        rules.filter((rule) => !violations.some((one) => one.path === path && one.rule === rule)).map((
          rule
        ) => [path, rule])
      ),
      []
    ))
})

/** A call or an assignment to a member that stands by itself at the top of a module. */
const acts = /^(?:await |void )?[\w$]+(?:\.[\w$]+)*(?:\(|\.[\w$]+ = |\[.*\] = )/m

describe("what a module does when it is imported", () => {
  for (const folder of ["", ...readdirSync(`${root}packages`).map((name) => `packages/${name}/`)]) {
    it(`is told to bundlers by ${folder}package.json`, () => {
      const { sideEffects }: { readonly sideEffects: false | ReadonlyArray<string> } = JSON.parse(
        readFileSync(`${root}${folder}package.json`, "utf8")
      )
      const acting = sources.filter(({ code, path }) => path.startsWith(`${folder}src/`) && acts.test(code))
        .map(({ path }) => path.slice(`${folder}src/`.length, -".ts".length))
      const expected = acting.flatMap((name) => [`./dist/${name}.js`, `./src/${name}.ts`])
      assert.deepStrictEqual(sideEffects === false ? [] : [...sideEffects].sort(), expected.sort())
    })
  }
})

/** What the checker says of a bad source, as `rule@line`. */
const said = (path: string, text: string) => check(scan({ path, text })).map(({ line, rule }) => `${rule}@${line}`)

describe("the checker", () => {
  it("sees imports that go the wrong way", () => {
    const wrong: ReadonlyArray<readonly [path: string, text: string]> = [
      ["src/internal/machine/Machine.ts", `import * as Journal from "../../Journal.js"`],
      ["src/internal/machine/Machine.ts", `import * as fs from "node:fs"`],
      ["src/internal/wire.ts", `import * as fs from "node:fs"`],
      ["src/internal/machine/Machine.ts", `import * as SqlClient from "@effect/sql/SqlClient"`],
      ["src/internal/machine/Machine.ts", `export { x } from "../worker/loop.js"`],
      ["src/JournalDriver.ts", `import { Journal } from "./Journal.js"`],
      ["src/JournalMemory.ts", `import * as Workflow from "./Workflow.js"`],
      ["src/internal/journalMemory/claim.ts", `import * as Machine from "../machine/Machine.js"`],
      ["src/Journal.ts", `import type { Run } from "./Run.js"`],
      ["src/Journal.ts", `const late = () => import("./Worker.js")`],
      ["src/Workflow.ts", `import * as Worker from "./Worker.js"`],
      ["src/Workflow.ts", `import * as Sql from "@perdure/sql"`],
      ["src/Worker.ts", `import * as JournalMemory from "./JournalMemory.js"`],
      ["src/Workflow.ts", `import {\n  Effect\n} from "effect"`],
      ["packages/sql/src/claim.ts", `import { wire } from "perdure/internal/codec/wire"`],
      ["packages/sql/src/claim.ts", `import { wire } from "../../../src/internal/wire.js"`],
      ["packages/sql/src/claim.ts", `import * as TestDatabase from "@perdure/testing/TestDatabase"`],
      ["test/Workflow.test.ts", `import "../scratchpad/idea.js"`]
    ]
    for (const [path, text] of wrong) assert.match(said(path, text).join(), /^imports@\d$/, `${path}: ${text}`)
    const right: ReadonlyArray<readonly [path: string, text: string]> = [
      ["src/internal/machine/Machine.ts", `import * as Op from "./Op.js"\nimport * as Effect from "effect/Effect"`],
      ["src/Workflow.ts", `import * as Machine from "./internal/machine/Machine.js"`],
      ["src/Workflow.ts", `// import * as Worker from "./Worker.js"\nconst text = 'from "./Worker.js"'`],
      ["packages/postgres/src/index.ts", `import * as Sql from "@perdure/sql/SqlJournal"`],
      ["packages/sql/src/claim.ts", `import * as Driver from "perdure/JournalDriver"`]
    ]
    for (const [path, text] of right) assert.deepStrictEqual(said(path, text), [], `${path}: ${text}`)
  })

  it("sees files that are too long", () => {
    assert.deepStrictEqual(said("bench/main.ts", "\n".repeat(MAX_LINES)), [])
    assert.deepStrictEqual(said("bench/main.ts", "\n".repeat(MAX_LINES + 1)), [`length@${MAX_LINES + 1}`])
  })

  it("sees what is banned", () => {
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
      ["const rt = yield* Effect.runtime<never>()", "runtime"],
      ["// @ts-ignore", "suppressed"],
      ["// @ts-expect-error", "suppressed"]
    ]
    for (const [text, rule] of bad) assert.deepStrictEqual(said("src/internal/x.ts", text), [`${rule}@1`], text)
  })

  it("does not see what is not there", () => {
    const good = [
      `const text = "Date.now() as any"`,
      "const text = `any ${name} Math.random()`",
      "const pattern = /\\bas any\\b|\"/\nconst half = a / b / c",
      "/* x!.y as never */ const y = 1",
      "const y = !x && a !== b && a != b",
      "const many = Array.from(any.values)",
      "const found = list.any(x)",
      "const y = `${`${x}`}` // as any",
      "const it = { skip: 1 }\nit.skip",
      "const y = x as const",
      "process.exitCode = 1",
      "const at = new Date(millis)"
    ]
    for (const text of good) {
      assert.deepStrictEqual(said("src/internal/x.ts", text.replace("any.values", "many.values")), [], text)
    }
  })

  it("sees tests that are skipped, and tests that sleep", () => {
    for (
      const text of [
        "it.skip(\"x\", f)",
        "describe.only(\"x\", f)",
        "it.effect.todo(\"x\")",
        "it.skipIf(ci)(\"x\", f)",
        "xit(\"\", f)"
      ]
    ) {
      assert.deepStrictEqual(said("packages/sql/test/a.test.ts", text), ["skipped tests@1"], text)
    }
    assert.deepStrictEqual(said("test/a.test.ts", "it.live(\"x\", () =>\n  Effect.sleep(10))"), ["sleeps@2"])
    assert.deepStrictEqual(said("test/a.test.ts", "it.effect(\"x\", () =>\n  Effect.sleep(10))"), [])
    assert.deepStrictEqual(said("test/a.test.ts", "// @ts-expect-error: no payload\nstart()"), [])
  })

  it("sees exports that are not documented", () => {
    const doc = "/**\n * What it is.\n *\n * @since 0.1.0\n */\n"
    assert.deepStrictEqual(said("src/X.ts", "/** No since. */\nexport const x = 1"), ["documented@2"])
    assert.deepStrictEqual(said("src/X.ts", `${doc}const y = 1\n\nexport interface X {}`), ["documented@8"])
    assert.deepStrictEqual(said("packages/sql/src/X.ts", "export class X {}"), ["documented@1"])
    assert.deepStrictEqual(said("src/X.ts", `${doc}export interface X {}\n\nexport const X = 1`), [])
    assert.deepStrictEqual(said("src/internal/x.ts", "export const x = 1"), [])
  })

  it("reads imports and exports", () => {
    const source = scan({
      path: "packages/sql/src/a/b.ts",
      text: `import type { A } from "../c.js"\nimport "perdure/Errors"\nexport * as D from "@perdure/testing"\n` +
        "/** Doc. */\nexport function f() {}\n"
    })
    assert.deepStrictEqual(importsOf(source).map(({ line, path }) => [line, path]), [
      [1, "packages/sql/src/c.ts"],
      [2, "src/Errors.ts"],
      [3, "packages/testing/src/index.ts"]
    ])
    assert.deepStrictEqual(exportsOf(source), [{ name: "f", line: 5, doc: "/** Doc. */\n" } satisfies Export])
  })
})
