import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { complaints, examplesOf } from "./documentation/examples.js"

const root = fileURLToPath(new URL("..", import.meta.url))

const within = (folder: string, ending: string) =>
  existsSync(`${root}${folder}`)
    ? readdirSync(`${root}${folder}`, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(ending))
      .map((name) => `${folder}/${name}`)
    : []

const documents = [
  ...["README.md", "CHANGELOG.md"].filter((path) => existsSync(`${root}${path}`)),
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

describe("the documentation", () => {
  it.effect("has examples that compile", () =>
    Effect.gen(function*() {
      const examples = documents.flatMap(examplesOf)
      assert.isAbove(examples.length, 3)
      assert.deepStrictEqual(yield* complaints(examples), [])
    }), 120_000)
})

const page = (...lines: ReadonlyArray<string>) => ({ path: "docs/page.md", text: lines.join("\n") })

describe("the checker", () => {
  it.effect("says where an example does not compile", () =>
    Effect.gen(function*() {
      const said = yield* complaints(examplesOf(page(
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
      assert.deepStrictEqual(said.filter((line) => line.startsWith("docs/")).map((line) => line.split(" ")[0]), [
        "docs/page.md:4:",
        "docs/page.md:13:"
      ])
    }), 120_000)

  it("does not let code hide from the compiler", () => {
    const source = (...lines: ReadonlyArray<string>) => ({ ...page(...lines), path: "src/X.ts" })
    const hidden: ReadonlyArray<readonly [document: ReturnType<typeof page>, says: string]> = [
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
    for (const [document, says] of hidden) {
      assert.throws(() => examplesOf(document), `${document.path}:${says}`)
    }
  })

  it("reads the examples of docstrings", () =>
    assert.deepStrictEqual(
      examplesOf({
        path: "src/X.ts",
        text: "/**\n * @example\n * ```ts\n * const x = {\n *   y: 1\n *\n * }\n * ```\n */\nexport const z = 1\n"
      }),
      [{ document: "src/X.ts", name: "line-3", text: "\n\n\nconst x = {\n  y: 1\n\n}\n" }]
    ))

  it("reads examples of docstrings that have no fence", () =>
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
