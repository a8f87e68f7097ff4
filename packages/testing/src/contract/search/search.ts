/** Search and counts by filter. Filters name workflows, tags or queues that no other case has. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Driver from "perdure/JournalDriver"
import type { Fixture } from "../Fixture.js"
import { check, finish, large, pass, signal, start, value } from "../Fixture.js"

const find = (t: Fixture, filter: Driver.RunFilter, limit = 100, after: Driver.RunCursor | null = null) =>
  value(t.driver.find({ filter, after, limit }))

/** The names of the runs that a filter finds, in order. */
const names = (t: Fixture, filter: Driver.RunFilter) =>
  Effect.map(find(t, filter), ({ next, runs }) => {
    assert.isNull(next)
    return runs.map(({ id }) => id.slice(t.prefix.length + 1))
  })

/** The names of the runs on each page. */
const pages = Effect.fnUntraced(function*(t: Fixture, filter: Driver.RunFilter, limit: number) {
  const found: Array<ReadonlyArray<string>> = []
  let after: Driver.RunCursor | null = null
  do {
    const { next, runs }: { readonly next: Driver.RunCursor | null; readonly runs: ReadonlyArray<Driver.RunRecord> } =
      yield* find(t, filter, limit, after)
    found.push(runs.map(({ id }) => id.slice(t.prefix.length + 1)))
    assert.isBelow(found.length, 100, "pages come to an end")
    after = next
  } while (after !== null)
  return found
})

const failure = (error: unknown): Driver.EncodedExit => ({ kind: "failure", value: JSON.stringify(error) })
const defect = (error: unknown): Driver.EncodedExit => ({ kind: "defect", value: JSON.stringify(error) })

/** Inserts a run that failed with this exit and error code. */
const failed = (t: Fixture, name: string, exit: Driver.EncodedExit, errorCode: string | null = null) =>
  Effect.flatMap(t.running(name), (held) => t.apply(held, { transition: finish(exit, "failed", errorCode) }))

export const search = [
  check(
    "a page of found runs ends with the run that reaches the bound of an answer, and the next one continues",
    (t) =>
      Effect.gen(function*() {
        for (const name of ["a", "b", "c", "d", "e"]) {
          yield* t.enqueue(t.newRun(name, { payload: large.value ?? "" }))
          yield* pass(1)
        }
        const filter = { workflows: [t.workflow.name] }
        assert.deepStrictEqual(yield* pages(t, filter, 100), [["e", "d", "c"], ["b", "a"]])
      })
  ),

  check("a run is found by each field of its insert that a filter can name", (t) =>
    Effect.gen(function*() {
      const [workflow, other] = [t.workflow.name, t.id("other-workflow")]
      yield* t.enqueue(
        t.newRun("a", { tags: [t.id("x"), t.id("y")], attributes: { [t.id("n")]: 1, city: "Bern" } }),
        t.newRun("b", { tags: [t.id("y")], attributes: { [t.id("n")]: 2, city: "Bern" } }),
        t.newRun("c", { version: "2", attributes: { [t.id("n")]: "1", [t.id("f")]: true } }),
        t.newRun("d", { workflow: other, idempotencyKey: t.id("key"), tags: [t.id("z")] }),
        t.newRun("e", { idempotencyKey: t.id("key"), queue: t.id("b-queue"), key: "k" }),
        t.newRun("f", { queue: t.id("b-queue"), key: "l" }),
        t.newRun("child", { parent: { id: t.id("a"), token: "t", attached: true }, root: t.id("a"), depth: 1 }),
        t.newRun("grandchild", {
          parent: { id: t.id("child"), token: "t", attached: false },
          root: t.id("a"),
          depth: 2,
          workflow: other
        })
      )
      const cases: ReadonlyArray<readonly [Driver.RunFilter, ReadonlyArray<string>]> = [
        [{ workflows: [other] }, ["grandchild", "d"]],
        [{ workflows: [workflow, other, other] }, ["grandchild", "f", "e", "d", "child", "c", "b", "a"]],
        [{ workflows: [] }, []],
        [{ workflows: [workflow], version: "2" }, ["c"]],
        [{ workflows: [workflow], tags: [] }, ["f", "e", "child", "c", "b", "a"]],
        [{ tags: [t.id("y")] }, ["b", "a"]],
        [{ tags: [t.id("y"), t.id("x")] }, ["a"]],
        [{ tags: [t.id("y"), t.id("z")] }, []],
        [{ tags: [t.id("y")], workflows: [other] }, []],
        [{ tags: [t.id("z")], workflows: [other] }, ["d"]],
        [{ attributes: { [t.id("n")]: 1 } }, ["a"]],
        [{ attributes: { [t.id("n")]: "1" } }, ["c"]],
        [{ attributes: { [t.id("f")]: true } }, ["c"]],
        [{ attributes: { [t.id("f")]: false } }, []],
        [{ attributes: { city: "Bern", [t.id("n")]: 2 } }, ["b"]],
        [{ attributes: { city: "Bern" }, tags: [t.id("y")] }, ["b", "a"]],
        [{ attributes: {}, tags: [t.id("z")] }, ["d"]],
        [{ idempotencyKey: t.id("key") }, ["e", "d"]],
        [{ idempotencyKey: t.id("key"), workflows: [workflow] }, ["e"]],
        [{ idempotencyKey: t.id("no-key") }, []],
        [{ parent: t.id("a") }, ["child"]],
        [{ parent: t.id("a"), workflows: [other] }, []],
        [{ parent: t.id("unknown") }, []],
        [{ root: t.id("a") }, ["grandchild", "child", "a"]],
        [{ root: t.id("a"), workflows: [other] }, ["grandchild"]],
        [{ root: t.id("b") }, ["b"]],
        [{ root: t.id("child") }, []],
        [{ source: t.id("a") }, []],
        [{ queues: [t.id("b-queue")], statuses: ["pending"] }, ["f", "e", "b"]],
        [{ queues: [t.id("b-queue")], statuses: ["pending"], key: "k" }, ["e"]],
        [{ queues: [t.id("b-queue"), t.id("a-queue")], workflows: [workflow] }, ["f", "e", "b", "a"]],
        [{ workflows: [workflow], key: "l" }, ["f"]],
        [{ queues: [t.id("b-queue")], statuses: ["running", "completed"] }, []],
        [{ workflows: [workflow], statuses: [] }, []],
        [{ parent: t.id("a"), root: t.id("a"), tags: [t.id("x")] }, []]
      ]
      for (const [filter, expected] of cases) {
        // All at one instant, so by id, descending.
        assert.deepStrictEqual(yield* names(t, filter), [...expected].sort().reverse(), JSON.stringify(filter))
      }
    })),

  check(
    "a filter with the empty key finds runs with that key, and not runs without a key",
    (t) =>
      Effect.gen(function*() {
        yield* t.enqueue(t.newRun("a", { key: "", idempotencyKey: "" }), t.newRun("b", { key: "k" }), t.newRun("c"))
        const workflows = [t.workflow.name]
        assert.deepStrictEqual(yield* names(t, { workflows, key: "" }), ["a"])
        assert.deepStrictEqual(yield* names(t, { workflows, key: "", statuses: ["pending"] }), ["a"])
        assert.deepStrictEqual(yield* names(t, { workflows, idempotencyKey: "" }), ["a"])
      })
  ),

  check("a search returns the same records as a read by id", (t) =>
    Effect.gen(function*() {
      yield* failed(t, "a", failure({ _tag: "Bad" }), "Bad")
      yield* t.suspended("b", start + 1_000, "signal:x")
      yield* t.enqueue(t.newRun("c", { tags: ["x"], attributes: { n: 1 }, idempotencyKey: "key", key: "k" }))
      const { runs } = yield* find(t, { workflows: [t.workflow.name] })
      assert.deepStrictEqual(runs, [
        yield* t.record({ id: t.id("c") }),
        yield* t.record({ id: t.id("b") }),
        yield* t.record({ id: t.id("a") })
      ])
    })),

  check("a filter by statuses finds the runs in these states", (t) =>
    Effect.gen(function*() {
      const workflows = [t.workflow.name]
      yield* t.enqueue(t.newRun("pending"), t.newRun("waiting", { key: "k" }))
      yield* t.running("running")
      yield* t.running("keyed", { key: "k" })
      yield* t.suspended("suspended", Infinity, "signal:x")
      const diverged = yield* t.running("diverged")
      yield* t.apply(diverged, { transition: { _tag: "Diverge", detail: "{}" } })
      yield* t.apply(yield* t.running("completed"), { transition: finish() })
      yield* failed(t, "failed", failure(1))
      yield* t.apply(yield* t.running("cancelled"), {
        transition: finish({ kind: "interrupt", value: null }, "cancelled")
      })
      yield* t.enqueue(t.newRun("terminated"))
      yield* t.driver.terminate({ runs: [t.id("terminated")], by: null, reason: null })
      const cases: ReadonlyArray<readonly [ReadonlyArray<Driver.RunStatus>, ReadonlyArray<string>]> = [
        [["pending"], ["pending", "waiting"]],
        [["running"], ["keyed", "running"]],
        [["suspended"], ["suspended"]],
        [["diverged"], ["diverged"]],
        [["paused"], []],
        [["completed"], ["completed"]],
        [["failed"], ["failed"]],
        [["cancelled"], ["cancelled"]],
        [["terminated"], ["terminated"]],
        [["expired", "exhausted"], []],
        [["failed", "running", "failed"], ["failed", "keyed", "running"]],
        [["suspended", "diverged", "completed"], ["completed", "diverged", "suspended"]]
      ]
      for (const [statuses, expected] of cases) {
        assert.deepStrictEqual(
          yield* names(t, { workflows, statuses }),
          [...expected].sort().reverse(),
          statuses.join()
        )
      }
      const keyed = { workflows, key: "k" }
      assert.deepStrictEqual(yield* names(t, { ...keyed, statuses: ["pending"] }), ["waiting"])
      assert.deepStrictEqual(yield* names(t, { ...keyed, statuses: ["running", "suspended"] }), ["keyed"])
      assert.deepStrictEqual(yield* names(t, { ...keyed, statuses: ["pending", "running"] }), ["waiting", "keyed"])
      assert.deepStrictEqual(yield* names(t, { ...keyed, statuses: ["completed"] }), [])
      assert.deepStrictEqual(yield* names(t, { ...keyed, statuses: ["diverged", "paused"] }), [])
    })),

  check(
    "a filter by time includes its first instant and excludes its last",
    (t) =>
      Effect.gen(function*() {
        const workflows = [t.workflow.name]
        for (const name of ["a", "b", "c"]) {
          yield* t.enqueue(t.newRun(name))
          yield* pass(10)
        }
        for (const name of ["c", "a"]) {
          yield* t.apply(yield* t.claimOne(t.newRun(name)), { transition: finish() })
          yield* pass(10)
        }
        const of = (filter: Driver.RunFilter) => names(t, { workflows, ...filter })
        assert.deepStrictEqual(yield* of({ createdFrom: start + 10 }), ["c", "b"])
        assert.deepStrictEqual(yield* of({ createdBefore: start + 10 }), ["a"])
        assert.deepStrictEqual(yield* of({ createdFrom: start + 10, createdBefore: start + 20 }), ["b"])
        assert.deepStrictEqual(yield* of({ createdFrom: start + 21 }), [])
        assert.deepStrictEqual(yield* of({ finishedFrom: start + 30 }), ["c", "a"])
        assert.deepStrictEqual(yield* of({ finishedFrom: start + 31 }), ["a"])
        assert.deepStrictEqual(yield* of({ finishedBefore: start + 40 }), ["c"])
        assert.deepStrictEqual(yield* of({ finishedBefore: start + 40, statuses: ["completed"] }), ["c"])
        assert.deepStrictEqual(yield* of({ finishedFrom: 0, statuses: ["pending"] }), [])
        assert.deepStrictEqual(yield* of({ finishedFrom: 0, createdBefore: Infinity }), ["c", "a"])
      })
  ),

  check("failed runs are found by the code of their error and by a part of its text", (t) =>
    Effect.gen(function*() {
      const workflows = [t.workflow.name]
      yield* failed(t, "tagged", failure({ _tag: "OutOfStock", sku: "50%_off" }), "OutOfStock")
      yield* failed(t, "other", failure({ _tag: "Rejected", why: "Ünlucky \"50\"" }), "Rejected")
      yield* failed(t, "plain", failure("OutOfStock"))
      yield* failed(t, "died", defect({ runtimeError: { _tag: "TimedOut" }, name: "x" }), "TimedOut")
      yield* failed(t, "thrown", defect({ name: "TypeError", message: "x is not a function" }), "TypeError")
      yield* failed(t, "empty", { kind: "failure", value: null })
      yield* t.apply(yield* t.running("fine"), {
        transition: finish({ kind: "success", value: "{\"_tag\":\"OutOfStock\"}" })
      })
      yield* t.apply(yield* t.running("diverged"), {
        transition: { _tag: "Diverge", detail: "{\"reason\":\"Undecodable\"}" }
      })
      yield* t.enqueue(t.newRun("ended"))
      yield* t.driver.terminate({ runs: [t.id("ended")], by: "Ann-Marie", reason: "wrong \"price\"" })
      const of = (filter: Driver.RunFilter) => names(t, { workflows, ...filter })
      assert.deepStrictEqual(yield* of({ errorCode: "OutOfStock" }), ["tagged"])
      assert.deepStrictEqual(yield* of({ errorCode: "TimedOut" }), ["died"])
      assert.deepStrictEqual(yield* of({ errorCode: "TypeError", statuses: ["failed"] }), ["thrown"])
      assert.deepStrictEqual(yield* of({ errorCode: "outofstock" }), [])
      assert.deepStrictEqual(yield* of({ errorCode: "x" }), [])
      assert.deepStrictEqual(yield* of({ text: "outOFstock" }), ["tagged", "plain"])
      assert.deepStrictEqual(yield* of({ text: "%_" }), ["tagged"])
      assert.deepStrictEqual(yield* of({ text: "5_%" }), [])
      assert.deepStrictEqual(yield* of({ text: "NOT A func", statuses: ["failed"] }), ["thrown"])
      assert.deepStrictEqual(yield* of({ text: "Ünlucky \\\"50" }), ["other"])
      assert.deepStrictEqual(yield* of({ text: "ünlucky" }), [])
      assert.deepStrictEqual(yield* of({ text: "undecodable" }), ["diverged"])
      assert.deepStrictEqual(yield* of({ text: "ann-" }), ["ended"])
      assert.deepStrictEqual(yield* of({ text: "WRONG \"price" }), ["ended"])
      assert.deepStrictEqual(yield* of({ text: "undecodable", errorCode: "OutOfStock" }), [])
    })),

  check(
    "pages of a search are ordered from the newest run, then by id, and leave out no run",
    (t) =>
      Effect.gen(function*() {
        const filter = { workflows: [t.workflow.name, t.id("other")] }
        yield* t.enqueue(...["c", "a", "b"].map((name) => t.newRun(name)))
        yield* pass(10)
        yield* t.enqueue(...["f", "e", "d"].map((name) => t.newRun(name, { workflow: t.id("other") })))
        const all = ["f", "e", "d", "c", "b", "a"]
        for (const limit of [1, 2, 3, 4, 5, 6, 7]) {
          const found = yield* pages(t, filter, limit)
          assert.deepStrictEqual(found.flat(), all, `pages of ${limit}`)
          assert.strictEqual(found.length, Math.ceil(all.length / limit), `pages of ${limit}`)
        }
        const { next, runs } = yield* find(t, filter, 2)
        assert.deepStrictEqual(next, { createdAt: start + 10, id: runs[1]?.id ?? "" })
        assert.deepStrictEqual(yield* find(t, filter, 0), { runs: [], next: null })
      })
  ),

  check("pages of a search do not shift when runs are inserted or change in between", (t) =>
    Effect.gen(function*() {
      const filter = { workflows: [t.workflow.name], statuses: ["pending", "running"] as const }
      yield* t.enqueue(...["a", "b", "c", "d"].map((name) => t.newRun(name)))
      const { next } = yield* find(t, filter, 2)
      yield* t.claimOne(t.newRun("b"))
      yield* t.apply(yield* t.claimOne(t.newRun("d")), { transition: finish() })
      yield* pass(10)
      yield* t.enqueue(t.newRun("e"))
      const { runs } = yield* find(t, filter, 2, next)
      assert.deepStrictEqual(runs.map(({ id, status }) => [id, status]), [[t.id("b"), "running"], [
        t.id("a"),
        "pending"
      ]])
    })),

  check("a cursor of a search can name a run that was deleted", (t) =>
    Effect.gen(function*() {
      yield* t.enqueue(...["a", "c"].map((name) => t.newRun(name)))
      const of = (after: Driver.RunCursor) =>
        Effect.map(
          find(t, { workflows: [t.workflow.name] }, 10, after),
          ({ runs }) => runs.map(({ id }) => id)
        )
      assert.deepStrictEqual(yield* of({ createdAt: start, id: t.id("b") }), [t.id("a")])
      assert.deepStrictEqual(yield* of({ createdAt: start + 1, id: "" }), [t.id("c"), t.id("a")])
      assert.deepStrictEqual(yield* of({ createdAt: start - 1, id: t.id("x") }), [])
    })),

  check("counts of runs are by state, within a filter", (t) =>
    Effect.gen(function*() {
      const workflows = [t.workflow.name]
      const count = (filter: Driver.RunFilter) => value(t.driver.count({ workflows, ...filter }))
      assert.deepStrictEqual(yield* count({}), {})
      yield* t.enqueue(t.newRun("a", { tags: [t.id("x")] }), t.newRun("b"), t.newRun("c", { attributes: { n: 1 } }))
      const child = { parent: { id: t.id("a"), token: "t", attached: true }, root: t.id("a"), depth: 1 }
      yield* t.apply(yield* t.running("d", { tags: [t.id("x")], ...child }), { transition: finish() })
      yield* pass(10)
      yield* failed(t, "e", failure({ _tag: "Bad" }), "Bad")
      const all = { pending: 3, completed: 1, failed: 1 }
      assert.deepStrictEqual(yield* count({}), all)
      assert.deepStrictEqual(yield* count({ statuses: ["pending"] }), { pending: 3 })
      assert.deepStrictEqual(yield* count({ statuses: ["failed", "pending"] }), { pending: 3, failed: 1 })
      assert.deepStrictEqual(yield* count({ statuses: ["running"] }), {})
      assert.deepStrictEqual(yield* count({ tags: [t.id("x")] }), { pending: 1, completed: 1 })
      assert.deepStrictEqual(yield* count({ attributes: { n: 1 } }), { pending: 1 })
      assert.deepStrictEqual(yield* count({ root: t.id("a") }), { pending: 1, completed: 1 })
      assert.deepStrictEqual(yield* count({ parent: t.id("a"), statuses: ["completed"] }), { completed: 1 })
      assert.deepStrictEqual(yield* count({ createdFrom: start + 1 }), { failed: 1 })
      assert.deepStrictEqual(yield* count({ finishedBefore: start + 1 }), { completed: 1 })
      assert.deepStrictEqual(yield* count({ errorCode: "Bad" }), { failed: 1 })
      assert.deepStrictEqual(yield* count({ queues: [t.id("a-queue"), t.id("e-queue")] }), { pending: 1, failed: 1 })
      assert.deepStrictEqual(yield* value(t.driver.count({ tags: [t.id("x")] })), { pending: 1, completed: 1 })
    })),

  check(
    "a run that continues as new is found by its tags, attributes and idempotency key",
    (t) =>
      Effect.gen(function*() {
        const held = yield* t.running("a", { tags: [t.id("x")], attributes: { n: 1 }, idempotencyKey: "key" })
        yield* pass(10)
        yield* t.apply(held, { transition: { _tag: "Continue", payload: "2", at: start + 10 } })
        const filter = { tags: [t.id("x")], attributes: { n: 1 }, idempotencyKey: "key", createdBefore: start + 1 }
        assert.deepStrictEqual(yield* names(t, filter), ["a"])
        yield* t.deliver(signal(held.id, "x"))
        assert.deepStrictEqual(yield* names(t, { ...filter, statuses: ["running"] }), ["a"])
      })
  )
]
