import { assert, describe, it } from "@effect/vitest"
import { quote } from "../../../src/internal/util/show.js"

describe("a quoted value", () => {
  it("is short, of one line and storable", () => {
    assert.strictEqual(quote("a\u0000b"), String.raw`"a\u0000b"`)
    assert.strictEqual(quote(() => 1), "a function")
    assert.strictEqual(quote(new Date(0)), "1970-01-01T00:00:00.000Z")
    assert.strictEqual(quote(new Date(NaN)), "Invalid Date")
    assert.strictEqual(quote({ a: ["\uD800"] }), String.raw`{ "a": [ "\ud800" ] }`)
    assert.strictEqual(quote("x".repeat(1000)).length, 201)
    assert.isTrue(quote("😀".repeat(1000)).endsWith("😀\uFFFD…"))
    const cyclic: { self?: unknown } = {}
    cyclic.self = cyclic
    assert.isString(quote(cyclic))
  })
})
