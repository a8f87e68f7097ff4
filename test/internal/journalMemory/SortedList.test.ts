import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { SortedList } from "../../../src/internal/journalMemory/SortedList.js"

const byValue = (a: { readonly value: number }, b: { readonly value: number }) => a.value - b.value

describe("SortedList", () => {
  it.prop(
    "holds what was inserted and not removed, in order",
    [FastCheck.array(
      FastCheck.record({ value: FastCheck.integer({ min: 0, max: 2_000 }), removes: FastCheck.boolean() }),
      {
        maxLength: 4_000,
        size: "max"
      }
    )],
    ([changes]) => {
      const list = new SortedList(byValue)
      const model = new Map<number, { readonly value: number }>()
      for (const { removes, value } of changes) {
        if (removes) assert.strictEqual(list.remove({ value }), model.delete(value))
        else if (!model.has(value)) {
          list.insert({ value })
          model.set(value, { value })
        }
      }
      const expected = [...model.values()].toSorted(byValue)
      assert.deepStrictEqual([...list], expected)
      assert.deepStrictEqual(list.first, expected[0])
      assert.deepStrictEqual(list.drain(), expected)
      assert.deepStrictEqual([...list], [])
      assert.isUndefined(list.first)
    }
  )
})
