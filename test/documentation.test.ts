import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { PUBLIC_NOUNS, ranks } from "./architecture/ranks.js"
import { compilerErrors, examplesOf } from "./documentation/examples.js"

const root = fileURLToPath(new URL("..", import.meta.url))

const within = (folder: string, ending: string) =>
  existsSync(`${root}${folder}`)
    ? readdirSync(`${root}${folder}`, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(ending))
      .map((name) => `${folder}/${name}`)
    : []

const documents = [
  ...["README.md", "CHANGELOG.md", "CONTRIBUTING.md"].filter((path) => existsSync(`${root}${path}`)),
  ...within("docs", ".md"),
  ...within("examples", ".md"),
  ...within("src", ".ts"),
  ...readdirSync(`${root}packages`).flatMap((name) => [
    ...readdirSync(`${root}packages/${name}`).filter((file) => file.endsWith(".md")).map((file) =>
      `packages/${name}/${file}`
    ),
    ...within(`packages/${name}/src`, ".ts")
  ])
].map((path) => ({ path, text: readFileSync(`${root}${path}`, "utf8") }))

describe("the examples of documents and docstrings", () => {
  it.effect("compile", () =>
    Effect.gen(function*() {
      const examples = documents.flatMap(examplesOf)
      assert.isAbove(examples.length, 3)
      assert.deepStrictEqual(yield* compilerErrors(examples), [])
    }), 120_000)
})

/** Where the options of each heading are declared. */
const declared: Readonly<Record<string, ReadonlyArray<readonly [path: string, name: string]>>> = {
  "Workflow.make": [["src/Workflow.ts", "Definition"], ["src/internal/options/workflowOptions.ts", "WorkflowOptions"]],
  "workflow.start": [["src/internal/options/startOptions.ts", "StartOptions"]],
  "Step.run": [["src/Step.ts", "StepOptions"], ["src/Step.ts", "TimeoutOption"], ["src/Step.ts", "Retry"]],
  "Worker.layer": [["src/internal/worker/settings.ts", "WorkerOptions"]],
  "RunSchedule.make": [["src/internal/schedules/options.ts", "ScheduleOptions"]],
  "PgJournal.layer": [
    ["packages/postgres/src/PgJournal.ts", "PgJournalOptions"],
    ["packages/sql/src/SqlJournal.ts", "SqlJournalOptions"]
  ],
  "PgliteJournal.layer": [
    ["packages/pglite/src/PgliteJournal.ts", "PgliteJournalOptions"],
    ["packages/sql/src/SqlJournal.ts", "SqlJournalOptions"]
  ],
  "Retention.layer": [["src/Retention.ts", "RetentionOptions"]],
  "Journal.layer": [["src/Journal.ts", "JournalOptions"]],
  "Limits.layer": [["src/Limits.ts", "LimitsOptions"]]
}

describe("docs/options.md", () => {
  const sections = readFileSync(`${root}docs/options.md`, "utf8").split(/^## `/m).slice(1)

  it("has a section for each public option type", () =>
    assert.deepStrictEqual(
      sections.map((section) => section.split("(")[0]),
      Object.keys(declared)
    ))

  for (const [heading, interfaces] of Object.entries(declared)) {
    it(`has a row for every option of ${heading}, and no other row`, () => {
      const fields = interfaces.flatMap(([path, name]) => {
        const source = documents.find((document) => document.path === path)?.text ?? ""
        const [, body = ""] = new RegExp(`^(?:export )?interface ${name}\\b[^{]*\\{$(.*?)^\\}$`, "ms").exec(source) ??
          []
        return [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, field = ""]) => field)
      })
      const section = sections.find((each) => each.startsWith(`${heading}(`)) ?? ""
      const rows = [...section.matchAll(/^\| (?:\*\*)?`(\w+)`/gm)].map(([, option = ""]) => option)
      assert.isNotEmpty(fields)
      assert.deepStrictEqual(rows, fields)
    })
  }
})

/** The anchors that GitHub gives to the headings of a page. */
const anchorsOf = (text: string) =>
  [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = ""]) =>
    title.toLowerCase().replaceAll(/[^\w\- ]/g, "").replaceAll(" ", "-")
  )

describe("the links and commands of the pages", () => {
  const pages = documents.filter(({ path }) => path.endsWith(".md"))
  const found = (pattern: RegExp) =>
    pages.flatMap(({ path, text }) => [...text.matchAll(pattern)].map(([, what = ""]) => ({ path, what })))

  it("name files and sections that exist", () => {
    const links = found(/\]\(([^)\s]+)\)/g).filter(({ what }) => !what.includes("://"))
    assert.isAbove(links.length, 10)
    const broken = links.filter(({ path, what }) => {
      const [file = "", section] = what.split("#")
      const target = new URL(file === "" ? path : file, new URL(file === "" ? "" : path, `file://${root}`))
      if (!existsSync(target)) return true
      return section !== undefined && !anchorsOf(readFileSync(target, "utf8")).includes(section)
    })
    assert.deepStrictEqual(broken, [])
  })

  it("name source files and folders that exist", () => {
    const named = found(/`((?:src|test|packages|examples|bench|scripts)\/[\w./-]+)`/g)
      // The tutorial names files of the reader's project.
      .filter(({ path }) => path !== "docs/tutorial.md")
    assert.isAbove(named.length, 50)
    assert.deepStrictEqual(named.filter(({ what }) => !existsSync(`${root}${what}`)), [])
  })

  it("rank the folders as the architecture test does", () => {
    const guide = pages.find(({ path }) => path === "CONTRIBUTING.md")?.text ?? ""
    const rows = [...guide.matchAll(/^\| \d+ \| (.*) \|$/gm)].map(([, names = ""]) =>
      names.startsWith("the public modules")
        ? [PUBLIC_NOUNS]
        : [...names.matchAll(/`([^`]+)`/g)].map(([, name]) => `src/${name}`)
    )
    assert.deepStrictEqual(rows.reverse(), ranks)
  })

  it("name npm scripts that exist", () => {
    const { scripts }: { readonly scripts: Readonly<Record<string, string>> } = JSON.parse(
      readFileSync(`${root}package.json`, "utf8")
    )
    const named = found(/\bnpm run ([\w:]+)/g)
    assert.isAbove(named.length, 5)
    assert.deepStrictEqual(named.filter(({ what }) => !(what in scripts)), [])
  })
})

const page = (...lines: ReadonlyArray<string>) => ({ path: "docs/page.md", text: lines.join("\n") })

describe("the checker of examples", () => {
  it.effect("reports the place of an error in the document", () =>
    Effect.gen(function*() {
      const errors = yield* compilerErrors(examplesOf(page(
        "# Title",
        "```ts",
        "import * as Effect from \"effect/Effect\"",
        "const program: Effect.Effect<string> = Effect.succeed(1)",
        "```",
        "```text",
        "not code at all",
        "```",
        "```ts two",
        "const one = 1",
        "```",
        "```ts two",
        "const two: string = one",
        "```"
      )))
      assert.deepStrictEqual(errors.filter((line) => line.startsWith("docs/")).map((line) => line.split(" ")[0]), [
        "docs/page.md:4:",
        "docs/page.md:13:"
      ])
    }), 120_000)

  it("refuses code that would hide from the compiler", () => {
    const source = (...lines: ReadonlyArray<string>) => ({ ...page(...lines), path: "src/X.ts" })
    const hidden: ReadonlyArray<readonly [document: ReturnType<typeof page>, message: string]> = [
      [page("```ts nocheck", "wrong", "```"), "1: an example that is not checked"],
      [page("```ts", "// @ts-ignore", "wrong", "```"), "2: an example that silences the compiler"],
      [page("text", "```typescript", "wrong", "```"), `2: a fence of language "typescript"`],
      [page("```js", "wrong", "```"), `1: a fence of language "js"`],
      [page("```", "wrong", "```"), `1: a fence of language ""`],
      [page("~~~tsx", "wrong", "~~~"), `1: a fence of language "tsx"`],
      [page("```sh", "npm test"), "1: a fence that is not closed"],
      [page("- item", "  ```ts", "wrong", "  ```"), "3: a line without the margin of its fence"],
      [source("/**", " * ```ts", "wrong", " * ```", " */"), "3: a line without the margin of its fence"],
      [source("/**", " * ```ts", " *wrong", " * ```", " */"), "3: a line without the margin of its fence"],
      [source("/**", " * ```ts", " * f()", " */"), "4: a line without the margin of its fence"],
      [source("/**", "```ts", "wrong", "```", " */"), "2: a fence without the margin of a docstring"],
      [source("/** ```ts", " * wrong", " * ```", " */"), "1: a fence on a docstring's first line"],
      [source("/**", " * @example", " * f()", "wrong", " */"), "4: a line without the margin of its fence"],
      [source("/**", " * @example", " *", " * wrong", " */"), "2: an `@example` without code right after it"],
      [source("/**", " * @example How to", " * wrong", " */"), "2: an `@example` without code right after it"],
      [source("/**", " * @example", " * f()", " * @example", " * g()", " */"), "4: an `@example` right after one"]
    ]
    for (const [document, message] of hidden) {
      assert.throws(() => examplesOf(document), `${document.path}:${message}`)
    }
  })

  it("reads fences in docstrings", () =>
    assert.deepStrictEqual(
      examplesOf({
        path: "src/X.ts",
        text: "/**\n * @example\n * ```ts\n * const x = {\n *   y: 1\n *\n * }\n * ```\n */\nexport const z = 1\n"
      }),
      [{ document: "src/X.ts", name: "line-3", text: "\n\n\nconst x = {\n  y: 1\n\n}\n" }]
    ))

  it("reads examples in docstrings that have no fence", () =>
    assert.deepStrictEqual(
      examplesOf({
        path: "src/X.ts",
        text:
          "/**\n * @example\n * const x = {\n *   y: 1\n *\n * }\n * @since 0.1.0\n */\n/**\n * @example\n * f()\n */"
      }),
      [
        { document: "src/X.ts", name: "line-2", text: "\n\nconst x = {\n  y: 1\n\n}\n" },
        { document: "src/X.ts", name: "line-10", text: `${"\n".repeat(10)}f()\n` }
      ]
    ))
})
