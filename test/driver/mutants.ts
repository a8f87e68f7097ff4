/** The contract suite fails for each mutant of the memory driver: no case passes by itself. */
import { assert, describe, it } from "@effect/vitest"
import * as JournalContract from "@perdure/testing/JournalContract"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as TestContext from "effect/TestContext"
import { JournalDriver } from "perdure/JournalDriver"
import * as JournalMemory from "perdure/JournalMemory"
import { controlMutants } from "./mutants/controls.js"
import { messageMutants } from "./mutants/messages.js"
import { changeCommits, mutant } from "./mutants/Mutant.js"
import { queueMutants, wrappedQueues } from "./mutants/queues.js"
import { readMutants } from "./mutants/reads.js"
import { runMutants } from "./mutants/runs.js"
import { scheduleMutants } from "./mutants/schedules.js"
import { searchMutants } from "./mutants/search.js"
import { storageMutants } from "./mutants/storage.js"
import { workerMutants } from "./mutants/workers.js"

const mutants = [
  ...runMutants,
  ...readMutants,
  ...messageMutants,
  ...controlMutants,
  ...searchMutants,
  ...queueMutants,
  ...scheduleMutants,
  ...workerMutants,
  ...storageMutants
]

/** The first case of a topic that a driver fails, or null. */
const failingCase = Effect.fnUntraced(function*(topic: string, mutate: (driver: JournalDriver) => JournalDriver) {
  for (const { name, run } of JournalContract.topics[topic] ?? []) {
    const exit = yield* run.pipe(
      Effect.provideService(JournalDriver, mutate(yield* JournalMemory.make)),
      Effect.provide(TestContext.TestContext),
      Effect.exit
    )
    if (Exit.isFailure(exit)) return name
  }
  return null
})

/** A mutant of each topic. */
const first = Object.values(Object.fromEntries(mutants.toReversed().map((mutant) => [mutant.topic, mutant])))

/** `first`: one mutant of each topic, and the driver without a fault. */
export const suite = (which: "first" | "others"): void => {
  describe("the contract suite", () => {
    if (which === "first")
      it.effect("passes for a driver that is wrapped like the mutants and breaks no rule", () =>
        Effect.gen(function*() {
          const commits = mutant("", "", changeCommits((commit) => commit))
          const queues = mutant("", "", wrappedQueues)
          for (const topic of Object.keys(JournalContract.topics)) {
            assert.isNull(yield* failingCase(topic, (driver) => queues.mutate(commits.mutate(driver))))
          }
        }))

    for (const { mutate, name, topic } of which === "first" ? first : mutants.filter((each) => !first.includes(each))) {
      it.effect(`fails in ${topic} if ${name}`, () =>
        Effect.gen(function*() {
          assert.isNotNull(yield* failingCase(topic, mutate))
        }))
    }
  })
}
