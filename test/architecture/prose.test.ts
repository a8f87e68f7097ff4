import { assert, describe, it } from "@effect/vitest"
import { documentViolations, MAX_COMMENT_WIDTH, proseViolations, shellViolations } from "./prose.js"
import { scan } from "./scan.js"

const found = (text: string, path = "src/internal/util/x.ts") =>
  proseViolations(scan({ path, text })).map(({ line, rule }) => `${rule}@${line}`)

const sentences = [
  "the name of what is none",
  "there is none",
  "a run that is none",
  "Whoever comes first",
  "null if anything is left",
  "what is wrong with a queue",
  "something wrong with it",
  "starts the run anew",
  "mend it",
  "leave it out, or mended",
  "it must be a text",
  "an array of texts",
  "the worker is told",
  "by the way",
  "So many runs",
  "a key of which nobody",
  "nobody waits",
  "the run goes on",
  "what goes on here",
  "a run that there is not",
  "the value is there",
  "Answers the id",
  "it answers false",
  "what becomes of the run",
  "was asked in vain",
  "what is said here",
  "A to Z are as good as a to z",
  "each takes its turn",
  "the workflow is on hold",
  "get hold of it",
  "a time of less than nothing",
  "stopped in good order"
]

const plain = [
  "an option that is None",
  "the statement texts of a claim",
  "a text column",
  "for each run in turn",
  "Is there a limit? How many are there?",
  "The answers of the driver",
  "recommend the amendment",
  "turns into a row",
  "what the rule must hold of a journal"
]

describe("the words of prose", () => {
  it("are checked in comments, strings, templates and titles", () => {
    for (const sentence of sentences) {
      const texts = [
        `\n// ${sentence}`,
        `\n/** ${sentence}. */`,
        `const message =\n  "${sentence}"`,
        `const message = \`\${\nx} ${sentence}\``,
        `describe("x", () => {\n  it("${sentence}", () => {}) })`
      ]
      for (const text of texts) assert.deepStrictEqual(found(text), ["words@2"], text)
    }
  })

  it("are checked in documents", () => {
    const path = "docs/queues.md"
    assert.deepStrictEqual(documentViolations({ path, text: "# A\n\nIt starts anew." }).map(({ line }) => line), [3])
    assert.deepStrictEqual(documentViolations({ path, text: "Nobody approved the order." }), [])
  })

  it("are found when the lines of a comment divide them", () => {
    assert.deepStrictEqual(found("/**\n * The run goes\n * on.\n */"), ["words@2"])
    assert.deepStrictEqual(found("// what is\n// wrong"), ["words@1"])
    assert.deepStrictEqual(found("const sql = `\n  -- so\n  -- many\n`"), ["words@2"])
  })

  it("are free in code, in regular expressions and in plain sentences", () => {
    for (const text of ["const anew = told.mend()", "const pattern = /anew|mend/"])
      assert.deepStrictEqual(found(text), [])
    for (const sentence of plain) assert.deepStrictEqual(found(`// ${sentence}`), [], sentence)
  })
})

describe("the width of comments", () => {
  const long = "x ".repeat(MAX_COMMENT_WIDTH / 2)

  it("is limited", () => {
    assert.deepStrictEqual(found(`// ${long}`), ["width@1"])
    assert.deepStrictEqual(found(`/**\n * ${long}\n */`), ["width@2"])
    assert.deepStrictEqual(found(`const x = 1 // ${long}`), ["width@1"])
    assert.deepStrictEqual(found(`const sql = \`\n  -- ${long}\n\``), ["width@2"])
  })

  it("is limited in shell scripts, too", () => {
    const shell = (text: string) =>
      shellViolations({ path: ".ci/run", text }).map(({ line, rule }) => `${rule}@${line}`)
    assert.deepStrictEqual(shell(`set -eu\n  # ${long}`), ["width@2"])
    assert.deepStrictEqual(shell(`echo "${long}"\n# short`), [])
    assert.deepStrictEqual(shell("# starts anew"), ["words@1"])
  })

  it("is no limit of code or strings", () => {
    assert.deepStrictEqual(found(`const x = "${long}"`), [])
    assert.deepStrictEqual(found(`// ${"x".repeat(MAX_COMMENT_WIDTH - 3)}`), [])
  })
})
