import { assert, describe, it } from "@effect/vitest"
import * as Limits from "./limitChecker.js"

describe("the checker of limits", () => {
  const move = (run: string, status: string, change: Partial<Limits.Move> = {}): Limits.Move => ({
    run,
    status,
    queue: "q",
    key: null,
    started: null,
    place: run,
    ...change
  })
  const [a, b, done, end] = [
    move("a", "running"),
    move("b", "running"),
    move("a", "completed"),
    move("b", "completed")
  ]
  const violations = (limit: Limits.QueueLimits, ...moves: ReadonlyArray<Limits.Move>) =>
    Limits.violations(moves, { q: limit })
  const reaches = (limit: Limits.QueueLimits, ...moves: ReadonlyArray<Limits.Move>) =>
    Limits.unreached(moves, { q: limit }).length === 0

  it("rejects a run too many that is running", () => {
    assert.deepStrictEqual(violations({ concurrency: 1 }, a, b, done, end), [
      "q: 2 running at move 1, the limit is 1"
    ])
    assert.deepStrictEqual(violations({ concurrency: 1 }, a, done, b, end), [])
    assert.deepStrictEqual(violations({ concurrency: 1 }, a, move("a", "suspended"), b, end, done), [])
    // A run that resumes counts again.
    const back = [a, move("a", "suspended"), b, a, done, end]
    assert.lengthOf(violations({ concurrency: 1 }, ...back), 1)
    assert.deepStrictEqual(violations({ concurrency: 2 }, ...back), [])
  })

  it("rejects a run too many that is live", () => {
    const asleep = [a, move("a", "suspended"), b, end, done]
    assert.deepStrictEqual(violations({ admission: 1 }, ...asleep), ["q: 2 live at move 2, the limit is 1"])
    assert.deepStrictEqual(violations({ admission: 2 }, ...asleep), [])
    assert.deepStrictEqual(violations({ admission: 1 }, a, move("a", "suspended"), done, b, end), [])
  })

  it("rejects a run too many of a key, and runs of a key out of order", () => {
    const k = { key: "k" }
    const waiting = [move("a", "pending", k), move("b", "pending", k)]
    const ended = (run: string, change = k) => [move(run, "running", change), move(run, "completed", change)]
    assert.deepStrictEqual(violations({ keyConcurrency: 1 }, ...waiting, ...ended("b"), ...ended("a")), [
      "q: runs of key k started out of order"
    ])
    assert.deepStrictEqual(violations({ keyConcurrency: 1 }, ...waiting, ...ended("a"), ...ended("b")), [])
    assert.deepStrictEqual(violations({ keyConcurrency: 2 }, ...waiting, ...ended("b"), ...ended("a")), [])
    const both = ["running", "completed"].flatMap((status) => [move("a", status, k), move("b", status, k)])
    assert.deepStrictEqual(violations({ keyConcurrency: 1 }, ...waiting, ...both), [
      "q: 2 live of key k at move 3, the limit is 1"
    ])
    assert.deepStrictEqual(violations({ keyConcurrency: 2 }, ...waiting, ...both), [])
    const apart = both.map((each) => each.run === "b" ? { ...each, key: "l" } : each)
    assert.deepStrictEqual(violations({ keyConcurrency: 1 }, ...apart), [])
    assert.deepStrictEqual(violations({ keyConcurrency: 1 }, a, b, done, end), [])
  })

  const at = (run: string, started: number) => [
    move(run, "running", { started }),
    move(run, "completed", { started })
  ]
  const rate = { limit: 1, millis: 100, burst: 2 }

  it("rejects a start that is too early", () => {
    assert.lengthOf(violations({ rate }, ...at("a", 0), ...at("b", 0), ...at("c", 99)), 1)
    assert.deepStrictEqual(violations({ rate }, ...at("a", 0), ...at("b", 0), ...at("c", 100), ...at("d", 200)), [])
    // A bucket never holds more than its burst.
    assert.lengthOf(violations({ rate }, ...at("a", 0), ...at("b", 1_000), ...at("c", 1_000), ...at("d", 1_000)), 1)
  })

  it("rejects a run that does not end", () => {
    assert.deepStrictEqual(violations({}, a, b, done), ["q: 1 are running at the end", "q: 1 have not ended"])
    assert.deepStrictEqual(violations({}, a, move("a", "suspended")), ["q: 1 have not ended"])
  })

  it("finds a limit that was never reached", () => {
    const waits = move("b", "pending")
    assert.isTrue(reaches({ concurrency: 1 }, waits, a, done, b, end))
    assert.isFalse(reaches({ concurrency: 2 }, waits, a, done, b, end))
    assert.isFalse(reaches({ concurrency: 1 }, a, done, waits, b, end), "no run waited")
    assert.isTrue(reaches({ admission: 1 }, waits, a, move("a", "suspended"), done, b, end))
    assert.isFalse(reaches({ admission: 2 }, waits, a, move("a", "suspended"), done, b, end))
    const [k, l] = [{ key: "k" }, { key: "l" }]
    const first = [move("a", "running", k), move("a", "completed", k)]
    assert.isTrue(reaches({ keyConcurrency: 1 }, move("b", "pending", k), ...first))
    assert.isFalse(reaches({ keyConcurrency: 1 }, move("b", "pending", l), ...first))
    assert.isFalse(reaches({ keyConcurrency: 2 }, move("b", "pending", k), ...first))
    assert.isTrue(reaches({ rate }, ...at("a", 0), ...at("b", 50)))
    assert.isFalse(reaches({ rate }, ...at("a", 0), ...at("b", 100)))
  })
})
