/** The common part of public values: a guard that identifies them, `pipe`, and a short printed form. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { inspect } from "node:util"
import * as Callback from "perdure/Callback"
import * as JournalMemory from "perdure/JournalMemory"
import * as Published from "perdure/Published"
import * as Run from "perdure/Run"
import * as Signal from "perdure/Signal"
import * as Workflow from "perdure/Workflow"

const Job = Workflow.make("Job", { payload: {}, version: "2" })

const makeValues = Effect.map(
  Effect.provide(Job.attach("run-1"), JournalMemory.layer),
  (run) => [
    { value: Job, guard: Workflow.isWorkflow, shown: { _id: "perdure/Workflow", name: "Job", version: "2" } },
    { value: run, guard: Run.isRun, shown: { _id: "perdure/Run", id: "run-1", workflow: "Job" } },
    {
      value: Signal.make("Note", { payload: Schema.Number }),
      guard: Signal.isSignal,
      shown: { _id: "perdure/Signal", name: "Note" }
    },
    {
      value: Callback.make("Payment"),
      guard: Callback.isCallback,
      shown: { _id: "perdure/Callback", name: "Payment" }
    },
    {
      value: Published.make("progress", Schema.Number),
      guard: Published.isPublished,
      shown: { _id: "perdure/Published", key: "progress" }
    }
  ]
)

describe("a public value", () => {
  it.effect("is accepted by the guard of its module and by no other guard", () =>
    Effect.gen(function*() {
      const values = yield* makeValues
      for (const [index, { guard, shown }] of values.entries()) {
        const accepted = values.map(({ value }) => guard(value))
        assert.deepStrictEqual(accepted, values.map((_, other) => other === index), shown._id)
        for (const other of [undefined, null, "text", {}, shown, () => 1]) assert.isFalse(guard(other), shown._id)
      }
    }))

  it.effect("pipes", () =>
    Effect.gen(function*() {
      for (const { value } of yield* makeValues) assert.strictEqual(value.pipe((self) => [self]).at(0), value)
    }))

  it.effect("is printed as its kind and its name", () =>
    Effect.gen(function*() {
      for (const { shown, value } of yield* makeValues) {
        assert.deepStrictEqual(JSON.parse(JSON.stringify(value)), shown)
        assert.strictEqual(inspect(value), inspect(shown))
        assert.include(String(value), shown._id)
      }
    }))
})
