/**
 * `tsc` itself fails where a line under `@ts-expect-error` compiles. Here the directives are taken out, so that each line
 * must be refused for the reason that it says, and nothing else may be.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { compilerErrors } from "./documentation/examples.js"

const folder = fileURLToPath(new URL("types/", import.meta.url))

const directive = "// @ts-expect-error: "

const files = readdirSync(folder).map((name) => ({ name, lines: readFileSync(folder + name, "utf8").split("\n") }))

/** The diagnostics by `file:line`, each with what follows it. */
const byPlace = (said: ReadonlyArray<string>): ReadonlyMap<string, string> => {
  const found = new Map<string, string>()
  let place = ""
  for (const line of said) {
    place = /^(\S+:\d+): error/.exec(line)?.[1] ?? place
    found.set(place, `${found.get(place) ?? ""}${line}\n`)
  }
  return found
}

describe("what must not compile", () => {
  it.effect("is refused, for the reason that is given, and nothing else is", () =>
    Effect.gen(function*() {
      const examples = files.map(({ lines, name }) => ({
        document: name,
        name: "types",
        text: lines.map((line) => line.replace(directive, "// ")).join("\n")
      }))
      const said = byPlace(yield* compilerErrors(examples))
      const expected = files.flatMap(({ lines, name }) =>
        lines.flatMap((line, index) =>
          line.includes(directive)
            // A line's place counts from one, and the refused line is the next one.
            ? [{ place: `${name}:${index + 2}`, reason: line.slice(line.indexOf(directive) + directive.length) }]
            : []
        )
      )
      assert.isAbove(expected.length, 25)
      for (const { place, reason } of expected) assert.include(said.get(place) ?? "it compiles", reason, place)
      assert.deepStrictEqual([...said.keys()].sort(), expected.map(({ place }) => place).sort())
    }), 120_000)
})
