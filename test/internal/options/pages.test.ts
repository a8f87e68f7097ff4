import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Page } from "../../../src/internal/options/pages.js"
import { makeList, sliceOf } from "../../../src/internal/options/pages.js"
import { misuseOf } from "../../fixtures/misuse.js"

const rows = Array.from({ length: 250 }, (_, n) => n)

const list = makeList("Rows.list", Schema.Int)

/** Reads one row more than the page has, as the drivers do. */
const read = (after: number | null, limit: number) =>
  Effect.sync(() => {
    const from = after === null ? 0 : after + 1
    return sliceOf(rows.slice(from, from + limit + 1), limit, (row) => row)
  })

describe("a list", () => {
  it.effect("has each item once on its pages, and no empty last page", () =>
    Effect.gen(function*() {
      for (const limit of [1, 100, 125, 249, 250, 251, 1_000]) {
        const pages: Array<Page<number>> = []
        for (let cursor: string | null | undefined = undefined; cursor !== null;) {
          const page: Page<number> = yield* list.page(cursor === undefined ? { limit } : { limit, cursor }, read)
          pages.push(page)
          cursor = page.next
        }
        assert.deepStrictEqual(pages.flatMap(({ items }) => items), rows)
        assert.strictEqual(pages.length, Math.ceil(rows.length / limit))
      }
    }))

  it.effect("has pages of 100 items by default, and streams all items", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* list.page(undefined, read)).items.length, 100)
      assert.deepStrictEqual([...yield* Stream.runCollect(list.stream(read))], rows)
    }))

  it.effect("without items is one page", () =>
    Effect.gen(function*() {
      const none = () => Effect.succeed(sliceOf<number, number>([], 1, (row) => row))
      assert.deepStrictEqual(yield* list.page({ limit: 1 }, none), { items: [], next: null })
    }))

  it.effect("fails with ValueInvalid of a cursor of another list, and reads nothing", () =>
    Effect.gen(function*() {
      const other = makeList("Others.list", Schema.Int)
      const { next } = yield* other.page({ limit: 1 }, read)
      const unread = () => Effect.dieMessage("it was read")
      for (const cursor of [next, "x", "", btoa(`["Rows.list","a"]`), btoa(`["Rows.list"]`)]) {
        const error = yield* Effect.flip(list.page({ cursor }, unread))
        assert.strictEqual(error._tag, "ValueInvalid")
        assert.include(error.message, "the cursor of Rows.list is not valid")
      }
    }))

  it.effect("dies of options that no caller can handle", () =>
    Effect.gen(function*() {
      const wrong: ReadonlyArray<readonly [object, string]> = [
        [{ limit: 0 }, `Rows.list: "limit" must be an integer from 1 to 1000, got 0`],
        [{ limit: 1_001 }, `Rows.list: "limit" must be an integer from 1 to 1000, got 1001`],
        [{ cursor: 3 }, `Rows.list: "cursor" must be a string or null, got 3`],
        [{ limits: 3 }, `Rows.list: "limits" is not an option: did you mean "limit"?`]
      ]
      for (const [options, message] of wrong) assert.strictEqual(yield* misuseOf(list.page(options, read)), message)
    }))
})
