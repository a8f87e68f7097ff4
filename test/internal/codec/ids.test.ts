import { assert, describe, it } from "@effect/vitest"
import { childId, childToken, makeIncarnation, makeRunId } from "perdure/internal/codec/ids"

describe("an id", () => {
  it("of a run is a UUID of version 7, ordered by time and by creation within a millisecond", () => {
    const ids = Array.from({ length: 1000 }, () => makeRunId(1_700_000_000_000))
    for (const id of ids) assert.match(id, /^018bcfe5-6800-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    const more = Array.from({ length: 10_000 }, () => makeRunId(1_700_000_000_000))
    const next = makeRunId(1_700_000_000_100)
    const all = [...ids, ...more, next]
    assert.deepStrictEqual(all.toSorted(), all)
    assert.strictEqual(new Set(all).size, 11_001)
    // More ids than the counter has values use the next milliseconds. A clock that was set back is used.
    assert.match(more.at(-1) ?? "", /^018bcfe5-680[23]-7/)
    assert.match(next, /^018bcfe5-6864-7/)
    assert.match(makeRunId(-5), /^00000000-0000-7/)
  })

  it("of a child follows from its parent, its op and its workflow", () => {
    assert.match(childId("p", 0, 3, "Ship"), /^p\.a3[0-9a-v]{3}$/)
    assert.match(childId("p", 2, 3, "Ship"), /^p\.2-a3[0-9a-v]{3}$/)
    const inOrder = [0, 9, 10, 99, 100, 1_000_000].map((op) => childId("p", 0, op, "Ship"))
    assert.deepStrictEqual(inOrder.toSorted(), inOrder)
    assert.notStrictEqual(childId("p", 0, 3, "Ship"), childId("p", 0, 3, "Bill"))
    assert.strictEqual(childToken(2, 3), "2:3")
    // A grandchild of generation 0 and a child of a later generation must differ.
    assert.notStrictEqual(childId(childId("p", 0, 2, "Ship"), 0, 3, "Ship"), childId("p", 2, 3, "Ship"))
  })

  it("of a process is random", () => assert.notStrictEqual(makeIncarnation(), makeIncarnation()))
})
