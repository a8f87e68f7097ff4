import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { expectedCode, missingLines, page, partsOf, play, root } from "./tutorial.js"

describe("the tutorial", () => {
  it("has files, commands and outputs in each part", () => {
    const parts = partsOf(page)
    assert.isAtLeast(parts.length, 6)
    for (const { commands } of parts) assert.isNotEmpty(commands)
    assert.deepStrictEqual(parts.flatMap(({ files }) => [...files.keys()]), [
      "tsconfig.json",
      "src/expense.ts",
      "src/expenseLive.ts",
      "src/main.ts",
      "test/expense.test.ts"
    ])
  })

  it("installs the versions that this repository is tested with", () => {
    const { devDependencies }: { readonly devDependencies: Readonly<Record<string, string>> } = JSON.parse(
      readFileSync(`${root}package.json`, "utf8")
    )
    const installed = [...page.matchAll(/^npm install .*$/gm)].flatMap(([line]) =>
      [...line.matchAll(/ (@?[\w/-]+)@\^([\d.]+)/g)].map(([, name = "", version = ""]) => ({ name, version }))
    )
    assert.includeMembers(installed.map(({ name }) => name), ["effect", "@effect/platform-node", "vitest", "tsx"])
    for (const { name, version } of installed.filter((each) => each.name !== "typescript")) {
      assert.isTrue(
        devDependencies[name]?.startsWith(version),
        `${name}@^${version}, tested with ${devDependencies[name]}`
      )
    }
  })
})

describe("the player of a tutorial", () => {
  const small = [
    "```ts src/a.ts",
    "console.log(1)",
    "```",
    "```sh",
    "npm install x",
    "A=1 node a.js",
    "```",
    "```text",
    "one",
    "two",
    "```"
  ].join("\n")

  it("reads files, the commands that it runs, and what they must print", () =>
    assert.deepStrictEqual(partsOf(small), [
      {
        line: 8,
        files: new Map([["src/a.ts", "console.log(1)\n"]]),
        commands: ["A=1 node a.js"],
        expected: ["one", "two"]
      }
    ]))

  it.live("reports the commands with another exit code than the page says", () =>
    Effect.gen(function*() {
      const exit = "node -e 'console.log(1); process.exitCode = Number(process.env.CODE ?? 0)'"
      const kill = "node -e 'process.kill(process.pid, \"SIGKILL\")'"
      const page = ["```sh", exit, `CODE=3 ${exit}`, `KILL_AT=1 ${kill}`, kill, "```", "```text", "1", "```"].join("\n")
      const [part, ...others] = yield* play(page)
      assert.isEmpty(others)
      assert.deepStrictEqual(part?.missing, [])
      assert.deepStrictEqual(part?.failed.map(({ code, command }) => ({ code, command })), [
        { code: 3, command: `CODE=3 ${exit}` },
        { code: 137, command: kill }
      ])
    }), 60_000)

  it("expects each command to succeed, except those that kill themselves", () => {
    assert.strictEqual(expectedCode("npx tsc"), 0)
    assert.notStrictEqual(expectedCode("KILL_AT=2 node main.js"), 0)
    const codes = partsOf(page).flatMap(({ commands }) => commands.map(expectedCode))
    assert.lengthOf(codes.filter((code) => code !== 0), 1)
  })

  it("reports the lines that are missing or out of order", () => {
    assert.deepStrictEqual(missingLines("zero\none\nhalf\ntwo\n", ["one", "two"]), [])
    assert.deepStrictEqual(missingLines("two\none\n", ["one", "two"]), ["two"])
    assert.deepStrictEqual(missingLines("", ["one", "two"]), ["one", "two"])
  })
})
