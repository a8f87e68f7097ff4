import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { HeldRuns } from "perdure/internal/worker/HeldRuns"
import { handHeld } from "../../fixtures/handHeld.js"

const holdOf = (id: string) => Effect.map(handHeld(() => Effect.never, { id }), ({ held }) => held)

describe("the runs of a worker", () => {
  it.effect("use its capacity unless they are idle", () =>
    Effect.gen(function*() {
      const runs = new HeldRuns(3)
      const [a, b] = [yield* holdOf("a"), yield* holdOf("b")]
      runs.add(a)
      runs.add(b)
      assert.strictEqual(runs.capacity, 1)
      assert.isUndefined(runs.setIdle(a, 1))
      assert.strictEqual(runs.capacity, 2)
      assert.strictEqual(runs.setIdle(b, 1), a, "the longest idle run above the bound")
      assert.deepStrictEqual(runs.counts, { held: 2, active: 0, idle: 2 })
      runs.setBusy(a)
      assert.strictEqual(runs.capacity, 2)
    }))

  it("are reserved up to the capacity, and are not empty while capacity is reserved", () => {
    const runs = new HeldRuns(3)
    assert.strictEqual(runs.reserve(5), 3)
    assert.strictEqual(runs.reserve(1), 0)
    assert.isFalse(runs.isEmpty)
    runs.release(3)
    assert.isTrue(runs.isEmpty)
    assert.strictEqual(runs.capacity, 3)
  })

  it.effect("keep a later hold of a run when an earlier one is removed", () =>
    Effect.gen(function*() {
      const runs = new HeldRuns(3)
      const [earlier, later] = [yield* holdOf("a"), yield* holdOf("a")]
      runs.add(earlier)
      runs.add(later)
      runs.remove(earlier)
      assert.strictEqual(runs.get("a"), later)
      runs.remove(later)
      assert.isFalse(runs.has("a"))
    }))
})
