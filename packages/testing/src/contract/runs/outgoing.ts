/** Rule 3: children, messages and the message to the parent are part of the commit that causes them. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { EncodedExit } from "perdure/JournalDriver"
import {
  check,
  commitOf,
  endingOf,
  entries,
  finish,
  message,
  only,
  pass,
  signal,
  start,
  success,
  suspend
} from "../Fixture.js"

const fails: EncodedExit = { kind: "failure", value: "{\"_tag\":\"Rejected\"}" }

export const outgoing = [
  check("children of a commit are inserted like enqueued runs", (t) =>
    Effect.gen(function*() {
      const parent = yield* t.running("parent")
      yield* pass(5)
      const now = t.newChild(parent, "now", { priority: 3 })
      const later = t.newChild(parent, "later", { availableAt: start + 1_000, parent: null })
      yield* t.apply(parent, { children: [now, later], transition: suspend(Infinity, "child:token-now") })
      const record = yield* t.record(now)
      assert.deepStrictEqual(
        [
          record.status,
          record.createdAt,
          record.availableAt,
          record.parent,
          record.root,
          record.depth,
          record.priority
        ],
        ["pending", start + 5, start + 5, now.parent, parent.id, 1, 3]
      )
      assert.deepStrictEqual(
        (yield* t.claim([now.queue, later.queue])).map(({ id, payload }) => [id, payload]),
        [[now.id, now.payload]]
      )
      yield* pass(1_000)
      yield* t.claimOne(later)
    })),

  check("a child that exists, by id or by idempotency key, stays unchanged", (t) =>
    Effect.gen(function*() {
      const parent = yield* t.running("parent")
      const child = t.newChild(parent, "child", { idempotencyKey: "key" })
      const next = yield* t.apply(parent, { children: [child], entries: entries(0, 1) })
      const held = yield* t.claimOne(child)
      const before = yield* t.everything(child)
      yield* t.apply(next, {
        children: [
          { ...child, payload: "2", idempotencyKey: null },
          t.newChild(parent, "other", { idempotencyKey: "key" }),
          t.newChild(parent, "new")
        ]
      })
      assert.deepStrictEqual(yield* t.everything(child), before)
      assert.deepStrictEqual(yield* t.find(t.id("other")), [])
      assert.strictEqual((yield* t.find(t.id("new"))).length, 1)
      yield* t.apply(held, { transition: finish() })
    })),

  check("a commit inserts 100 children", (t) =>
    Effect.gen(function*() {
      const parent = yield* t.running("parent")
      const queue = t.id("children")
      const children = Array.from({ length: 100 }, (_, n) => t.newChild(parent, `child-${n}`, { queue }))
      yield* t.apply(parent, {
        children,
        transition: suspend(Infinity, ...children.map((c) => `child:${c.parent?.token}`))
      })
      assert.strictEqual((yield* t.claim([queue])).length, 100)
    })),

  check("messages of a commit have dispositions in order", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("sender")
      const awake = yield* t.running("awake")
      const asleep = yield* t.suspended("asleep", Infinity, "signal:x")
      const closed = yield* t.running("closed")
      yield* t.apply(closed, { closes: ["x"] })
      const first = signal(awake.id, "x")
      const { dispositions } = yield* t.apply(held, {
        messages: [
          signal(closed.id, "x"),
          first,
          signal(t.id("unknown"), "x"),
          first,
          signal(asleep.id, "x"),
          signal(asleep.id, "y")
        ]
      })
      assert.deepStrictEqual(dispositions, ["Expired", "Buffered", "NoSuchRun", "Duplicate", "Delivered", "Buffered"])
      assert.deepStrictEqual((yield* t.claimOne(asleep)).inbox.map(({ name }) => name), ["x", "y"])
    })),

  check("a message to a child of the same commit is delivered to it", (t) =>
    Effect.gen(function*() {
      const parent = yield* t.running("parent")
      const child = t.newChild(parent, "child")
      const { dispositions } = yield* t.apply(parent, {
        children: [child],
        messages: [signal(child.id, "x"), message("cancel", child.id, "")]
      })
      assert.deepStrictEqual(dispositions, ["Buffered", "Delivered"])
      assert.deepStrictEqual((yield* t.claimOne(child)).inbox.map(({ kind }) => kind), ["signal", "cancel"])
    })),

  check("a run that sends itself a message while it suspends is woken", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      yield* t.apply(held, { messages: [signal(held.id, "x")], transition: suspend(Infinity, "signal:x") })
      assert.strictEqual((yield* t.claimOne(held)).inbox.length, 1)
    })),

  check("a message in two commits of one batch is stored once", (t) =>
    Effect.gen(function*() {
      const [a, b, to] = yield* Effect.all([t.running("a"), t.running("b"), t.running("to")])
      const sent = signal(to.id, "x")
      const answers = yield* t.commitAll([commitOf(a, { messages: [sent] }), commitOf(b, { messages: [sent] })])
      const dispositions = answers.flatMap((answer) => answer._tag === "Applied" ? answer.dispositions : [])
      assert.deepStrictEqual(dispositions.toSorted(), ["Buffered", "Duplicate"])
      assert.strictEqual((yield* t.messages(to)).length, 1)
    })),

  check("the end of a child sends its parent a message with its status and exit", (t) =>
    Effect.gen(function*() {
      const ends = [
        ["completed", success({ ok: true })],
        ["completed", { kind: "success", value: null }],
        ["failed", fails],
        ["failed", { kind: "defect", value: "\"boom\"" }],
        ["cancelled", { kind: "interrupt", value: null }]
      ] as const
      const parent = yield* t.running("parent")
      for (const [index, [status, exit]] of ends.entries()) {
        const child = yield* t.running(`child-${index}`, {
          parent: { id: parent.id, token: `#${index}`, attached: false }
        })
        yield* t.apply(child, { entries: entries(0, 1), transition: finish(exit, status) })
        const message = (yield* t.inbox(parent)).messages.at(-1)
        assert.deepStrictEqual([message?.kind, message?.name, message?.at], ["child", `#${index}`, start])
        assert.deepStrictEqual(message === undefined ? null : endingOf(message), {
          child: child.id,
          status,
          exit,
          endCause: null
        })
      }
      assert.strictEqual((yield* t.inbox(parent)).messages.length, ends.length)
    })),

  check(
    "the end of a child wakes a parent that waits for it, and no parent that waits for another child",
    (t) =>
      Effect.gen(function*() {
        const parent = yield* t.running("parent")
        const children = ["a", "b"].map((name) => t.newChild(parent, name))
        yield* t.apply(parent, { children, transition: suspend(Infinity, "child:token-a") })
        const [a, b] = yield* Effect.all([
          t.claimOne({ queue: t.id("a-queue") }),
          t.claimOne({ queue: t.id("b-queue") })
        ])
        yield* t.apply(b, { transition: finish() })
        assert.deepStrictEqual(yield* t.claim([parent.queue]), [])
        yield* t.apply(a, { transition: finish() })
        const again = yield* t.claimOne(parent)
        assert.deepStrictEqual(again.inbox.map(({ name }) => name), ["token-b", "token-a"])
      })
  ),

  check("two children that end in one batch send their parent two messages", (t) =>
    Effect.gen(function*() {
      const parent = yield* t.running("parent")
      const children = ["a", "b"].map((name) => t.newChild(parent, name))
      yield* t.apply(parent, { children, transition: suspend(Infinity, "child:token-a", "child:token-b") })
      const held = yield* t.claim(children.map(({ queue }) => queue))
      const answers = yield* t.commitAll(held.map((run) => commitOf(run, { transition: finish() })))
      assert.deepStrictEqual(answers.map(({ _tag }) => _tag), ["Applied", "Applied"])
      const { inbox } = yield* t.claimOne(parent)
      assert.deepStrictEqual(inbox.map(({ name }) => name).toSorted(), ["token-a", "token-b"])
    })),

  check("a parent that suspends in the batch in which its child ends is woken", (t) =>
    Effect.gen(function*() {
      const parent = yield* t.running("parent")
      const child = t.newChild(parent, "child")
      const next = yield* t.apply(parent, { children: [child] })
      const held = yield* t.claimOne(child)
      const [slept, ended] = yield* t.commitAll([
        commitOf(next, { transition: suspend(Infinity, "child:token-child") }),
        commitOf(held, { transition: finish() })
      ])
      assert.strictEqual(ended?._tag, "Applied")
      const told = slept?._tag === "Applied"
        ? (yield* t.claimOne(parent)).inbox
        : (yield* t.inbox(parent)).messages
      assert.deepStrictEqual(told.map(({ name }) => name), ["token-child"])
    })),

  check("a child ends even if its parent is final or does not exist", (t) =>
    Effect.gen(function*() {
      const parent = yield* t.running("parent")
      const child = yield* t.running("child", { parent: { id: parent.id, token: "x", attached: false } })
      const orphan = yield* t.running("orphan", { parent: { id: t.id("unknown"), token: "x", attached: true } })
      yield* t.apply(parent, { transition: finish() })
      yield* t.apply(child, { transition: finish() })
      yield* t.apply(orphan, { transition: finish() })
      assert.deepStrictEqual(yield* t.messages(parent), [])
      assert.strictEqual(yield* t.status(child), "completed")
      assert.strictEqual(yield* t.status(orphan), "completed")
    })),

  check("a commit that is lost or unseen sends no message and inserts no child", (t) =>
    Effect.gen(function*() {
      const parent = yield* t.running("parent")
      const child = yield* t.running("child", { parent: { id: parent.id, token: "x", attached: true } })
      const change = { messages: [signal(parent.id, "y")], children: [t.newChild(child, "grandchild")] }
      yield* t.commit({ ...child, epoch: 9 }, { ...change, transition: finish() })
      yield* t.commit({ ...child, nextSeq: 9 }, { ...change, transition: finish() })
      yield* t.deliver(signal(child.id, "unseen"))
      yield* t.commit(child, { ...change, transition: suspend(start) })
      assert.deepStrictEqual(yield* t.messages(parent), [])
      assert.deepStrictEqual(yield* t.find(t.id("grandchild")), [])
      assert.strictEqual(yield* t.status(child), "running")
    })),

  check("the end of a child that is committed twice sends its parent one message", (t) =>
    Effect.gen(function*() {
      const parent = yield* t.running("parent")
      const child = yield* t.running("child", { parent: { id: parent.id, token: "x", attached: true } })
      yield* t.commit(child, { transition: finish() })
      yield* t.commit(child, { transition: finish() })
      yield* t.commit(child, { transition: finish(fails, "failed") })
      assert.strictEqual(only(yield* t.messages(parent)).name, "x")
      assert.strictEqual(yield* t.status(child), "completed")
    }))
]
