/**
 * Two storage drivers side by side: random sequences of operations are played on both, under one `TestClock`, and every
 * answer must be the same, as must be all that the drivers show in the end. What the contract leaves open is not
 * compared: gaps between ordinals, the order of keys in a child's report, what an exhausted run says, how many claims it takes
 * to get what there is. Nor is it said
 * whether a message that a run gets while it continues as new meets the ids of the messages that it drops.
 *
 * The first driver is usually the memory driver, the oracle. Nobody else may reap in the databases meanwhile.
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
import { commands } from "./agreement/Command.js"
import { Player } from "./agreement/Player.js"
import { start } from "./contract/Fixture.js"

/** The driver that is right. */
class Oracle extends Context.Tag("@perdure/testing/JournalAgreement/Oracle")<Oracle, JournalDriver>() {}

const inspect = (answer: unknown): string => formatWithOptions({ depth: 10 }, answer)

/** Play on both; the same must come of it. */
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
    yield* agree("in the end", (player) => player.everything)
  })
  // A later sequence must not reap what this one leaves.
  yield* Effect.ensuring(played, Effect.ignore(Effect.forEach(players, (player) => player.retire)))
})

/**
 * Declare a test that plays random operations on two drivers and compares them.
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
    /** How many sequences are played; 100 unless told otherwise. */
    readonly sequences?: number
    /** To play the same sequences again. */
    readonly seed?: number
    /** For all sequences, in milliseconds. */
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
      "on every answer and on all that they show",
      [commands],
      ([sequence]) => Effect.provide(compare(sequence), TestContext.TestContext),
      {
        timeout,
        fastCheck: {
          numRuns: options?.sequences ?? 100,
          // A disagreement is told in time, even if it could be made shorter.
          interruptAfterTimeLimit: timeout * 0.8,
          markInterruptAsFailure: true,
          ...(options?.seed === undefined ? {} : { seed: options.seed })
        }
      }
    )
  })
}
