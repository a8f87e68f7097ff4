import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Errors from "perdure/Errors"

const root = fileURLToPath(new URL("..", import.meta.url))

const page = readFileSync(`${root}docs/errors.md`, "utf8")

/** Modules that users import, of the core and of the packages. */
const modules = ["src", ...readdirSync(`${root}packages`).map((name) => `packages/${name}/src`)].flatMap((folder) =>
  readdirSync(root + folder).filter((name) => name.endsWith(".ts")).map((name) => `${folder}/${name}`)
)

const code = modules.map((path) => readFileSync(root + path, "utf8")).join("\n")

/** The tags of all errors that they export. */
const tags = [
  ...code.matchAll(/^export class \w+\s+extends (?:Schema|Data)\.TaggedError(?:<\w+>\("[^"]*"\))?\(\s*"(\w+)"/gm)
].map(([, tag = ""]) => tag)

/** The rows of all tables, as their cells. */
const rows = page.split("\n").filter((line) => line.startsWith("| ")).map((line) =>
  line.split("|").slice(1, -1).map((cell) => cell.trim())
)

describe("the page of errors", () => {
  it("has a row for every error, and no other", () => {
    assert.strictEqual(tags.length, [...code.matchAll(/^export class \w+\s+extends \S*TaggedError/gm)].length)
    assert.includeMembers(tags, ["Misuse", "ChildDepthExceeded", "FolderUnusable"])
    const listed = rows.flatMap(([first = ""]) => /^`(\w+)`$/.exec(first)?.[1] ?? [])
    const codes = Errors.JournalErrorCode.literals
    assert.deepStrictEqual([...listed].sort(), [...tags, ...codes].sort())
  })

  it("names tests that exist, in every row of an error or a fault", () => {
    const named = [...page.matchAll(/(?:packages\/\w+\/)?test\/[\w/.-]+\.test\.ts/g)].map(([path]) => path)
    assert.isAbove(named.length, 20)
    assert.deepStrictEqual(named.filter((path) => !existsSync(root + path)), [])
    for (const row of rows.filter((cells) => cells.length === 5 && !["error", "case"].includes(cells[0] ?? ""))) {
      assert.match(row.at(-1) ?? "", /\.test\.ts/, row[0])
    }
  })
})

describe("errors", () => {
  const errors: ReadonlyArray<Errors.RuntimeError> = [
    new Errors.ValueInvalid({ what: "it", detail: "d" }),
    new Errors.ValueTooLarge({ what: "it", bytes: 2, limit: 1 }),
    new Errors.ValueUnreadable({ what: "it", detail: "d" }),
    new Errors.IdempotencyConflict({ workflow: "w", key: "k", runId: "r", existing: "1", payload: "2" }),
    new Errors.ChildDepthExceeded({ workflow: "w", parent: "p", depth: 11, limit: 10 }),
    new Errors.ChildLimitExceeded({ workflow: "w", parent: "p", limit: 1000 }),
    new Errors.SingletonBusy({ workflow: "w", key: "k", runId: "r" }),
    new Errors.UnknownQueue({ queue: "q" }),
    new Errors.TimedOut({ what: "step s", millis: 1 }),
    new Errors.RunEnded({ runId: "r", workflow: "w", status: "cancelled", detail: "" }),
    new Errors.NoSuchRun({ runId: "r" }),
    new Errors.NotDurable({ problem: "Stuck", place: "here" }),
    new Errors.Misuse({ detail: "no" }),
    new Errors.JournalError({ code: "Unavailable", operation: "claim", detail: "d", retryable: true })
  ]

  it("cross the wire as themselves, with their messages", () => {
    assert.deepStrictEqual(
      errors.map(({ _tag }) => _tag).sort(),
      Errors.RuntimeError.members.map((member) => member._tag).sort()
    )
    const encode = Schema.encodeSync(Errors.RuntimeError)
    const decode = Schema.decodeUnknownSync(Errors.RuntimeError)
    for (const error of errors) {
      const back = decode(JSON.parse(JSON.stringify(encode(error))))
      assert.instanceOf(back, Error)
      assert.strictEqual(back._tag, error._tag)
      assert.strictEqual(back.message, error.message)
      assert.notStrictEqual(error.message, "")
    }
  })
})
