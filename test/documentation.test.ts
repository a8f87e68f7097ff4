import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { complaints, examplesOf } from "./documentation/examples.js"

const root = fileURLToPath(new URL("..", import.meta.url))

const within = (folder: string, ending: string) =>
  existsSync(`${root}${folder}`)
    ? readdirSync(`${root}${folder}`).filter((name) => name.endsWith(ending)).map((name) => `${folder}/${name}`)
    : []

const documents = [
  ...["README.md", "CHANGELOG.md"].filter((path) => existsSync(`${root}${path}`)),
  ...within("docs", ".md"),
  ...within("src", ".ts"),
  ...readdirSync(`${root}packages`).flatMap((name) => [
    ...within(`packages/${name}`, ".md"),
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

  it("does not let an example ask not to be checked", () =>
    assert.throws(
      () => examplesOf(page("```ts nocheck", "wrong", "```")),
      /page\.md:1: an example that is not checked/
    ))

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
