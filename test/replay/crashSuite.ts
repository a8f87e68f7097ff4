/** Each case crashes after every entry of several lives, and every replay agrees. */
import { assert, describe, it } from "@effect/vitest"
import { effectCases } from "./effectCases.js"
import { crashEverywhere } from "./replaying.js"
import { toolCases } from "./toolCases.js"
import { waitCases } from "./waitCases.js"

export const crashSuite = ({ seeds }: { readonly seeds: number }): void => {
  describe.each(Object.entries({ Effect: effectCases, tools: toolCases, waits: waitCases }))(
    "a program with %s replays after a crash at any entry:",
    (_, cases) => {
      it.each(Object.entries(cases))("%s", (_, program) => {
        assert.isAtLeast(crashEverywhere(program, seeds), seeds * 2)
      })
    }
  )
}
