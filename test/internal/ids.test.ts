import { assert, describe, it } from "@effect/vitest"
import { childId, childToken, makeIncarnation, makeRunId } from "perdure/internal/ids"

describe("ids", () => {
  it("of runs are UUIDs of version 7: ordered by time, and never the same", () => {
    const ids = Array.from({ length: 1000 }, () => makeRunId(1_700_000_000_000))
    for (const id of ids) assert.match(id, /^018bcfe5-6800-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    assert.strictEqual(new Set(ids).size, 1000)
    assert.isTrue(makeRunId(1_700_000_000_001) > makeRunId(1_700_000_000_000))
    assert.match(makeRunId(-5), /^00000000-0000-7/)
  })

  it("of children follow from the place that starts them", () => {
    assert.match(childId("p", 0, 3, "Ship"), /^p\.3[0-9a-v]{3}$/)
    assert.match(childId("p", 2, 3, "Ship"), /^p\.2-3[0-9a-v]{3}$/)
    assert.notStrictEqual(childId("p", 0, 3, "Ship"), childId("p", 0, 3, "Bill"))
    assert.strictEqual(childToken(2, 3), "2:3")
    // A child of a child in generation 0 and a child in a later generation must not meet.
    assert.notStrictEqual(childId(childId("p", 0, 2, "Ship"), 0, 3, "Ship"), childId("p", 2, 3, "Ship"))
  })

  it("of processes are random", () => assert.notStrictEqual(makeIncarnation(), makeIncarnation()))
})
