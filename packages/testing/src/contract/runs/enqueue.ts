/** Inserts of runs: idempotence, delays, and claims by the insert. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { check, finish, only, pass, start, value, nothing } from "../Fixture.js"

export const enqueue = [
  check("a new run is pending and has the fields of its insert", (t) =>
    Effect.gen(function*() {
      const request = t.newRun("a", {
        priority: 7,
        payload: "{\"x\": 1}",
        idempotencyKey: "key",
        parent: { id: t.id("parent"), token: "token", attached: false },
        root: t.id("root"),
        depth: 3,
        expiresAt: start + 1_000,
        tags: ["b", "a"],
        attributes: { tenant: "acme", size: 1.5, vip: true }
      })
      assert.deepStrictEqual(yield* t.enqueue(request), [{ _tag: "Started", id: request.id, epoch: null }])
      const { singleton: _, ...fields } = request
      assert.deepStrictEqual(yield* t.record(request), {
        ...fields,
        source: null,
        pausing: false,
        status: "pending",
        epoch: 0,
        generation: 0,
        nextSeq: 0,
        crashes: 0,
        createdAt: start,
        startedAt: null,
        finishedAt: null,
        availableAt: start,
        worker: null,
        exit: null,
        endCause: null,
        detail: null
      })
    })),

  check("an insert of 1,000 runs has results in the order of the request", (t) =>
    Effect.gen(function*() {
      const runs = Array.from({ length: 1_000 }, (_, n) => t.newRun(`bulk-${(n * 7) % 1_000}`, { queue: t.id("bulk") }))
      const answers = yield* t.enqueue(...runs)
      assert.deepStrictEqual(answers, runs.map(({ id }) => ({ _tag: "Started" as const, id, epoch: null })))
      const records = yield* value(t.driver.get(runs.map(({ id }) => id)))
      assert.strictEqual(records.length, 1_000)
      assert.strictEqual((yield* t.claim([t.id("bulk")], { limit: 1_000 })).length, 1_000)
    })),

  check("an insert without runs has no results", (t) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* t.enqueue(), [])
    })),

  check(
    "an insert with the id of an existing run inserts nothing, and returns that run's payload and status",
    (t) =>
      Effect.gen(function*() {
        const first = t.newRun("a", { payload: "1" })
        yield* t.enqueue(first)
        const again = yield* t.enqueue({ ...first, payload: "2", priority: 9 })
        assert.deepStrictEqual(again, [{ _tag: "Existing", id: first.id, payload: "1", status: "pending" }])
        assert.strictEqual((yield* t.record(first)).priority, 0)
      })
  ),

  check("an insert with the idempotency key of an existing run returns that run", (t) =>
    Effect.gen(function*() {
      const first = t.newRun("a", { idempotencyKey: "key", payload: "1" })
      yield* t.enqueue(first)
      const again = yield* t.enqueue(t.newRun("b", { idempotencyKey: "key", payload: "2" }))
      assert.deepStrictEqual(again, [{ _tag: "Existing", id: first.id, payload: "1", status: "pending" }])
      assert.deepStrictEqual(yield* t.find(t.id("b")), [])
    })),

  check("an idempotency key is unique within its workflow only, and null is no key", (t) =>
    Effect.gen(function*() {
      const answers = yield* t.enqueue(
        t.newRun("a", { idempotencyKey: "key" }),
        t.newRun("b", { idempotencyKey: "key", workflow: `${t.workflow.name}-other` }),
        t.newRun("c"),
        t.newRun("d"),
        t.newRun("e", { idempotencyKey: "" })
      )
      assert.deepStrictEqual(answers.map(({ _tag }) => _tag), Array.from({ length: 5 }, () => "Started"))
    })),

  check("an idempotency key is unique over all versions of its workflow", (t) =>
    Effect.gen(function*() {
      yield* t.enqueue(t.newRun("a", { idempotencyKey: "key" }))
      const again = only(yield* t.enqueue(t.newRun("b", { idempotencyKey: "key", version: "2" })))
      assert.strictEqual(again._tag, "Existing")
    })),

  check("of runs with one id or idempotency key in a request, the first is inserted", (t) =>
    Effect.gen(function*() {
      const answers = yield* t.enqueue(
        t.newRun("a", { payload: "1", idempotencyKey: "key" }),
        t.newRun("a", { payload: "2", idempotencyKey: "key" }),
        t.newRun("b", { payload: "3", idempotencyKey: "key" }),
        t.newRun("c", { payload: "4" }),
        t.newRun("c", { payload: "5" })
      )
      assert.deepStrictEqual(answers, [
        { _tag: "Started", id: t.id("a"), epoch: null },
        { _tag: "Existing", id: t.id("a"), payload: "1", status: "pending" },
        { _tag: "Existing", id: t.id("a"), payload: "1", status: "pending" },
        { _tag: "Started", id: t.id("c"), epoch: null },
        { _tag: "Existing", id: t.id("c"), payload: "4", status: "pending" }
      ])
      assert.deepStrictEqual(yield* t.find(t.id("b")), [])
    })),

  check("a request can have new and existing runs", (t) =>
    Effect.gen(function*() {
      yield* t.enqueue(t.newRun("b"))
      const answers = yield* t.enqueue(t.newRun("a"), t.newRun("b"), t.newRun("c"))
      assert.deepStrictEqual(answers.map(({ _tag, id }) => [_tag, id]), [
        ["Started", t.id("a")],
        ["Existing", t.id("b")],
        ["Started", t.id("c")]
      ])
    })),

  check(
    "an idempotency key stays with its run while the run executes and after it is final",
    (t) =>
      Effect.gen(function*() {
        const held = yield* t.running("a", { idempotencyKey: "key" })
        const again = t.newRun("b", { idempotencyKey: "key" })
        const existing = { _tag: "Existing" as const, id: held.id, payload: held.payload }
        assert.deepStrictEqual(yield* t.enqueue(again), [{ ...existing, status: "running" }])
        yield* t.apply(held, { transition: finish() })
        assert.deepStrictEqual(yield* t.enqueue(again), [{ ...existing, status: "completed" }])
      })
  ),

  check("of concurrent inserts with one idempotency key, one inserts a run", (t) =>
    Effect.gen(function*() {
      const answers = yield* Effect.forEach(
        Array.from({ length: 12 }, (_, n) => t.newRun(`race-${n}`, { idempotencyKey: "key" })),
        (run) => t.enqueue(run),
        { concurrency: "unbounded" }
      )
      const flat = answers.flat()
      const winner = only(flat.filter(({ _tag }) => _tag === "Started"))
      assert.deepStrictEqual(new Set(flat.map(({ id }) => id)), new Set([winner.id]))
    })),

  check(
    "concurrent inserts of the same runs in opposite orders do not deadlock, and insert each run once",
    (t) =>
      Effect.gen(function*() {
        const runs = Array.from({ length: 50 }, (_, n) => t.newRun(`run-${n}`, { idempotencyKey: `key-${n}` }))
        const answers = yield* Effect.forEach(
          [runs, runs.toReversed(), runs, runs.toReversed()],
          (each) => t.enqueue(...each),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(answers.flat().filter(({ _tag }) => _tag === "Started").length, 50)
      })
  ),

  check("a delayed run is claimed at its instant and not before", (t) =>
    Effect.gen(function*() {
      const run = t.newRun("a", { availableAt: start + 1_000 })
      yield* t.enqueue(run)
      assert.strictEqual((yield* t.record(run)).availableAt, start + 1_000)
      yield* pass(999)
      assert.deepStrictEqual(yield* t.claim([run.queue]), [])
      yield* pass(1)
      yield* t.claimOne(run)
    })),

  check("a run that is available never is never claimed", (t) =>
    Effect.gen(function*() {
      const run = t.newRun("a", { availableAt: Infinity })
      yield* t.enqueue(run)
      assert.strictEqual((yield* t.record(run)).availableAt, Infinity)
      yield* pass(100 * 365 * 86_400_000)
      const answer = yield* t.claimAnswer([run.queue])
      assert.deepStrictEqual(answer, nothing)
    })),

  check("an insert with capacity claims its first new runs that are available now", (t) =>
    Effect.gen(function*() {
      yield* t.enqueue(t.newRun("old"))
      const runs = [
        t.newRun("old"),
        t.newRun("later", { availableAt: start + 1 }),
        t.newRun("a", { availableAt: start }),
        t.newRun("b"),
        t.newRun("c")
      ]
      const answers = yield* value(t.driver.enqueue({ runs, claim: { worker: t.worker, capacity: 2 } }))
      assert.deepStrictEqual(answers.map((answer) => answer._tag === "Started" ? answer.epoch : answer._tag), [
        "Existing",
        null,
        1,
        1,
        null
      ])
      const a = yield* t.record({ id: t.id("a") })
      assert.deepStrictEqual([a.status, a.epoch, a.worker, a.startedAt], ["running", 1, t.worker.id, start])
      const claimed = yield* t.claim(runs.map(({ queue }) => queue))
      assert.deepStrictEqual(claimed.map(({ id }) => id), [t.id("old"), t.id("c")])
    })),

  check(
    "a run that its insert claimed can be committed and released by its worker",
    (t) =>
      Effect.gen(function*() {
        const run = t.newRun("a")
        yield* t.driver.enqueue({ runs: [run], claim: { worker: t.worker, capacity: 1 } })
        const held = { ...run, epoch: 1, nextSeq: 0, seen: 0 }
        yield* t.apply(held, { published: [{ key: "k", value: "1" }] })
        assert.strictEqual((yield* value(t.driver.retire(t.worker))).released, 1)
        yield* t.heartbeat(t.worker, 10_000)
        assert.strictEqual((yield* t.claimOne(run)).epoch, 2)
      })
  ),

  check(
    "an insert without capacity, or in the caller's transaction, claims nothing",
    (t) =>
      Effect.gen(function*() {
        const [a, b] = [t.newRun("a"), t.newRun("b")]
        const none = yield* value(t.driver.enqueue({ runs: [a], claim: { worker: t.worker, capacity: 0 } }))
        assert.deepStrictEqual(none, [{ _tag: "Started", id: a.id, epoch: null }])
        const joined = yield* t.driver.transaction(
          value(t.driver.enqueue({ runs: [b], claim: { worker: t.worker, capacity: 1 } }))
        )
        assert.deepStrictEqual(joined, [{ _tag: "Started", id: b.id, epoch: null }])
        assert.strictEqual((yield* t.claim([a.queue, b.queue])).length, 2)
      })
  )
]
