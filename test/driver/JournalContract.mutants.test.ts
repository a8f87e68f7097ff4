/** The contract suite can fail: each driver here breaks one rule, and the suite notices. */
import { assert, describe, it } from "@effect/vitest"
import * as JournalContract from "@perdure/testing/JournalContract"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as TestContext from "effect/TestContext"
import { JournalDriver } from "perdure/JournalDriver"
import * as JournalMemory from "perdure/JournalMemory"
import { findingFaults } from "../fixtures/faultyFinding.js"
import { faults, unbent } from "../fixtures/faultyJournals.js"
import { scheduleFaults } from "../fixtures/faultySchedules.js"
import { operationFaults } from "../fixtures/faultyOperations.js"
import { controlFaults } from "../fixtures/faultyControls.js"
import { honest, queueFaults } from "../fixtures/faultyQueues.js"

/** The first case of a topic that a driver fails. */
const failing = Effect.fnUntraced(function*(topic: string, bend: (driver: JournalDriver) => JournalDriver) {
  for (const { name, run } of JournalContract.topics[topic] ?? []) {
    const exit = yield* run.pipe(
      Effect.provideService(JournalDriver, bend(yield* JournalMemory.make)),
      Effect.provide(TestContext.TestContext),
      Effect.exit
    )
    if (Exit.isFailure(exit)) return name
  }
  return null
})

describe("a driver that breaks a rule fails the suite", () => {
  it.effect("one that is bent in nothing does not", () =>
    Effect.gen(function*() {
      for (const topic of Object.keys(JournalContract.topics))
        assert.isNull(yield* failing(topic, (driver) => honest(unbent(driver))))
    }))

  for (
    const { bend, name, topic } of [
      ...faults,
      ...operationFaults,
      ...findingFaults,
      ...controlFaults,
      ...scheduleFaults,
      ...queueFaults
    ]
  ) {
    it.effect(`${topic}: ${name}`, () =>
      Effect.gen(function*() {
        assert.isNotNull(yield* failing(topic, bend))
      }))
  }
})
