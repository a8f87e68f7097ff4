/** The statements as text, the rule for their files, and their names. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { commit } from "../src/statements/commit/commit.js"
import { commitOwn } from "../src/statements/commit/commitOwn.js"
import * as Tables from "../src/Tables.js"
import { statement, type Verb } from "../src/Verb.js"
import { matchesFile } from "./support/file.js"
import { allShapes, rendered } from "./support/statements.js"

const directory = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

describe("the rendered statements", () => {
  it.effect("are equal to the committed files", () =>
    Effect.forEach(rendered, ([name, text]) => matchesFile(`../statements/${name}`, text), { discard: true }))

  it("are all files of packages/sql/statements", () => {
    assert.deepStrictEqual(readdirSync(directory("../statements/")).toSorted(), [...rendered.keys()].toSorted())
  })
})

/** Files below `src/statements` that are not shared. */
const files = readdirSync(directory("../src/statements/"), { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts") && path.includes("/") && !path.startsWith("shared/"))
  .map((path) => ({ path, text: readFileSync(directory(`../src/statements/${path}`), "utf8") }))

const verbsOf = (text: string): number => text.match(/: Verb = \{|\): Verb => |\): FilterStatement => /g)?.length ?? 0

describe("a file of statements", () => {
  it("has at most one statement, and a comment that names its indexes and locks", () => {
    const withStatement = files.filter(({ text }) => verbsOf(text) > 0)
    assert.isAbove(withStatement.length, 40)
    for (const { path, text } of withStatement) {
      assert.strictEqual(verbsOf(text), 1, path)
      const [comment = ""] = text.split("*/")
      assert.match(comment, /(Index(es)?|Tables?): /, path)
      assert.match(comment, /Locks: /, path)
    }
  })
})

const tables = Tables.unsafeMake("perdure")

const textsByName = (verbs: ReadonlyArray<Verb>) => {
  const texts = new Map<string, Set<string>>()
  for (const verb of verbs) {
    texts.set(verb.name, (texts.get(verb.name) ?? new Set()).add(statement(verb, tables, "database").text))
  }
  return [...texts].filter(([, all]) => all.size > 1).map(([name]) => name)
}

describe("the name of a commit statement", () => {
  it("is unique to its text, because the driver keeps statements by name", () => {
    assert.deepStrictEqual(textsByName([...allShapes.map(commit), ...allShapes.map(commitOwn)]), [])
  })
})
