import { assert, describe, it } from "@effect/vitest"
import { exceptions, packageFolders, read, sources, violations } from "./architecture/sources.js"
import type { Violation } from "./architecture/violation.js"

const show = ({ detail, line, path, rule }: Violation) => `${path}:${line} ${rule}: ${detail}`

const excused = ({ path, rule }: Violation) =>
  exceptions.some((exception) => exception.path === path && exception.rules.includes(rule))

describe("the repository", () => {
  it("has sources", () => assert.isAbove(sources.length, 100))

  it("violates no rule", () => assert.deepStrictEqual(violations.filter((one) => !excused(one)).map(show), []))

  it("needs every exception", () =>
    assert.deepStrictEqual(
      exceptions.flatMap(({ path, rules }) =>
        rules.filter((rule) => !violations.some((one) => one.path === path && one.rule === rule))
          .map((rule) => `${path} ${rule}`)
      ),
      []
    ))
})

/** A call or an assignment to a member at the top level of a module. */
const effectOfImport = /^(?:await |void )?[\w$]+(?:\.[\w$]+)*(?:\(|\.[\w$]+ = |\[.*\] = )/m

describe("sideEffects", () => {
  for (const folder of packageFolders) {
    it(`of ${folder}package.json names the modules that act when they are imported`, () => {
      const { sideEffects }: { readonly sideEffects: false | ReadonlyArray<string> } = JSON.parse(
        read(`${folder}package.json`).text
      )
      const expected = sources
        .filter(({ code, path }) => path.startsWith(`${folder}src/`) && effectOfImport.test(code))
        .map(({ path }) => path.slice(`${folder}src/`.length, -".ts".length))
        .flatMap((name) => [`./dist/${name}.js`, `./src/${name}.ts`])
      assert.deepStrictEqual(sideEffects === false ? [] : [...sideEffects].sort(), expected.sort())
    })
  }
})
