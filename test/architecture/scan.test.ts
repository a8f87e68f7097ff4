import { assert, describe, it } from "@effect/vitest"
import { type Export, exportsOf, importsOf, scan } from "./scan.js"

describe("scan", () => {
  it("divides a source into code and prose of the same length", () => {
    const text = "const a = `x ${b({ c: 'd' })} y` // e\nconst f = /g'\"/.test(h) / 2 /* i */"
    const { code, prose, uncommented } = scan({ path: "src/A.ts", text })
    assert.strictEqual(code, "const a = `   {b({ c: ' ' })}  `     \nconst f = /   /.test(h) / 2        ")
    assert.strictEqual(uncommented, "const a = `x ${b({ c: 'd' })} y`     \nconst f = /g'\"/.test(h) / 2        ")
    assert.strictEqual(prose.replaceAll(/\s+/g, " ").trim(), "`x ${ 'd' } y` // e /* i */")
    assert.strictEqual(prose.length, text.length)
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
    assert.deepStrictEqual(exportsOf(source), [
      { name: "f", kind: "function", line: 5, doc: "/** Doc. */\n" } satisfies Export
    ])
  })
})
