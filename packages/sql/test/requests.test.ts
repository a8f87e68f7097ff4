/** How requests are divided into statements, and how storage recognizes a commit that is sent again. */
import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import type * as Driver from "perdure/JournalDriver"
import * as Request from "../src/statements/commit/request.js"
import { resultOf } from "../src/statements/commit/result.js"
import { APPLIED } from "../src/statements/commit/shape.js"
import { rounds } from "../src/verbs/rounds.js"

const run = (id: string, idempotencyKey: string | null, workflow: string): Driver.NewRun => ({
  id,
  workflow,
  version: "1",
  queue: "q",
  priority: 0,
  payload: "{}",
  idempotencyKey,
  availableAt: null,
  parent: null,
  root: id,
  depth: 0,
  key: null,
  expiresAt: null,
  tags: [],
  attributes: {},
  singleton: null
})

const few = FastCheck.constantFrom("a", "b", "c", "d")

const runs = FastCheck.array(
  FastCheck.tuple(few, FastCheck.option(few), FastCheck.constantFrom("v", "w")).map(([id, key, workflow]) =>
    run(id, key, workflow)
  ),
  { maxLength: 12 }
)

const commit = (id: string, change: Partial<Driver.RunCommit> = {}): Driver.RunCommit => ({
  run: id,
  epoch: 1,
  from: 0,
  entries: [],
  consumed: [],
  children: [],
  messages: [],
  published: [],
  closes: [],
  seen: 0,
  transition: null,
  ...change
})

describe("the rounds of an insert", () => {
  it("have each run once, and a repeated run in a later round", () =>
    FastCheck.assert(FastCheck.property(runs, (all) => {
      const cut = rounds(all)
      assert.deepStrictEqual(cut.flat().toSorted((a, b) => a - b), all.map((_, index) => index))
      const round = (index: number) => cut.findIndex((each) => each.includes(index))
      for (const [later, one] of all.entries()) {
        for (const [earlier, other] of all.slice(0, later).entries()) {
          const same = one.id === other.id ||
            (one.idempotencyKey !== null && one.idempotencyKey === other.idempotencyKey &&
              one.workflow === other.workflow)
          if (same) assert.isAbove(round(later), round(earlier))
        }
      }
    })))

  it("are one round if no run is repeated", () => {
    assert.strictEqual(rounds(Array.from({ length: 1_000 }, (_, n) => run(`r-${n}`, `k-${n}`, "w"))).length, 1)
    assert.deepStrictEqual(rounds([]), [[]])
  })
})

describe("the batches of a commit request", () => {
  it("keep the order and have at most one commit of each run", () =>
    FastCheck.assert(FastCheck.property(FastCheck.array(few), (ids) => {
      const batches = Request.batches(ids.map((id) => commit(id)))
      assert.deepStrictEqual(batches.flat().map((each) => each.run), ids)
      for (const batch of batches) assert.strictEqual(new Set(batch.map((each) => each.run)).size, batch.length)
    })))
})

/** The mark of a commit in the parameters. */
const mark = (one: Driver.RunCommit): unknown => {
  const [sent]: ReadonlyArray<{ readonly mark: number }> = JSON.parse(Request.encodeHeaders([one], [0]))
  return sent?.mark
}

const exit = FastCheck.record({
  kind: FastCheck.constantFrom<Driver.EncodedExit["kind"]>("success", "failure"),
  value: FastCheck.option(FastCheck.string())
})

const transition = FastCheck.oneof(
  FastCheck.constant(null),
  FastCheck.record({
    _tag: FastCheck.constant("Suspend" as const),
    until: FastCheck.constantFrom(0, 1, 1_700_000_000_000, Infinity),
    waiting: FastCheck.array(few, { maxLength: 2 })
  }),
  FastCheck.record({
    _tag: FastCheck.constant("Finish" as const),
    status: FastCheck.constant("completed" as const),
    exit,
    errorCode: FastCheck.constant(null)
  }),
  FastCheck.record({
    _tag: FastCheck.constant("Continue" as const),
    payload: FastCheck.string(),
    at: FastCheck.nat()
  }),
  FastCheck.record({ _tag: FastCheck.constant("Diverge" as const), detail: FastCheck.string() }),
  FastCheck.record({ _tag: FastCheck.constant("Release" as const), at: FastCheck.nat() })
)

const content = FastCheck.record({
  entries: FastCheck.array(
    FastCheck.record({
      seq: FastCheck.constant(0),
      op: FastCheck.nat(3),
      kind: few,
      name: few,
      exit,
      at: FastCheck.nat(3)
    }),
    { maxLength: 2 }
  ),
  consumed: FastCheck.array(FastCheck.nat(3), { maxLength: 2 }),
  closes: FastCheck.array(few, { maxLength: 2 }),
  published: FastCheck.array(FastCheck.record({ key: few, value: few }), { maxLength: 2 }),
  seen: FastCheck.nat(3),
  transition
})

describe("the mark of a commit", () => {
  it("is a safe integer, equal for equal content and different for different content", () =>
    FastCheck.assert(
      FastCheck.property(content, content, (one, other) => {
        const [a, b] = [mark(commit("a", one)), mark(commit("a", other))]
        assert(typeof a === "number" && Number.isSafeInteger(a) && a >= 0)
        assert.strictEqual(a, mark(commit("a", structuredClone(one))))
        assert.strictEqual(a === b, JSON.stringify(one) === JSON.stringify(other))
      }),
      { numRuns: 2_000 }
    ))
})

describe("the result of a commit", () => {
  it("without messages has no dispositions", () => {
    assert.deepStrictEqual(resultOf(commit("a"), APPLIED, undefined, null), {
      _tag: "Applied",
      dispositions: [],
      news: null
    })
  })
})
