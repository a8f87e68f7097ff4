/** Reads: records, pages of history, published values, and the driver's time. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { isLastPage, type RunRecord, type RunStanding } from "perdure/JournalDriver"
import { check, entries, finish, type Held, large, now, pass, start, value } from "../Fixture.js"

/** What `await` returns of a run. */
const standingOf = ({ detail, endCause, exit, finishedAt, id, status }: RunRecord): RunStanding => ({
  id,
  status,
  finishedAt,
  exit,
  endCause,
  detail
})

export const reading = [
  check("a read by id leaves out unknown ids", (t) =>
    Effect.gen(function*() {
      yield* t.enqueue(t.newRun("a"), t.newRun("b"))
      const ids = [t.id("b"), t.id("unknown"), t.id("a")]
      const got = yield* value(t.driver.get(ids))
      assert.deepStrictEqual(got.map(({ id }) => id).toSorted(), [t.id("a"), t.id("b")])
      assert.deepStrictEqual(yield* value(t.driver.await(ids)), got.map(standingOf))
      assert.deepStrictEqual(yield* value(t.driver.get([])), [])
      assert.deepStrictEqual(yield* value(t.driver.await([])), [])
    })),

  check("a read by `await` includes final runs", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      yield* t.apply(held, { transition: finish() })
      assert.deepStrictEqual(yield* value(t.driver.await([held.id])), [standingOf(yield* t.record(held))])
    })),

  check("a search by workflow and idempotency key finds that run only", (t) =>
    Effect.gen(function*() {
      const workflow = t.workflow.name
      yield* t.enqueue(
        t.newRun("a", { idempotencyKey: "key" }),
        t.newRun("b", { idempotencyKey: "other" }),
        t.newRun("c")
      )
      const found = yield* t.findByIdempotencyKey(workflow, "key")
      assert.deepStrictEqual(found, [yield* t.record({ id: t.id("a") })])
      assert.deepStrictEqual(yield* t.findByIdempotencyKey(workflow, "no such key"), [])
      assert.deepStrictEqual(yield* t.findByIdempotencyKey(`${workflow}-other`, "key"), [])
    })),

  check("history is read in pages of entries", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      yield* t.apply(held, { entries: entries(0, 25) })
      const page = (from: number, limit: number) =>
        Effect.map(value(t.driver.history({ run: held.id, from, limit })), (found) => found.map(({ seq }) => seq))
      assert.deepStrictEqual(yield* page(0, 10), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
      assert.deepStrictEqual(yield* page(20, 10), [20, 21, 22, 23, 24])
      assert.deepStrictEqual(yield* page(24, 1), [24])
      assert.deepStrictEqual(yield* page(25, 10), [])
      assert.deepStrictEqual(yield* page(0, 0), [])
      assert.deepStrictEqual(yield* value(t.driver.history({ run: t.id("unknown"), from: 0, limit: 10 })), [])
    })),

  check(
    "a page of history ends with the entry that reaches the bound of an answer, and the next one continues",
    (t) =>
      Effect.gen(function*() {
        const held = yield* t.running("a")
        const wrote = entries(0, 7).map((entry) => ({ ...entry, exit: large }))
        let run: Held = held
        for (const entry of wrote) run = yield* t.apply(run, { entries: [entry] })
        const page = (from: number) => value(t.driver.history({ run: held.id, from, limit: 100 }))
        const first = yield* page(0)
        assert.deepStrictEqual(first.map(({ seq }) => seq), [0, 1, 2])
        assert.isFalse(isLastPage(first, 100))
        assert.deepStrictEqual((yield* page(3)).map(({ seq }) => seq), [3, 4, 5])
        const last = yield* page(6)
        assert.deepStrictEqual(last.map(({ exit, seq }) => [seq, exit.value]), [[6, large.value]])
        assert.isTrue(isLastPage(last, 100))
      })
  ),

  check("an answer of `await` has ends up to its bound, and says which ones it lacks", (t) =>
    Effect.gen(function*() {
      const runs: Array<Held> = []
      for (const name of ["a", "b", "c", "d", "e"]) runs.push(yield* t.running(name))
      for (const run of runs) yield* t.apply(run, { transition: finish(large) })
      const live = yield* t.running("live")
      const standings = yield* value(t.driver.await([...runs.map(({ id }) => id), live.id]))
      assert.deepStrictEqual(
        standings.map(({ exit, isPartial, status }) => [status, exit?.value === large.value, isPartial === true]),
        [
          ["completed", true, false],
          ["completed", true, false],
          ["completed", true, false],
          ["completed", false, true],
          ["completed", false, true],
          ["running", false, false]
        ]
      )
    })),

  check("published values have the last value of each key and its version", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      assert.deepStrictEqual(yield* t.published(held), [])
      yield* t.apply(held, { published: [{ key: "status", value: "\"begun\"" }, { key: "done", value: "0" }] })
      yield* pass(10)
      yield* t.apply(held, { published: [{ key: "done", value: "1" }] })
      yield* t.apply(held, { published: [{ key: "done", value: "2" }] })
      const published = yield* t.published(held)
      assert.deepStrictEqual(published.toSorted((a, b) => a.key < b.key ? -1 : 1), [
        { key: "done", value: "2", version: 3, at: start + 10 },
        { key: "status", value: "\"begun\"", version: 1, at: start }
      ])
      assert.deepStrictEqual(yield* t.published({ id: t.id("unknown") }), [])
    })),

  check("a key published twice in one commit has the later value and counts both", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      yield* t.apply(held, {
        published: [{ key: "k", value: "1" }, { key: "j", value: "0" }, { key: "k", value: "2" }]
      })
      const found = (yield* t.published(held)).find(({ key }) => key === "k")
      assert.deepStrictEqual(found, { key: "k", value: "2", version: 2, at: start })
    })),

  check("published values stay after the end of the run", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      yield* t.apply(held, { published: [{ key: "k", value: "1" }], transition: finish() })
      assert.deepStrictEqual(yield* t.published(held), [{ key: "k", value: "1", version: 1, at: start }])
    })),

  check("every answer has the driver's time", (t) =>
    Effect.gen(function*() {
      const { driver, worker } = t
      const run = t.id("unknown")
      const nows = Effect.map(
        Effect.all([
          driver.enqueue({ runs: [], claim: null }),
          driver.claim({ worker, workflows: [], queues: [], limit: 1, hot: new Map() }),
          driver.commit({ worker, commits: [] }),
          driver.deliver([]),
          driver.inbox([]),
          driver.heartbeat({ worker, leaseMillis: 1_000_000, info: null }),
          driver.reconcile({ worker, held: [], claimedBefore: start }),
          driver.retire(worker),
          driver.reap({ limit: 0, maxCrashes: 1 }),
          driver.terminate({ runs: [run], by: null, reason: null }),
          driver.pause({ runs: [run], by: null, reason: null }),
          driver.expire({ limit: 0 }),
          driver.controls(run),
          driver.resume({ runs: [], by: null, reason: null }),
          driver.get([]),
          driver.await([]),
          driver.history({ run, from: 0, limit: 1 }),
          driver.published(run),
          driver.find({ filter: { workflows: [t.id("unknown")] }, after: null, limit: 1 }),
          driver.count({ workflows: [t.id("unknown")] }),
          driver.retain({ rules: [], limit: 1 })
        ]),
        (answers) => new Set(answers.map((answer) => answer.now))
      )
      assert.deepStrictEqual(yield* nows, new Set([start]))
      yield* pass(1_234)
      assert.deepStrictEqual(yield* nows, new Set([yield* now]))
      assert.strictEqual(yield* now, start + 1_234)
    })),

  check(
    "a value published from outside increments the version, and is refused once the run is final",
    (t) =>
      Effect.gen(function*() {
        const held = yield* t.running("a")
        const publish = (run: string, text: string) => value(t.driver.publish({ run, key: "k", value: text }))
        const next = yield* t.apply(held, { published: [{ key: "k", value: "1" }] })
        yield* pass(5)
        assert.isTrue(yield* publish(held.id, "{ \"a\": 2 }"))
        assert.deepStrictEqual(yield* t.published(held), [{
          key: "k",
          value: "{ \"a\": 2 }",
          version: 2,
          at: start + 5
        }])
        assert.isTrue(yield* publish(held.id, "3"))
        yield* t.apply(next, { transition: finish() })
        assert.isFalse(yield* publish(held.id, "4"))
        assert.isFalse(yield* publish(t.id("unknown"), "4"))
        assert.deepStrictEqual((yield* t.published(held)).map(({ value: text, version }) => [text, version]), [[
          "3",
          3
        ]])
      })
  ),

  check(
    "a value published from outside in a transaction is stored once the transaction is committed",
    (t) =>
      Effect.gen(function*() {
        const held = yield* t.running("a")
        yield* t.driver.await([held.id])
        const publish = t.driver.publish({ run: held.id, key: "k", value: "1" })
        yield* Effect.exit(t.driver.transaction(Effect.zipRight(publish, Effect.fail("undone"))))
        assert.deepStrictEqual(yield* t.published(held), [])
        yield* t.driver.transaction(publish)
        assert.strictEqual((yield* t.published(held)).length, 1)
      })
  )
]
