/**
 * The contract of a storage driver (`perdure/JournalDriver`), as a suite: every rule of it is a case. A driver's test
 * file is four lines:
 *
 * ```ts
 * import * as JournalContract from "@perdure/testing/JournalContract"
 * import * as JournalMemory from "perdure/JournalMemory"
 *
 * JournalContract.suite("JournalMemory", JournalMemory.layerDriver)
 * ```
 *
 * Each case runs under a `TestClock` of its own, which must be the driver's time: a SQL driver is built with the option
 * `clock: "effect"`. Cases use names that nobody else uses and never look at runs that are not theirs, so a database
 * may hold anything. Only, nobody else may reap in it meanwhile: sweeps go by the clock, and clocks of test files differ.
 *
 * @since 0.1.0
 */
import { layer as testLayer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as TestContext from "effect/TestContext"
import type { JournalDriver } from "perdure/JournalDriver"
import { claim } from "./contract/claim.js"
import { commit } from "./contract/commit.js"
import { control } from "./contract/control.js"
import { enqueue } from "./contract/enqueue.js"
import { finding } from "./contract/finding.js"
import { forks } from "./contract/fork.js"
import type { Case } from "./contract/Fixture.js"
import { hints } from "./contract/hints.js"
import { leases } from "./contract/leases.js"
import { messages } from "./contract/messages.js"
import { outgoing } from "./contract/outgoing.js"
import { queues } from "./contract/queues.js"
import { reading } from "./contract/reading.js"
import { resends } from "./contract/resends.js"
import { retention } from "./contract/retention.js"
import { schedules } from "./contract/schedules.js"
import { singletons } from "./contract/singletons.js"
import { terminate } from "./contract/terminate.js"
import { transaction } from "./contract/transaction.js"
import { transitions } from "./contract/transitions.js"
import { values } from "./contract/values.js"
import { workers } from "./contract/workers.js"

export type { Case } from "./contract/Fixture.js"

/**
 * All cases, by topic. A case is a plain effect, so it can be run against a driver that is wrong on purpose; give it
 * a `TestClock` (`TestContext.TestContext`).
 *
 * @since 0.1.0
 * @category cases
 */
export const topics: Readonly<Record<string, ReadonlyArray<Case>>> = {
  enqueue,
  claim,
  queues,
  commit,
  messages,
  outgoing,
  transitions,
  leases,
  terminate,
  control,
  forks,
  reading,
  finding,
  retention,
  transaction,
  hints,
  resends,
  values,
  workers,
  singletons,
  schedules
}

/**
 * Declare a test for each case, by topic, against the driver of a layer, which is built once.
 *
 * @since 0.1.0
 * @category suites
 * @example
 * import * as JournalContract from "@perdure/testing/JournalContract"
 * import * as JournalMemory from "perdure/JournalMemory"
 *
 * JournalContract.suite("JournalMemory", JournalMemory.layerDriver)
 */
export const suite = <E>(
  name: string,
  layer: Layer.Layer<JournalDriver, E>,
  options?: {
    /** For one case, in milliseconds. */
    readonly timeoutMillis?: number
  }
): void =>
  testLayer(layer, { excludeTestServices: true, timeout: "60 seconds" })(`${name} keeps the contract`, (it) => {
    for (const [topic, cases] of Object.entries(topics)) {
      for (const { name, run } of cases) {
        it.effect(`${topic}: ${name}`, () => Effect.provide(run, TestContext.TestContext), options?.timeoutMillis)
      }
    }
  })
