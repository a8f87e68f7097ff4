/**
 * Rule 7: a request is repeated because its answer was lost. It changes nothing, and its result is equivalent: a stored
 * message can be a `Duplicate`, a started run `Existing`.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { CommitResult, Disposition, RunCommit, Transition } from "perdure/JournalDriver"
import { check, commitOf, entries, finish, now, pass, signal, start, success, suspend, value } from "../Fixture.js"

const stored: ReadonlySet<Disposition> = new Set<Disposition>(["Delivered", "Buffered", "Duplicate"])

const meaning = (committed: CommitResult) =>
  committed._tag === "Applied"
    ? { _tag: "Applied", dispositions: committed.dispositions.map((each) => stored.has(each) ? "stored" : each) }
    : committed

const transitions: ReadonlyArray<readonly [string, Transition | null]> = [
  ["keeps the run running", null],
  ["suspends", suspend(start + 1_000, "signal:y")],
  ["suspends until now", suspend(start)],
  ["completes", finish()],
  ["fails", finish({ kind: "failure", value: "{}" }, "failed")],
  ["continues as new", { _tag: "Continue", payload: "{\"next\":1}", at: start + 1 }],
  ["diverges", { _tag: "Diverge", detail: "{}" }],
  ["releases the run", { _tag: "Release", at: start + 1 }]
]

/** A case: a commit with these parts is sent twice, at two instants. */
const twice = (name: string, parts: Partial<RunCommit>) =>
  check(`a commit that ${name} changes nothing when it is repeated`, (t) =>
    Effect.gen(function*() {
      const parent = yield* t.running("parent")
      const friend = yield* t.running("friend")
      const held = yield* t.running("a", { parent: { id: parent.id, token: "token", attached: true } })
      yield* t.deliver(signal(held.id, "read"))
      const { messages, seen } = yield* t.inbox(held)
      const commit = commitOf({ ...held, seen }, {
        consumed: messages.map(({ ordinal }) => ordinal),
        children: [t.newChild(held, "child")],
        messages: [signal(friend.id, "x"), signal(t.id("unknown"), "x")],
        closes: ["read"],
        ...parts
      })
      const runs = [parent, friend, held, { id: t.id("child") }]
      const first = yield* t.commitAll([commit])
      assert.strictEqual(first[0]?._tag, "Applied")
      const before = yield* Effect.forEach(runs, (run) => t.everything(run))
      yield* pass(10)
      const second = yield* t.commitAll([commit])
      assert.deepStrictEqual(second.map(meaning), first.map(meaning))
      assert.deepStrictEqual(yield* Effect.forEach(runs, (run) => t.everything(run)), before)
    }))

export const repeats = [
  ...transitions.flatMap(([name, transition]) => [
    twice(name, { entries: entries(0, 2), published: [{ key: "k", value: "1" }], transition }),
    twice(`${name} without entries`, { transition })
  ]),

  check("a repeated commit is lost after the next claim of the run", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      const first = commitOf(held, { entries: entries(0, 1), transition: suspend(start) })
      yield* t.commitAll([first])
      const again = yield* t.claimOne(held)
      assert.deepStrictEqual(yield* t.commitAll([first]), [{ _tag: "Lost" }])
      yield* t.apply(again, { entries: entries(1, 1) })
      assert.deepStrictEqual(yield* t.commitAll([first]), [{ _tag: "Lost" }])
      assert.strictEqual((yield* t.history(held)).length, 2)
    })),

  check("a commit at the place of an applied one with other content is lost", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      yield* t.apply(held, { entries: entries(0, 1) })
      const other = entries(0, 1).map((entry) => ({ ...entry, op: 99, name: "other", exit: success("other") }))
      assert.deepStrictEqual(yield* t.commit(held, { entries: other }), { _tag: "Lost" })
    })),

  check("a batch can have repeated and new commits", (t) =>
    Effect.gen(function*() {
      const [a, b] = yield* Effect.all([t.running("a"), t.running("b")])
      const first = commitOf(a, { entries: entries(0, 1), transition: finish() })
      yield* t.commitAll([first])
      const answers = yield* t.commitAll([first, commitOf(b, { entries: entries(0, 1) })])
      assert.deepStrictEqual(answers.map(({ _tag }) => _tag), ["Applied", "Applied"])
    })),

  check("an insert changes nothing when it is repeated", (t) =>
    Effect.gen(function*() {
      const runs = ["a", "b", "c"].map((name) => t.newRun(name, { idempotencyKey: name }))
      const request = { runs, claim: { worker: t.worker, capacity: 2 } }
      yield* t.driver.enqueue(request)
      const before = yield* Effect.forEach(runs, (run) => t.everything(run))
      yield* pass(10)
      const again = yield* value(t.driver.enqueue(request))
      assert.deepStrictEqual(
        again.map((answer) =>
          answer._tag === "Existing"
            ? [answer.id, answer.payload]
            : [answer.id, answer._tag === "Started" ? answer.epoch : answer._tag]
        ),
        runs.map(({ id, payload }, n) => [id, again[n]?._tag === "Existing" ? payload : n < 2 ? 1 : null])
      )
      assert.deepStrictEqual(yield* Effect.forEach(runs, (run) => t.everything(run)), before)
    })),

  check("a delivery changes nothing when it is repeated", (t) =>
    Effect.gen(function*() {
      const asleep = yield* t.suspended("asleep", Infinity, "signal:x")
      const awake = yield* t.running("awake")
      const sent = [signal(asleep.id, "x"), signal(awake.id, "x"), signal(t.id("unknown"), "x")]
      assert.deepStrictEqual(yield* t.deliver(...sent), ["Delivered", "Buffered", "NoSuchRun"])
      const before = yield* Effect.forEach([asleep, awake], (run) => t.everything(run))
      yield* pass(10)
      assert.deepStrictEqual(yield* t.deliver(...sent), ["Duplicate", "Duplicate", "NoSuchRun"])
      assert.deepStrictEqual(yield* Effect.forEach([asleep, awake], (run) => t.everything(run)), before)
    })),

  check(
    "a repeated delivery is a duplicate after the run closed the window and after it ended",
    (t) =>
      Effect.gen(function*() {
        const held = yield* t.running("a")
        const sent = signal(held.id, "x")
        yield* t.deliver(sent)
        const { seen } = yield* t.inbox(held)
        const next = yield* t.apply({ ...held, seen }, { closes: ["x"], entries: entries(0, 1) })
        assert.deepStrictEqual(yield* t.deliver(sent), ["Duplicate"])
        yield* t.apply(next, { transition: finish() })
        assert.deepStrictEqual(yield* t.deliver(sent), ["Duplicate"])
      })
  ),

  check(
    "a repeated claim finds nothing, and a reconciliation releases the runs of the first",
    (t) =>
      Effect.gen(function*() {
        const run = t.newRun("a")
        yield* t.enqueue(run)
        yield* t.claimOne(run)
        assert.deepStrictEqual(yield* t.claim([run.queue]), [])
        yield* pass(10)
        yield* t.driver.reconcile({ worker: t.worker, held: [], claimedBefore: yield* now })
        assert.strictEqual((yield* t.claimOne(run)).epoch, 2)
      })
  ),

  check(
    "a heartbeat, reconciliation, retire, terminate, resume and reaping change nothing when they are repeated",
    (t) =>
      Effect.gen(function*() {
        yield* t.sweep
        const worker = yield* t.workerWith("w", 1_000)
        yield* t.running("held", {}, worker)
        const doomed = yield* t.running("doomed")
        const diverged = yield* t.running("diverged")
        yield* t.apply(diverged, { transition: { _tag: "Diverge", detail: "{}" } })
        const runs = [doomed, diverged, { id: t.id("held") }]
        const operations: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
          t.heartbeat(worker, 1_000),
          t.driver.terminate({ runs: [doomed.id], by: null, reason: null }),
          t.driver.resume({ runs: [diverged.id], by: null, reason: null }),
          t.driver.reconcile({ worker, held: [], claimedBefore: start + 1 }),
          t.driver.retire(worker),
          t.driver.reap({ limit: 100, maxCrashes: 3 })
        ]
        for (const operation of operations) {
          yield* operation
          const before = yield* Effect.forEach(runs, (run) => t.everything(run))
          yield* pass(1)
          yield* operation
          assert.deepStrictEqual(yield* Effect.forEach(runs, (run) => t.everything(run)), before)
        }
      })
  )
]
