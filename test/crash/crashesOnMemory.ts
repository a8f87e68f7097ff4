import { assert, it } from "@effect/vitest"
import * as CrashExplorer from "@perdure/testing/simulation/CrashExplorer"
import { nodeKinds } from "@perdure/testing/simulation/Program"
import * as Effect from "effect/Effect"
import * as JournalMemory from "perdure/JournalMemory"

/** In files of their own, so that two processes share the work. */
export const crashesOnMemory = (options: { readonly seed: number; readonly crashes: number }): void => {
  it(`${options.crashes} crashes of random programs lose nothing`, { timeout: 900_000 }, async () => {
    const tally = await CrashExplorer.exploreMany({ ...options, driver: () => Effect.runSync(JournalMemory.make) })
    process.stdout.write(`${CrashExplorer.describe(tally)}\n`)
    assert.isAtLeast(tally.crashes, options.crashes)
    // All that can be written is in the programs, and all ways to end were seen.
    for (const kind of nodeKinds) assert.isAbove(tally.nodes.get(kind) ?? 0, 0, kind)
    for (const status of ["completed", "failed", "cancelled", "terminated"]) {
      assert.isAbove(tally.statuses.get(status) ?? 0, 0, status)
    }
    for (const count of [tally.freezes, tally.faults, tally.stops]) assert.isAbove(count, options.crashes / 50)
  })
}
