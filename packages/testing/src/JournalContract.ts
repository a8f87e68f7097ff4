/**
 * The contract of a storage driver (`perdure/JournalDriver`) as a test suite, with one case for each rule. The test
 * file of a driver has four lines:
 *
 * ```ts
 * import * as JournalContract from "@perdure/testing/JournalContract"
 * import * as JournalMemory from "perdure/JournalMemory"
 *
 * JournalContract.suite("JournalMemory", JournalMemory.layerDriver)
 * ```
 *
 * Each case has its own `TestClock`, which must be the driver's time. Build a SQL driver with the option `clock:
 * "effect"`. Cases use unique names and read only their own runs, so the database can have other rows. But nothing else
 * may reap in the database at the same time: leases are compared with the clock, and the clocks of test files differ.
 *
 * @since 0.1.0
 */
import { layer as testLayer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as TestContext from "effect/TestContext"
import type { JournalDriver } from "perdure/JournalDriver"
import { claim } from "./contract/runs/claim.js"
import { commit } from "./contract/runs/commit.js"
import { control } from "./contract/controls/control.js"
import { enqueue } from "./contract/runs/enqueue.js"
import { search } from "./contract/search/search.js"
import { fork } from "./contract/controls/fork.js"
import type { Case } from "./contract/Fixture.js"
import { hints } from "./contract/storage/hints.js"
import { leases } from "./contract/workers/leases.js"
import { messages } from "./contract/messages.js"
import { outgoing } from "./contract/runs/outgoing.js"
import { queues } from "./contract/queues/queues.js"
import { reading } from "./contract/runs/reading.js"
import { repeats } from "./contract/runs/repeats.js"
import { retention } from "./contract/search/retention.js"
import { schedules } from "./contract/schedules.js"
import { singletons } from "./contract/runs/singletons.js"
import { terminate } from "./contract/controls/terminate.js"
import { transaction } from "./contract/storage/transaction.js"
import { transitions } from "./contract/runs/transitions.js"
import { values } from "./contract/runs/values.js"
import { workers } from "./contract/workers/workers.js"

export type { Case } from "./contract/Fixture.js"

/**
 * All cases, by topic. A case is an effect that needs a `TestClock` (`TestContext.TestContext`), so it can also be run
 * against a driver with a planted fault.
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
  fork,
  reading,
  search,
  retention,
  transaction,
  hints,
  repeats,
  values,
  workers,
  singletons,
  schedules
}

/**
 * Declares a test for each case. All tests use one build of the layer.
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
    /** The timeout of one case, in milliseconds. Default: vitest's. */
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
