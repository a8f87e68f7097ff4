import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Errors from "perdure/Errors"
import { errorExamples, isRuntimeError, shownMessage } from "./documentation/errorExamples.js"

/** They are produced once. */
const examplesOnce = Effect.runSync(Effect.cached(errorExamples))

const root = fileURLToPath(new URL("..", import.meta.url))

/** The sections of a page, by title. */
const sectionsOf = (path: string, heading: "##" | "###") =>
  readFileSync(root + path, "utf8").split(new RegExp(`^${heading} `, "m")).slice(1).map((text) => ({
    title: text.slice(0, text.indexOf("\n")),
    text
  }))

const errorSections = sectionsOf("docs/errors.md", "##")

const faultSections = sectionsOf("docs/faults.md", "###")

/** The public modules of the core and of the packages. */
const modules = ["src", ...readdirSync(`${root}packages`).map((name) => `packages/${name}/src`)].flatMap((folder) =>
  readdirSync(root + folder).filter((name) => name.endsWith(".ts")).map((name) => `${folder}/${name}`)
)

const code = modules.map((path) => readFileSync(root + path, "utf8")).join("\n")

/** The tags of all errors that these modules export. */
const tags = [
  ...code.matchAll(/^export class \w+\s+extends (?:Schema|Data)\.TaggedError(?:<\w+>\("[^"]*"\))?\(\s*"(\w+)"/gm)
].map(([, tag = ""]) => tag)

describe("docs/errors.md", () => {
  it("has a section for every exported error, and no other section", () => {
    assert.strictEqual(tags.length, [...code.matchAll(/^export class \w+\s+extends \S*TaggedError/gm)].length)
    assert.includeMembers(tags, ["Misuse", "ChildDepthExceeded", "FolderUnusable"])
    assert.deepStrictEqual(errorSections.map(({ title }) => title).sort(), [...tags].sort())
  })

  it("has a row for every code of JournalError, and no other row", () => {
    const section = errorSections.find(({ title }) => title === "JournalError")
    assert.deepStrictEqual(
      [...(section?.text ?? "").matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name).sort(),
      [...Errors.JournalErrorCode.literals].sort()
    )
  })

  it.effect("shows a message that the library really produces, in every section", () =>
    Effect.gen(function*() {
      const examples = yield* examplesOnce
      assert.deepStrictEqual(examples.map(({ _tag }) => _tag).sort(), [...tags].sort())
      const shown = errorSections.map(({ text, title }) => [title, /^```text\n(.*?)\n```$/ms.exec(text)?.[1]] as const)
      const messages = new Map(examples.map((error) => [error._tag, shownMessage(error)]))
      assert.deepStrictEqual(shown, shown.map(([title]) => [title, messages.get(title)] as const))
    }))
})

describe("a section of an error or a fault", () => {
  it.each([...errorSections, ...faultSections])("names the tests that prove it: $title", ({ text }) => {
    const line = /^Tested by (.*)\.$/ms.exec(text)?.[1] ?? ""
    const named = [...line.matchAll(/`((?:packages\/\w+\/)?test\/[\w/.-]+\.test\.ts)`/g)].map(([, path = ""]) => path)
    assert.isNotEmpty(named)
    assert.deepStrictEqual(named.filter((path) => !existsSync(root + path)), [])
  })
})

describe("an error of the runtime", () => {
  it.effect("keeps its class and message across the wire", () =>
    Effect.gen(function*() {
      const runtimeErrors = (yield* examplesOnce).filter(isRuntimeError)
      assert.deepStrictEqual(
        runtimeErrors.map(({ _tag }) => _tag).sort(),
        Errors.RuntimeError.members.map((member) => member._tag).sort()
      )
      const encode = Schema.encodeSync(Errors.RuntimeError)
      const decode = Schema.decodeUnknownSync(Errors.RuntimeError)
      for (const error of runtimeErrors) {
        const back = decode(JSON.parse(JSON.stringify(encode(error))))
        assert.instanceOf(back, Error)
        assert.strictEqual(back._tag, error._tag)
        assert.strictEqual(back.message, error.message)
        assert.notStrictEqual(error.message, "")
      }
    }))
})
