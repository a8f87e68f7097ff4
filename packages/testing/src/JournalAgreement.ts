/**
 * A comparison of two storage drivers: both execute random sequences of operations under one `TestClock`, and every
 * result, and everything that can be read at the end, must be equal.
 *
 * Not compared is what the contract leaves open: gaps between ordinals, the number of claims that it takes to get all
 * available runs, whether a second cancel of one delivery wakes its run, and whether a message to a run that continues
 * as new is a duplicate of a message that the run drops.
 *
 * The first driver is usually the memory driver, the oracle. Nothing else may reap in the databases at the same time.
 *
 * @since 0.1.0
 */
import { assert, layer as testLayer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import { randomUUID } from "node:crypto"
import { formatWithOptions, isDeepStrictEqual } from "node:util"
import { JournalDriver } from "perdure/JournalDriver"
import type { Command } from "./agreement/Command.js"
import { commands } from "./agreement/commands.js"
import { Player } from "./agreement/Player.js"
import { start } from "./contract/Fixture.js"

/** The driver whose results are right. */
class Oracle extends Context.Tag("@perdure/testing/JournalAgreement/Oracle")<Oracle, JournalDriver>() {}

const inspect = (answer: unknown): string => formatWithOptions({ depth: 10 }, answer)

/** Executes an operation on both drivers and compares the results. */
const same = (oracle: Player, other: Player) =>
  Effect.fnUntraced(function*(what: string, play: (player: Player) => Effect.Effect<unknown, unknown>) {
    const [right, found] = [yield* play(oracle), yield* play(other)]
    if (!isDeepStrictEqual(found, right)) assert.fail(`${what}\nright: ${inspect(right)}\nfound: ${inspect(found)}`)
  })

const compare = Effect.fnUntraced(function*(sequence: ReadonlyArray<Command>) {
  yield* TestClock.setTime(start)
  const prefix = yield* Effect.sync(() => randomUUID().slice(0, 13))
  const players = [new Player(yield* Oracle, prefix), new Player(yield* JournalDriver, prefix)] as const
  const agree = same(...players)
  const played = Effect.gen(function*() {
    for (const [index, command] of sequence.entries()) {
      if (command._tag === "Pass") yield* TestClock.adjust(command.millis)
      yield* agree(`command ${index}: ${JSON.stringify(command)}`, (player) => player.play(command))
    }
    yield* agree("at the end", (player) => player.everything)
  })
  // A later sequence must not reap the runs of this one.
  yield* Effect.ensuring(played, Effect.ignore(Effect.forEach(players, (player) => player.retire)))
})

/**
 * Declares a test that executes random operations on two drivers and compares the results.
 *
 * @since 0.1.0
 * @category suites
 * @example
 * import * as JournalAgreement from "@perdure/testing/JournalAgreement"
 * import * as JournalMemory from "perdure/JournalMemory"
 *
 * JournalAgreement.suite("memory and memory", JournalMemory.layerDriver, JournalMemory.layerDriver)
 */
export const suite = <E, E2>(
  name: string,
  oracle: Layer.Layer<JournalDriver, E>,
  other: Layer.Layer<JournalDriver, E2>,
  options?: {
    /** The number of sequences. Default 100. */
    readonly sequences?: number
    /** The seed of the sequences. Default: random. */
    readonly seed?: number
    /** The timeout of all sequences, in milliseconds. Default 120,000. */
    readonly timeoutMillis?: number
  }
): void => {
  const timeout = options?.timeoutMillis ?? 120_000
  const both = Layer.merge(
    Layer.project(Layer.fresh(oracle), JournalDriver, Oracle, (driver) => driver),
    Layer.fresh(other)
  )
  testLayer(both, { excludeTestServices: true, timeout: "60 seconds" })(`${name} agree`, (it) => {
    it.effect.prop(
      "on every result and on everything that can be read",
      [commands],
      ([sequence]) => Effect.provide(compare(sequence), TestContext.TestContext),
      {
        timeout,
        fastCheck: {
          numRuns: options?.sequences ?? 100,
          // Leaves time to report a difference that could still be reduced.
          interruptAfterTimeLimit: timeout * 0.8,
          markInterruptAsFailure: true,
          ...(options?.seed === undefined ? {} : { seed: options.seed })
        }
      }
    )
  })
}
