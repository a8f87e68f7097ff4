/** The explorer is worth as much as it finds: each of these breaks one rule of the worker or of the machine. */
import { assert, describe, it } from "@effect/vitest"
import * as CrashExplorer from "@perdure/testing/simulation/CrashExplorer"
import type { Hooks } from "@perdure/testing/simulation/Simulation"
import * as Effect from "effect/Effect"
import * as JournalMemory from "perdure/JournalMemory"
import { mutants } from "./mutants.js"

const find = async (hooks: Hooks): Promise<string> => {
  try {
    const tally = await CrashExplorer.exploreMany({
      ...hooks,
      driver: () => Effect.runSync(JournalMemory.make),
      seed: 77,
      crashes: 2_000,
      shrink: false
    })
    return `not found in ${CrashExplorer.describe(tally)}`
  } catch (error) {
    return String(error)
  }
}

describe("bugs that the explorer must find", () => {
  it.each(Object.entries(mutants))("%s", async (_, { finds, ...hooks }) => {
    assert.match(await find(hooks), finds)
  }, 300_000)
})
