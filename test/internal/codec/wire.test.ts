import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import { byteLength, codecOf, decodeText, encodeText, notJson, sameJson, stringify } from "perdure/internal/codec/wire"
import { fitUnions } from "perdure/internal/codec/unions"

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

  it("drops undeclared keys of a result, but of no payload", () => {
    const schema = Schema.Struct({ n: Schema.Number, inner: Schema.Array(Schema.Struct({ m: Schema.Number })) })
    const value = { n: 1, inner: [{ m: 2, more: 3 }], more: 4 }
    assert.isTrue(Either.isLeft(codecOf(schema).encode(value, "it")))
    assert.deepStrictEqual(codecOf(schema).encodeResult(value, "it"), Either.right({ n: 1, inner: [{ m: 2 }] }))
  })

  it("drops a declared key whose value is undefined, and refuses undefined elsewhere", () => {
    const schema = Schema.Struct({
      a: Schema.optional(Schema.String),
      b: Schema.UndefinedOr(Schema.String),
      c: Schema.optional(Schema.Array(Schema.Struct({ d: Schema.optional(Schema.Number) }))),
      e: Schema.optional(Schema.Unknown)
    })
    const text = (value: unknown) => encodeText(schema, value, "it", 1000)
    assert.deepStrictEqual(text({ a: undefined, b: undefined, c: [{ d: undefined }] }), Either.right(`{"c":[{}]}`))
    assert.deepStrictEqual(
      Either.flatMap(text({ b: undefined }), (written) => decodeText(schema, written, "it")),
      Either.right({ b: undefined })
    )
    const refused = text({ b: "b", e: { f: undefined } })
    assert.include(Either.isLeft(refused) ? refused.left.message : "", "$.e.f is undefined")
    const list = encodeText(Schema.Array(Schema.UndefinedOr(Schema.String)), [undefined], "it", 100)
    assert.include(Either.isLeft(list) ? list.left.message : "", "$[0] is undefined")
  })

  it("refuses undefined where it would be read as null", () => {
    assert.isTrue(Either.isLeft(encodeText(Schema.NullishOr(Schema.String), undefined, "it", 100)))
    assert.isTrue(Either.isRight(encodeText(Schema.NullishOr(Schema.String), null, "it", 100)))
  })

  it("names the role of a value whose text is not JSON", () => {
    const read = decodeText(Schema.String, "{", "payload of run r")
    assert.include(
      Either.isLeft(read) ? read.left.message : "",
      "payload of run r cannot be read by its schema: not JSON"
    )
  })
})

describe("a union whose members have the same keys", () => {
  const Email = Schema.Struct({ email: Schema.String })
  const Both = Schema.Struct({ email: Schema.String, phone: Schema.String })
  class Parent extends Schema.Class<Parent>("Parent")({ a: Schema.Number }) {}
  class Wide extends Parent.extend<Wide>("Wide")({ b: Schema.Number }) {}
  class Same extends Parent.extend<Same>("Same")({}) {}

  const back = (schema: Schema.Schema.AnyNoContext, value: unknown) =>
    Either.flatMap(
      codecOf(schema).encodeResult(value, "it"),
      (data) => codecOf(schema).decode(JSON.parse(JSON.stringify(data)), "it")
    )

  it("keeps the member of a value, at any depth", () => {
    const both = { email: "e", phone: "p" }
    const unions = [Schema.Union(Email, Both), Schema.Union(Both, Email)]
    for (const union of unions) {
      const List = Schema.Struct({ list: Schema.Array(union), one: Schema.optional(union) })
      for (const value of [{ list: [both, { email: "e" }], one: both }, { list: [], one: { email: "e" } }]) {
        assert.deepStrictEqual(back(List, value), Either.right(value))
      }
    }
    assert.deepStrictEqual(back(Schema.Union(Email, Both), { ...both, more: 1 }), Either.right(both))
  })

  it("keeps the member when a later schema lacks other keys of the stored value", () => {
    const Later = Schema.Struct({ contact: Schema.Union(Email, Both) })
    const stored = { contact: { email: "e", phone: "p", fax: "f" }, removed: true }
    assert.deepStrictEqual(codecOf(Later).decode(stored, "it"), Either.right({ contact: { email: "e", phone: "p" } }))
  })

  it("keeps the class of an instance, or refuses it", () => {
    for (const union of [Schema.Union(Parent, Wide), Schema.Union(Wide, Parent)]) {
      for (const value of [new Parent({ a: 1 }), new Wide({ a: 1, b: 2 })]) {
        const read = Either.getOrThrow(back(union, value))
        assert.strictEqual(Object(read).constructor, value.constructor)
        assert.deepStrictEqual(read, value)
      }
    }
    const union = Schema.Union(Parent, Same)
    assert.instanceOf(Either.getOrThrow(back(union, new Parent({ a: 1 }))), Parent)
    const refused = back(union, new Same({ a: 1 }))
    assert.include(Either.isLeft(refused) ? refused.left.message : "", "another member of a union")
  })

  it("refuses a string that would be read as a date", () => {
    const union = Schema.Union(Schema.Date, Schema.String)
    assert.deepStrictEqual(back(union, new Date(5)), Either.right(new Date(5)))
    assert.isTrue(Either.isLeft(back(union, "2020-01-01T00:00:00.000Z")))
  })

  it("can be recursive", () => {
    interface Tree {
      readonly name: string
      readonly left?: Tree
      readonly size?: number
    }
    const Leaf = Schema.Struct({ name: Schema.String })
    const Tree: Schema.Schema<Tree> = Schema.suspend(() =>
      Schema.Union(Leaf, Schema.Struct({ name: Schema.String, left: Tree, size: Schema.Number }))
    )
    const tree = { name: "a", left: { name: "b", left: { name: "c" }, size: 1 }, size: 2 }
    assert.deepStrictEqual(back(Tree, tree), Either.right(tree))
  })

  it("does not change a schema whose unions have tags", () => {
    const Tagged = Schema.Union(
      Schema.TaggedStruct("A", { a: Schema.Number }),
      Schema.TaggedStruct("B", { a: Schema.Number }),
      Schema.NullOr(Schema.String)
    )
    assert.deepStrictEqual(fitUnions(Tagged.ast), { ast: Tagged.ast, isAmbiguous: false })
  })
})

describe("encoded data", () => {
  const isAsStored = (schema: Schema.Schema.AnyNoContext, data: unknown) => codecOf(schema).isAsStored(data)

  it("is what its text reads as only where the encoding has made it, and without -0", () => {
    const Plain = Schema.Struct({ name: Schema.String, list: Schema.Array(Schema.Number) })
    assert.isTrue(isAsStored(Plain, { name: "x", list: [0, 1] }))
    assert.isFalse(isAsStored(Plain, { name: "x", list: [-0] }))
    assert.isFalse(isAsStored(Schema.Number, -0))
    assert.isTrue(isAsStored(Schema.Unknown, "x"))
    for (const schema of [Schema.Unknown, Schema.Any, Schema.Object, Schema.Void, Schema.Struct({})]) {
      assert.isFalse(isAsStored(schema, {}))
    }
    assert.isFalse(isAsStored(Schema.Array(Schema.Unknown), []))
  })

  it("that is proven to be fresh shares no object with the value", () =>
    fc.assert(fc.property(json, (value) => {
      const schema = Schema.Struct({ v: Schema.Array(Schema.Record({ key: Schema.String, value: Schema.String })) })
      const given = { v: [{ a: JSON.stringify(value) }] }
      const data: unknown = Either.getOrThrow(codecOf(schema).encodeResult(given, "it"))
      assert.isTrue(codecOf(schema).isAsStored(data))
      assert.deepStrictEqual(data, given)
      assert.notStrictEqual(data, given)
      assert.notStrictEqual(Object(data).v, given.v)
      assert.notStrictEqual(Object(data).v[0], given.v[0])
    })))
})

describe("sameJson", () => {
  it("ignores the order of keys and nothing else", () => {
    assert.isTrue(sameJson(`{"a":1,"b":{"c":2,"d":[1,2]}}`, `{"b":{"d":[1,2],"c":2},"a":1}`))
    assert.isFalse(sameJson(`[1,2]`, `[2,1]`))
    assert.isFalse(sameJson(`{"a":1}`, `{"a":1,"b":null}`))
  })
})
