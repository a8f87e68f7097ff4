/** Explorations of crashes as suites: processes of random programs die at storage operations, and nothing is lost. */
import { assert, describe, it } from "@effect/vitest"
import * as CrashExplorer from "@perdure/testing/simulation/CrashExplorer"
import { nodeKinds } from "@perdure/testing/simulation/Program"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { JournalDriver } from "perdure/JournalDriver"
import * as JournalMemory from "perdure/JournalMemory"

export interface Exploration {
  readonly seed: number
  /** How many processes die, at least. */
  readonly crashes: number
  /** How many lives a program has, at most. Few lives for each mean many programs. */
  readonly lives: number
}

const TIMEOUT = 900_000

/** Prints the seed, so that the exploration can be repeated. */
const explored = async (exploration: Exploration, options: Pick<CrashExplorer.ExploreOptions, "driver" | "isReal">) => {
  process.stdout.write(`seed ${exploration.seed}: `)
  const tally = await CrashExplorer.exploreMany({ ...exploration, ...options })
  process.stdout.write(`${CrashExplorer.describe(tally)}\n`)
  return tally
}

/** Asserts that every kind of node and every end of a run occurred. A small exploration needs a good seed. */
const assertBroad = (tally: CrashExplorer.Tally): void => {
  for (const kind of nodeKinds) assert.isAbove(tally.nodes.get(kind) ?? 0, 0, kind)
  for (const status of ["completed", "failed", "cancelled", "terminated"]) {
    assert.isAbove(tally.statuses.get(status) ?? 0, 0, status)
  }
  for (const count of [tally.freezes, tally.errors, tally.stops]) assert.isAbove(count, tally.crashes / 50)
}

export const onMemory = (seed: "fixed" | "random", exploration: Exploration): void => {
  describe("random programs on the memory driver", () => {
    it(`lose nothing in ${exploration.crashes} crashes, from a ${seed} seed`, { timeout: TIMEOUT }, async () => {
      const tally = await explored(exploration, { driver: () => Effect.runSync(JournalMemory.make) })
      assert.isAtLeast(tally.crashes, exploration.crashes)
      if (seed === "fixed") assertBroad(tally)
    })
  })
}

/** All lives share the database of the layer. */
export const onDatabase = <E>(name: string, driver: Layer.Layer<JournalDriver, E>, exploration: Exploration): void => {
  describe(`random programs on ${name}`, () => {
    it.scopedLive(`lose nothing in ${exploration.crashes} crashes`, () =>
      Effect.gen(function*() {
        const journal = yield* JournalDriver
        const tally = yield* Effect.promise(() => explored(exploration, { isReal: true, driver: () => journal }))
        assert.isAtLeast(tally.crashes, exploration.crashes)
      }).pipe(Effect.provide(driver)), { timeout: TIMEOUT })
  })
}
