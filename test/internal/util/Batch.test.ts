import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { Batch } from "perdure/internal/util/Batch"

/** A batch whose first send waits for `open`, and the sent items. */
const gated = Effect.gen(function*() {
  const open = yield* Deferred.make<void>()
  const sent: Array<ReadonlyArray<string>> = []
  const batch = new Batch<string, string>((items) =>
    Effect.suspend(() => {
      sent.push(items)
      if (items.includes("bad")) return Effect.fail("refused")
      return sent.length === 1 ? Deferred.await(open) : Effect.void
    })
  )
  const add = (item: string) => Effect.zipLeft(Effect.fork(batch.add(item)), Effect.yieldNow({ priority: 2 }))
  return { add, open: Deferred.succeed(open, undefined), sent }
})

describe("a batch", () => {
  it.effect("collects the items that are added while the previous batch is on its way", () =>
    Effect.gen(function*() {
      const { add, open, sent } = yield* gated
      const fibers = yield* Effect.forEach(["a", "b", "c", "d"], add)
      assert.deepStrictEqual(sent, [["a"]])
      yield* open
      yield* Fiber.joinAll(fibers)
      assert.deepStrictEqual(sent, [["a"], ["b", "c", "d"]])
      yield* Fiber.join(yield* add("e"))
      assert.deepStrictEqual(sent.slice(2), [["e"]])
    }))

  it.effect("collects the items that are added in the same moment", () =>
    Effect.gen(function*() {
      const sent: Array<ReadonlyArray<number>> = []
      const batch = new Batch<number, never>((items) => Effect.sync(() => void sent.push(items)))
      yield* Effect.forEach([1, 2, 3], (item) => batch.add(item), { concurrency: "unbounded" })
      assert.deepStrictEqual(sent, [[1, 2, 3]])
    }))

  it.effect("fails for the callers of its items, and for no others", () =>
    Effect.gen(function*() {
      const { add, open } = yield* gated
      const fibers = yield* Effect.forEach(["a", "b", "bad"], add)
      yield* open
      const exits = yield* Effect.forEach(fibers, Fiber.await)
      assert.deepStrictEqual(exits, [Exit.void, Exit.fail("refused"), Exit.fail("refused")])
      yield* Fiber.join(yield* add("c"))
    }))

  it.effect("is sent again without the item of the caller that sent it, if that caller is interrupted", () =>
    Effect.gen(function*() {
      const open = yield* Deferred.make<void>()
      const sent: Array<ReadonlyArray<string>> = []
      const batch = new Batch<string, never>((items) =>
        Effect.suspend(() => {
          sent.push(items)
          return sent.length === 1 ? Deferred.await(open) : Effect.void
        })
      )
      const [a, b, c] = yield* Effect.all([
        Effect.fork(batch.add("a")),
        Effect.fork(batch.add("b")),
        Effect.fork(batch.add("c"))
      ])
      yield* Effect.repeatN(Effect.yieldNow({ priority: 9 }), 3)
      assert.deepStrictEqual(sent, [["a", "b", "c"]])
      yield* Fiber.interrupt(a)
      yield* Fiber.join(Fiber.zip(b, c))
      assert.deepStrictEqual(sent.slice(1), [["b", "c"]])
    }))

  it.effect("that waits loses the items of interrupted callers, and another caller sends it", () =>
    Effect.gen(function*() {
      const { add, open, sent } = yield* gated
      const [a, b, c] = yield* Effect.all([add("a"), add("b"), add("c")])
      yield* Fiber.interrupt(b)
      yield* Fiber.interrupt(a)
      yield* open
      yield* Fiber.join(c)
      assert.deepStrictEqual(sent, [["a"], ["c"]])
    }))
})
