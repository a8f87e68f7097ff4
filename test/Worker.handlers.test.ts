/** What a worker says about the handlers of its process. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import * as Workflow from "perdure/Workflow"
import { withLogs } from "./fixtures/logs.js"
import { makeWorld, type Workflows } from "./fixtures/world.js"

const Ship = Workflow.make("Ship", { payload: {} })
const Mail = Workflow.make("Mail", { payload: {}, queue: "emails", version: "2" })

/** What a worker of the queue "default" logs in the seconds after its start. */
const report = (workflows: Workflows) =>
  withLogs((lines) =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(workflows, { id: "w" })
      yield* TestClock.adjust("5 seconds")
      return lines.filter((line) => line.includes(`worker "w" serves`))
    })
  )

describe("a worker", () => {
  it.scoped("without a handler in its process warns that it executes no run", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* report(Layer.empty), [
        `WARN worker "w" serves queue "default", but its process has no workflow with a handler, so it executes no ` +
        `run: add the layers of workflows (Workflow.toLayer) beside Worker.layer`
      ])
    }))

  it.scoped("of other queues than those of its workflows warns, and names them", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* report(Mail.toLayer(() => Effect.void)), [
        `WARN worker "w" serves queue "default", but the workflows of its process wait in others: Mail@2 (queue ` +
        `"emails"). It executes only runs whose start names one of its queues: add the queues to the options of ` +
        `Worker.layer`
      ])
    }))

  it.scoped("logs once which workflows it executes", () =>
    Effect.gen(function*() {
      const both = Layer.mergeAll(Ship.toLayer(() => Effect.void), Mail.toLayer(() => Effect.void))
      assert.deepStrictEqual(yield* report(both), [
        `INFO worker "w" serves queue "default": Ship@1. In other queues: Mail@2 (queue "emails")`
      ])
    }))
})
