import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { makeConstruct, structOf } from "perdure/internal/codec/construct"

const counted = Schema.Number.pipe(Schema.propertySignature, Schema.withConstructorDefault(() => 1))

class Parcel extends Schema.Class<Parcel>("Parcel")({ kilos: Schema.Number, count: counted }) {}

describe("the input of a schema's constructor", () => {
  it("of a struct gets the defaults of fields that are left out", () => {
    const construct = makeConstruct(structOf({ sku: Schema.String, count: counted }))
    assert.deepStrictEqual(construct({ sku: "x" }), { sku: "x", count: 1 })
    assert.deepStrictEqual(construct({ sku: "x", count: 2 }), { sku: "x", count: 2 })
    assert.deepStrictEqual(construct({ sku: "x", color: "red" }), { sku: "x", count: 1, color: "red" })
  })

  it("of a struct without defaults is the value itself", () => {
    const input = { sku: "x" }
    assert.strictEqual(makeConstruct(structOf({ sku: Schema.String }))(input), input)
    assert.strictEqual(makeConstruct(Schema.Number)(3), 3)
  })

  it("of a class becomes an instance; an instance stays as it is", () => {
    const construct = makeConstruct(Parcel)
    const made = construct({ kilos: 2 })
    assert.instanceOf(made, Parcel)
    assert.deepStrictEqual(made, new Parcel({ kilos: 2, count: 1 }))
    assert.strictEqual(construct(made), made)
  })

  it("that is not an object stays as it is, for the encoder to refuse", () => {
    for (const schema of [structOf({ count: counted }), Parcel]) {
      for (const input of [undefined, null, 5, "x", []]) assert.strictEqual(makeConstruct(schema)(input), input)
    }
  })
})
