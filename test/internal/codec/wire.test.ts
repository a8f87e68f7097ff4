import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import { byteLength, codecOf, decodeText, encodeText, notJson, sameJson, stringify } from "perdure/internal/codec/wire"

const text = fc.string({ unit: "grapheme" }).filter((s) => !s.includes("\u0000"))

const json = fc.jsonValue({ stringUnit: "grapheme" }).filter((value) => !JSON.stringify(value).includes("\\u0000"))

describe("JSON data", () => {
  it("comes back the same after encoding and decoding", () =>
    fc.assert(fc.property(json, (value) => {
      assert.isUndefined(notJson(value))
      const written = Either.getOrThrow(encodeText(Schema.Unknown, value, "it", Infinity))
      assert.deepStrictEqual(
        Either.getOrThrow(decodeText(Schema.Unknown, written, "it")),
        JSON.parse(JSON.stringify(value))
      )
    })))

  it("is the only accepted data: each accepted value comes back the same", () =>
    fc.assert(
      fc.property(
        fc.anything({ withDate: true, withMap: true, withSparseArray: true, withNullPrototype: false }),
        (value) => {
          if (notJson(value) !== undefined) return
          assert.deepStrictEqual(JSON.stringify(JSON.parse(JSON.stringify(value))), JSON.stringify(value))
        }
      )
    ))

  it("may contain one value in two places, but no cycle", () => {
    const shared = { a: 1 }
    assert.isUndefined(notJson([shared, { shared }]))
    const loop: { next?: unknown } = {}
    loop.next = { loop }
    assert.strictEqual(notJson(loop), "$.next.loop refers back to a value that contains it")
  })

  it("is measured in bytes of UTF-8", () =>
    fc.assert(fc.property(text, (value) => {
      const bytes = Buffer.byteLength(JSON.stringify(value))
      assert.strictEqual(byteLength(JSON.stringify(value)), bytes)
      assert.isTrue(Either.isRight(stringify(value, "it", bytes)))
      assert.isTrue(Either.isLeft(stringify(value, "it", bytes - 1)))
    })))
})

describe("a codec", () => {
  it("is compiled once for each schema", () => assert.strictEqual(codecOf(Schema.String), codecOf(Schema.String)))

  it("refuses excess keys at any depth, but accepts the extra properties of class instances", () => {
    class Failed extends Schema.TaggedError<Failed>()("Failed", { why: Schema.String }) {}
    const schema = Schema.Array(Schema.Union(Failed, Schema.Struct({ n: Schema.Number })))
    const encode = (value: unknown) => codecOf(schema).encode(value, "it")
    assert.deepStrictEqual(
      encode([new Failed({ why: "x" }), { n: 1 }]),
      Either.right([{ _tag: "Failed", why: "x" }, { n: 1 }])
    )
    assert.isTrue(Either.isLeft(encode([{ n: 1, m: 2 }])))
    assert.isTrue(Either.isLeft(encode([{ n: "1" }])))
  })

  it("distinguishes void, null and undefined where the schema does", () => {
    const back = (schema: Schema.Schema.AnyNoContext, value: unknown) =>
      Either.flatMap(encodeText(schema, value, "it", 100), (written) => decodeText(schema, written, "it"))
    assert.deepStrictEqual(back(Schema.Void, undefined), Either.right(undefined))
    assert.deepStrictEqual(back(Schema.Null, null), Either.right(null))
    assert.deepStrictEqual(back(Schema.NullOr(Schema.String), null), Either.right(null))
    assert.deepStrictEqual(back(Schema.UndefinedOr(Schema.String), undefined), Either.right(undefined))
  })

  it("names the role of a value whose text is not JSON", () => {
    const read = decodeText(Schema.String, "{", "payload of run r")
    assert.include(
      Either.isLeft(read) ? read.left.message : "",
      "payload of run r cannot be read by its schema: not JSON"
    )
  })
})

describe("sameJson", () => {
  it("ignores the order of keys and nothing else", () => {
    assert.isTrue(sameJson(`{"a":1,"b":{"c":2,"d":[1,2]}}`, `{"b":{"d":[1,2],"c":2},"a":1}`))
    assert.isFalse(sameJson(`[1,2]`, `[2,1]`))
    assert.isFalse(sameJson(`{"a":1}`, `{"a":1,"b":null}`))
  })
})
