/** Rule 1: a commit is fenced by epoch, sequence number and state, and applied whole or not at all. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { RunCommit, Transition } from "perdure/JournalDriver"
import type { Fixture, Held } from "../Fixture.js"
import { check, commitOf, entries, finish, only, pass, signal, start, success, suspend, value } from "../Fixture.js"

/** A commit with every part, and the number of rows that were written of each part. */
const everything = Effect.fnUntraced(function*(t: Fixture, held: Held) {
  const friend = yield* t.running("friend")
  yield* t.deliver(signal(held.id, "read"))
  const { messages, seen } = yield* t.inbox(held)
  const child = t.newChild(held, "child")
  const commit: Partial<RunCommit> = {
    entries: entries(held.nextSeq, 2),
    consumed: messages.map(({ ordinal }) => ordinal),
    children: [child],
    messages: [signal(friend.id, "hello")],
    published: [{ key: "k", value: "1" }],
    closes: ["closed"],
    seen
  }
  const written = Effect.gen(function*() {
    return {
      entries: (yield* t.history(held)).length,
      unread: (yield* t.messages(held)).length,
      children: (yield* t.find(child.id)).length,
      messages: (yield* t.messages(friend)).length,
      published: (yield* t.published(held)).length
    }
  })
  return { commit, written }
})

const nothing = { entries: 0, unread: 1, children: 0, messages: 0, published: 0 }
const all = { entries: 2, unread: 0, children: 1, messages: 1, published: 1 }

/** A case: a commit with every part is lost and writes nothing after `spoil`. */
const lost = (name: string, spoil: (t: Fixture, held: Held) => Effect.Effect<Held, unknown>) =>
  check(`a commit is lost, and writes nothing, ${name}`, (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      const { commit, written } = yield* everything(t, held)
      const spoiled = yield* spoil(t, held)
      const before = yield* t.everything(held)
      assert.deepStrictEqual(yield* t.commit(spoiled, commit), { _tag: "Lost" })
      assert.deepStrictEqual(yield* written, nothing)
      assert.deepStrictEqual(yield* t.everything(held), before)
    }))

const after = (transition: Transition) => (t: Fixture, held: Held) =>
  t.inbox(held).pipe(
    Effect.flatMap(({ seen }) => t.apply(held, { seen, transition })),
    Effect.as(held)
  )

export const commit = [
  check("an applied commit writes all of its parts", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      const { commit, written } = yield* everything(t, held)
      assert.deepStrictEqual(yield* t.commit(held, commit), { _tag: "Applied", dispositions: ["Buffered"], news: null })
      assert.deepStrictEqual(yield* written, all)
      assert.deepStrictEqual(yield* t.deliver(signal(held.id, "closed")), ["Expired"])
      const record = yield* t.record(held)
      assert.deepStrictEqual([record.status, record.nextSeq, record.epoch], ["running", 2, 1])
    })),

  check("an entry is stored with the worker and epoch that wrote it", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      const next = yield* t.apply(held, { entries: entries(0, 2) })
      yield* t.apply(next, { transition: { _tag: "Release", at: start } })
      const other = yield* t.workerWith("other", 1_000)
      const again = yield* t.claimOne(held, { worker: other })
      yield* t.driver.commit({ worker: other, commits: [commitOf(again, { entries: entries(2, 1) })] })
      assert.deepStrictEqual(yield* t.history(held), [
        ...entries(0, 2).map((entry) => ({ ...entry, worker: t.worker.id, epoch: 1 })),
        ...entries(2, 1).map((entry) => ({ ...entry, worker: other.id, epoch: 2 }))
      ])
    })),

  check("commits of one run follow each other, and an empty commit changes nothing", (t) =>
    Effect.gen(function*() {
      let held: Held = yield* t.running("a")
      for (const count of [1, 0, 3, 0, 2]) held = yield* t.apply(held, { entries: entries(held.nextSeq, count) })
      assert.strictEqual(held.nextSeq, 6)
      assert.deepStrictEqual((yield* t.history(held)).map(({ seq }) => seq), [0, 1, 2, 3, 4, 5])
      assert.strictEqual((yield* t.record(held)).nextSeq, 6)
    })),

  lost("at an older epoch", (_, held) => Effect.succeed({ ...held, epoch: 0 })),
  lost("at a later epoch", (_, held) => Effect.succeed({ ...held, epoch: held.epoch + 1 })),
  lost("beyond the next sequence number", (_, held) => Effect.succeed({ ...held, nextSeq: 1 })),
  lost("while the run is suspended", after(suspend(start + 10))),
  lost("after the run was released", after({ _tag: "Release", at: start })),
  lost("after the run has diverged", after({ _tag: "Diverge", detail: "{}" })),
  lost("after the run is final", after(finish())),
  lost(
    "after the run was terminated",
    (t, held) => Effect.as(t.driver.terminate({ runs: [held.id], by: null, reason: null }), held)
  ),
  lost("after the worker has retired", (t, held) => Effect.as(t.driver.retire(t.worker), held)),
  lost("after another claim", (t, held) =>
    Effect.gen(function*() {
      yield* t.driver.retire(t.worker)
      yield* t.claimOne(held, { worker: yield* t.workerWith("next", 10_000) })
      return held
    })),
  lost("by a run that does not exist", (t, held) => Effect.succeed({ ...held, id: t.id("unknown") })),

  check(
    "a commit before the next sequence number is lost and leaves the journal unchanged",
    (t) =>
      Effect.gen(function*() {
        const held = yield* t.running("a")
        yield* t.apply(held, { entries: entries(0, 3) })
        const before = yield* t.everything(held)
        const other = { seq: 0, op: 9, kind: "step", name: "other", exit: success("other"), at: start }
        for (const from of [0, 1, 2]) {
          const stale = yield* t.commit({ ...held, nextSeq: from }, { entries: [{ ...other, seq: from }] })
          assert.deepStrictEqual(stale, { _tag: "Lost" })
        }
        assert.deepStrictEqual(yield* t.everything(held), before)
      })
  ),

  check(
    "a worker whose lease ran out is fenced after the reaping and after the next claim",
    (t) =>
      Effect.gen(function*() {
        yield* t.sweep
        const zombie = yield* t.workerWith("zombie", 1_000)
        const held = yield* t.running("a", {}, zombie)
        yield* pass(1_001)
        yield* t.reapAll()
        assert.strictEqual((yield* t.commit(held, { entries: entries(0, 1) }))._tag, "Lost")
        const again = yield* t.claimOne(held)
        assert.strictEqual((yield* t.commit(held, { entries: entries(0, 1) }))._tag, "Lost")
        assert.deepStrictEqual(yield* t.history(held), [])
        yield* t.apply(again, { entries: entries(0, 1) })
        assert.strictEqual((yield* t.commit(held, { entries: entries(0, 1) }))._tag, "Lost")
        assert.strictEqual((yield* t.history(held)).length, 1)
      })
  ),

  check(
    "each commit of a batch is applied or refused alone, with results in the order of the request",
    (t) =>
      Effect.gen(function*() {
        const held = yield* Effect.forEach(["c", "a", "d", "b"], (name) => t.running(name))
        const [c, a, d, b] = held
        assert.isTrue(c !== undefined && a !== undefined && d !== undefined && b !== undefined)
        if (c === undefined || a === undefined || d === undefined || b === undefined) return
        yield* t.deliver(signal(d.id, "unseen"))
        const answers = yield* t.commitAll([
          commitOf(c, { entries: entries(0, 1) }),
          commitOf({ ...a, epoch: 9 }, { entries: entries(0, 1) }),
          commitOf(d, { transition: suspend(Infinity) }),
          commitOf(b, { messages: [signal(c.id, "x"), signal(t.id("unknown"), "x")] })
        ])
        assert.deepStrictEqual(answers, [
          { _tag: "Applied", dispositions: [], news: null },
          { _tag: "Lost" },
          { _tag: "Unseen" },
          { _tag: "Applied", dispositions: ["Buffered", "NoSuchRun"], news: null }
        ])
        const lengths = yield* Effect.forEach(held, (run) => Effect.map(t.history(run), (history) => history.length))
        assert.deepStrictEqual(lengths, [1, 0, 0, 0])
      })
  ),

  check("a batch without commits has no results", (t) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* t.commitAll([]), [])
    })),

  check("a batch with commits of 300 runs is applied", (t) =>
    Effect.gen(function*() {
      const queue = t.id("queue")
      yield* t.enqueue(...Array.from({ length: 300 }, (_, n) => t.newRun(`run-${n}`, { queue })))
      const held = yield* t.claim([queue], { limit: 300 })
      const answers = yield* t.commitAll(
        held.map((run, n) => commitOf(run, { entries: entries(0, n % 4), transition: n % 2 === 0 ? finish() : null }))
      )
      assert.strictEqual(answers.filter(({ _tag }) => _tag === "Applied").length, 300)
      const records = yield* value(t.driver.get(held.map(({ id }) => id)))
      const shown = new Map(records.map((record) => [record.id, `${record.status} ${record.nextSeq}`]))
      assert.deepStrictEqual(
        held.map(({ id }) => shown.get(id)),
        held.map((_, n) => `${n % 2 === 0 ? "completed" : "running"} ${n % 4}`)
      )
    })),

  check("of concurrent commits at one sequence number, one is applied", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      const answers = yield* Effect.forEach(
        ["x", "y", "z"],
        (name) => t.commit(held, { entries: [{ ...only(entries(0, 1)), name }] }),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(answers.map(({ _tag }) => _tag).toSorted(), ["Applied", "Lost", "Lost"])
      assert.strictEqual((yield* t.history(held)).length, 1)
    })),

  check(
    "concurrent batches that change the same runs in opposite orders do not deadlock",
    (t) =>
      Effect.gen(function*() {
        const held = yield* Effect.forEach(Array.from({ length: 20 }, (_, n) => `run-${n}`), (name) => t.running(name))
        const ring = held.map((run, n) =>
          commitOf(run, {
            messages: [signal(held[(n + 7) % 20]?.id ?? "", "x"), signal(held[(n + 3) % 20]?.id ?? "", "y")]
          })
        )
        const deliveries = held.map(({ id }) => signal(id, "z"))
        yield* Effect.all([
          t.commitAll(ring.slice(0, 10)),
          t.deliver(...deliveries),
          t.commitAll(ring.slice(10).toReversed()),
          t.deliver(...deliveries.toReversed().map((message) => ({ ...message, id: `${message.id}-again` }))),
          t.driver.terminate({ runs: [held[4]?.id ?? ""], by: null, reason: null })
        ], { concurrency: "unbounded" })
        const counts = yield* Effect.forEach(
          held.filter((_, n) => n !== 4),
          (run) => Effect.map(t.messages(run), (messages) => messages.filter(({ name }) => name === "z").length)
        )
        assert.deepStrictEqual(new Set(counts), new Set([2]))
      })
  )
]
