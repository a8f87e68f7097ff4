/** Forks: runs that start with entries of another run's journal. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Driver from "perdure/JournalDriver"
import type { Fixture } from "../Fixture.js"
import { check, entries, finish, message, pass, payloadOf, signal, start, success, suspend, value } from "../Fixture.js"

const forkAt = (
  t: Fixture,
  source: { readonly id: string },
  seq: number,
  name: string,
  change: Partial<Driver.ForkRequest> = {}
) =>
  value(t.driver.fork({
    source: source.id,
    seq,
    id: t.id(name),
    queue: t.id(`${name}-queue`),
    priority: null,
    action: "fork",
    by: "ann",
    reason: "try again",
    ...change
  }))

const received = (seq: number, name: string, kind: "success" | "failure" = "success"): Driver.Entry => ({
  seq,
  op: seq,
  kind: "receive",
  name,
  exit: { kind, value: kind === "success" ? "1" : null },
  at: start + seq
})

const prefixOf = (history: ReadonlyArray<Driver.HistoryEntry>, seq: number) =>
  history.filter((entry) => entry.seq < seq)

export const fork = [
  check("a fork has the entries of its source below a seq, and continues independently", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("source", {
        idempotencyKey: t.id("key"),
        priority: 3,
        tags: ["blue"],
        attributes: { size: 3 },
        parent: { id: t.id("parent"), token: "x", attached: true },
        root: t.id("parent"),
        depth: 1
      })
      yield* pass(7)
      const last = yield* t.apply(held, { entries: entries(0, 4) })
      const history = yield* t.history(held)
      assert.deepStrictEqual(yield* forkAt(t, held, 2, "fork"), { _tag: "Forked" })
      const record = yield* t.record({ id: t.id("fork") })
      assert.deepStrictEqual(record, {
        ...(yield* t.record(held)),
        id: t.id("fork"),
        status: "pending",
        queue: t.id("fork-queue"),
        idempotencyKey: null,
        parent: null,
        root: t.id("fork"),
        depth: 0,
        source: { run: held.id, seq: 2 },
        epoch: 0,
        nextSeq: 2,
        createdAt: start + 7,
        startedAt: start,
        availableAt: start + 7,
        worker: null
      })
      assert.deepStrictEqual(yield* t.history({ id: t.id("fork") }), prefixOf(history, 2))
      const claimed = yield* t.claimOne({ queue: t.id("fork-queue") })
      assert.deepStrictEqual(claimed.journal, entries(0, 2))
      assert.deepStrictEqual([claimed.seed, claimed.inherited, claimed.epoch, claimed.startedAt, claimed.generation], [
        held.id,
        2,
        1,
        start,
        0
      ])
      yield* t.apply(claimed, { entries: entries(2, 1), transition: finish() })
      yield* t.apply(last, { entries: entries(4, 1) })
      assert.deepStrictEqual((yield* t.history(held)).map(({ seq }) => seq), [0, 1, 2, 3, 4])
      assert.deepStrictEqual((yield* t.history({ id: t.id("fork") })).map(({ seq }) => seq), [0, 1, 2])
      assert.deepStrictEqual(yield* t.status(held), "running")
    })),

  check(
    "a final run can be forked at any seq and stays final, and a repeated fork changes nothing",
    (t) =>
      Effect.gen(function*() {
        const held = yield* t.running("source")
        yield* t.apply(held, { entries: entries(0, 3), transition: finish({ kind: "failure", value: "1" }, "failed") })
        const before = yield* t.everything(held)
        for (const seq of [0, 1, 2, 3]) {
          assert.deepStrictEqual(yield* forkAt(t, held, seq, `fork-${seq}`), { _tag: "Forked" })
          assert.deepStrictEqual(yield* forkAt(t, held, 0, `fork-${seq}`), { _tag: "Existing" })
          const claimed = yield* t.claimOne({ queue: t.id(`fork-${seq}-queue`) })
          assert.deepStrictEqual([claimed.journal, claimed.nextSeq], [entries(0, seq), seq])
        }
        assert.deepStrictEqual(yield* t.everything(held), before)
        const again = yield* forkAt(t, { id: t.id("fork-2") }, 1, "again", { priority: 9, queue: null })
        assert.deepStrictEqual(again, { _tag: "Forked" })
        const [first] = yield* t.claim([t.id("fork-2-queue")], { limit: 1 })
        assert.deepStrictEqual([first?.id, first?.seed, first?.priority], [t.id("again"), held.id, 9])
      })
  ),

  check("a fork of an unknown run, or beyond its entries, inserts nothing", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("source")
      const after = yield* t.apply(held, { entries: entries(0, 2) })
      assert.deepStrictEqual(yield* forkAt(t, { id: t.id("unknown") }, 0, "fork"), { _tag: "NoSuchRun" })
      const range = { _tag: "OutOfRange", first: 0, next: 2 } as const
      assert.deepStrictEqual(yield* forkAt(t, held, 3, "fork"), range)
      assert.deepStrictEqual(yield* forkAt(t, held, -1, "fork"), range)
      yield* t.apply(after, {
        entries: entries(2, 1),
        transition: { _tag: "Continue", payload: "\"next\"", at: start }
      })
      assert.deepStrictEqual(yield* forkAt(t, held, 2, "fork"), { _tag: "OutOfRange", first: 3, next: 3 })
      assert.deepStrictEqual(yield* t.find(t.id("fork")), [])
      assert.deepStrictEqual(yield* value(t.driver.controls(held.id)), [])
      assert.deepStrictEqual(yield* forkAt(t, held, 3, "fork"), { _tag: "Forked" })
      const record = yield* t.record({ id: t.id("fork") })
      assert.deepStrictEqual([record.generation, record.payload, record.nextSeq], [1, "\"next\"", 3])
    })),

  check(
    "a fork's inbox has, in order, the signals that its entries have not received, and no other message",
    (t) =>
      Effect.gen(function*() {
        const held = yield* t.running("source")
        const sent = ["x", "y", "x", "x"].map((name) => signal(held.id, name))
        yield* t.deliver(...sent)
        yield* t.deliver(
          signal(held.id, "cb", { kind: "callback" }),
          message("child", held.id, "token"),
          message("cancel", held.id, "cancel")
        )
        const inbox = yield* t.inbox(held)
        yield* t.apply({ ...held, seen: inbox.seen }, {
          entries: [received(0, "x"), received(1, "z", "failure"), received(2, "x")],
          consumed: inbox.messages.filter(({ name }) => name === "x").slice(0, 2).map(({ ordinal }) => ordinal)
        })
        yield* pass(5)
        const expected: ReadonlyArray<readonly [seq: number, left: ReadonlyArray<number>]> = [
          [0, [0, 1, 2, 3]],
          [1, [1, 2, 3]],
          [2, [1, 2, 3]],
          [3, [1, 3]]
        ]
        for (const [seq, left] of expected) {
          yield* forkAt(t, held, seq, `fork-${seq}`)
          const { messages } = yield* t.inbox({ id: t.id(`fork-${seq}`) })
          assert.deepStrictEqual(
            messages.map((each) => ({ at: each.at, kind: each.kind, name: each.name, payload: payloadOf(each) })),
            left.flatMap((index) => sent[index] ?? []).map(({ kind, name, payload }) => ({
              at: start,
              kind,
              name,
              payload
            }))
          )
          const claimed = yield* t.claimOne({ queue: t.id(`fork-${seq}-queue`) })
          assert.deepStrictEqual(claimed.inbox, messages)
          const next = yield* t.apply(claimed, { consumed: messages.slice(0, 1).map(({ ordinal }) => ordinal) })
          assert.strictEqual((yield* t.inbox(next)).messages.length, left.length - 1)
          assert.deepStrictEqual(yield* t.deliver({ ...signal(next.id, "x"), id: sent[3]?.id ?? "" }), ["Duplicate"])
          assert.deepStrictEqual(yield* t.deliver(signal(next.id, "x")), ["Buffered"])
        }
      })
  ),

  check("a fork is recorded in the controls of both runs", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("source")
      yield* t.apply(held, { transition: suspend(Infinity) })
      yield* forkAt(t, held, 0, "fork", { action: "retry" })
      yield* forkAt(t, held, 0, "fork", { action: "retry" })
      const done = { action: "retry", by: "ann", reason: "try again", at: start } as const
      assert.deepStrictEqual(yield* value(t.driver.controls(held.id)), [{ ...done, related: t.id("fork") }])
      assert.deepStrictEqual(yield* value(t.driver.controls(t.id("fork"))), [{ ...done, related: held.id }])
    })),

  check("a fork that is rolled back does not exist", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("source")
      yield* t.apply(held, { entries: [{ ...received(0, "x"), exit: success(1) }] })
      yield* Effect.ignore(t.driver.transaction(Effect.zipRight(forkAt(t, held, 1, "fork"), Effect.fail("undone"))))
      assert.deepStrictEqual(yield* t.find(t.id("fork")), [])
      assert.deepStrictEqual(yield* value(t.driver.controls(held.id)), [])
      assert.deepStrictEqual(yield* forkAt(t, held, 1, "fork"), { _tag: "Forked" })
    }))
]
