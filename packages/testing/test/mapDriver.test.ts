import { assert, describe, it } from "@effect/vitest"
import { mapDriver } from "@perdure/testing/mapDriver"
import * as Effect from "effect/Effect"
import { verbs } from "perdure/JournalDriver"
import * as JournalMemory from "perdure/JournalMemory"

describe("a mapped driver", () => {
  it.effect("passes each call, its verb and its request to the wrapper, and returns what that returns", () =>
    Effect.gen(function*() {
      const calls: Array<unknown> = []
      const driver = mapDriver(yield* JournalMemory.make, (call, verb, request) => {
        calls.push([verb, request])
        return Effect.map(call, ({ value }) => ({ now: 42, value }))
      })
      assert.deepStrictEqual(yield* driver.get(["a"]), { now: 42, value: [] })
      assert.deepStrictEqual(yield* driver.pausedWorkflows(), { now: 42, value: [] })
      assert.deepStrictEqual(calls, [["get", [["a"]]], ["pausedWorkflows", []]])
    }))

  it.effect("has every verb of the driver wrapped, and nothing else", () =>
    Effect.gen(function*() {
      const driver = yield* JournalMemory.make
      const mapped = mapDriver(driver, (call) => call)
      const others = ["transaction", "inTransaction", "hints"] as const
      assert.sameMembers(Object.keys(driver), [...Object.keys(verbs), ...others])
      const same = ["inTransaction", "hints"] as const
      for (const name of same) assert.strictEqual(mapped[name], driver[name])
      assert.strictEqual(yield* mapped.transaction(Effect.map(mapped.inTransaction, String)), "true")
      assert.deepStrictEqual(
        Object.entries(mapped).filter(([, verb]) => Object.values(driver).includes(verb)).map(([name]) => name).sort(),
        [...same].sort()
      )
    }))
})
