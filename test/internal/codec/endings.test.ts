import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { RunEnded } from "perdure/Errors"
import * as Workflow from "perdure/Workflow"
import { detailOf } from "../../../src/internal/codec/endings.js"
import { makeWorld, soon } from "../../fixtures/world.js"

const Sleeper = Workflow.make("Sleeper", { payload: {} })

const Parent = Workflow.make("Parent", { payload: {} })

describe("the detail of a run", () => {
  it("that was terminated has who asked and why", () =>
    assert.strictEqual(
      detailOf({ _tag: "Terminated", by: "ann", reason: "a \"test\"" }, 5),
      "{\"by\":\"ann\",\"reason\":\"a \\\"test\\\"\"}"
    ))

  it("that is exhausted has its crashes, its last worker and the instant of its end", () =>
    assert.strictEqual(
      detailOf({ _tag: "Exhausted", crashes: 3, worker: "w" }, 5),
      "{\"crashes\":3,\"worker\":\"w\",\"at\":5}"
    ))

  it.scoped("is the same in its record, in its result and in the journal of its parent, made of stored fields", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.launch(Sleeper.toLayer(() => Effect.sleep("1 day")))
      yield* world.launch(Parent.toLayer(() => Effect.ignore(Sleeper.execute({}))))
      const parent = yield* world.use(Parent.start({}))
      yield* TestClock.adjust("1 minute")
      const [child] = (yield* world.driver.find({ filter: { parent: parent.id }, after: null, limit: 1 })).value.runs
      const run = yield* world.use(Sleeper.attach(child?.id ?? ""))
      yield* run.terminate({ by: "ann", reason: "wrong" })
      const detail = "{\"by\":\"ann\",\"reason\":\"wrong\"}"
      assert.strictEqual((yield* world.record(run.id)).detail, null)
      assert.strictEqual((yield* run.record).detail, detail)
      const error = yield* soon(Effect.flip(run.result))
      assert.instanceOf(error, RunEnded)
      assert.strictEqual(error.detail, detail)
      yield* soon(parent.result)
      const [entry] = yield* world.history(parent.id)
      assert.deepInclude(JSON.parse(entry?.exit.value ?? ""), { run: run.id, status: "terminated", detail })
    }))
})
