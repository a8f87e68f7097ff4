/**
 * `tsc` accepts any error under `@ts-expect-error`. This test removes the directives and compares the compiler's errors
 * with the reasons that the directives give.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { compilerErrors } from "./documentation/examples.js"

const folder = fileURLToPath(new URL("types/", import.meta.url))

const directive = "// @ts-expect-error: "

const files = readdirSync(folder).map((name) => ({ name, lines: readFileSync(folder + name, "utf8").split("\n") }))

/** The errors by `file:line`, each with its continuation lines. */
const byPlace = (lines: ReadonlyArray<string>): ReadonlyMap<string, string> => {
  const found = new Map<string, string>()
  let place = ""
  for (const line of lines) {
    place = /^(\S+:\d+): error/.exec(line)?.[1] ?? place
    found.set(place, `${found.get(place) ?? ""}${line}\n`)
  }
  return found
}

describe("code that must not compile", () => {
  it.effect("fails for the reason that its directive gives, and other code compiles", () =>
    Effect.gen(function*() {
      const examples = files.map(({ lines, name }) => ({
        document: name,
        name: "types",
        text: lines.map((line) => line.replace(directive, "// ")).join("\n")
      }))
      const errors = byPlace(yield* compilerErrors(examples))
      const expected = files.flatMap(({ lines, name }) =>
        lines.flatMap((line, index) =>
          line.includes(directive)
            // Lines are numbered from one, and the directive precedes its line.
            ? [{ place: `${name}:${index + 2}`, reason: line.slice(line.indexOf(directive) + directive.length) }]
            : []
        )
      )
      assert.isAbove(expected.length, 25)
      for (const { place, reason } of expected) assert.include(errors.get(place) ?? "it compiles", reason, place)
      assert.deepStrictEqual([...errors.keys()].sort(), expected.map(({ place }) => place).sort())
    }), 120_000)
})
