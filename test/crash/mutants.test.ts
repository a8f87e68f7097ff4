/** Shows that the crash explorer finds bugs: each of these breaks one rule of the worker or of the machine. */
import { assert, describe, it } from "@effect/vitest"
import * as CrashExplorer from "@perdure/testing/simulation/CrashExplorer"
import * as Effect from "effect/Effect"
import * as JournalMemory from "perdure/JournalMemory"
import { type Mutant, mutants } from "./mutants.js"

/** The problem that the explorer reports. */
const problemOf = async ({ finds: _, ...mutant }: Mutant): Promise<string> => {
  try {
    const tally = await CrashExplorer.exploreMany({
      ...mutant,
      driver: () => Effect.runSync(JournalMemory.make),
      crashes: 2_000,
      lives: 5,
      shrink: false
    })
    return `nothing in ${CrashExplorer.describe(tally)}`
  } catch (error) {
    return String(error)
  }
}

describe("the crash explorer finds", () => {
  it.each(Object.entries(mutants))("%s", async (_, mutant) => {
    assert.match(await problemOf(mutant), mutant.finds)
  }, 300_000)
})
