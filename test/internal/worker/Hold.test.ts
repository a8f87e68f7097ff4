/** A hold, driven by events in each order. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { CommitResult, Message } from "perdure/JournalDriver"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import { HandHeld, handHeld as hold } from "../../fixtures/handHeld.js"

const Note = Signal.make("Note", { payload: Schema.Number })

const note = (ordinal: number): Message => ({ run: "r", ordinal, kind: "signal", name: "Note", payload: "7", at: 0 })

const cancel = (ordinal: number): Message => ({
  run: "r",
  ordinal,
  kind: "cancel",
  name: "cancel",
  by: null,
  reason: null,
  at: 0
})

const applied: CommitResult = { _tag: "Applied", dispositions: [], news: null }

const number = { success: Schema.Number }

describe("a hold", () => {
  it.effect("speculates, but starts no body before everything that it follows from is durable", () =>
    Effect.gen(function*() {
      const { finish, held, news } = yield* hold(() =>
        Effect.flatMap(Step.run("a", Effect.succeed(1), number), (a) => Step.run("b", Effect.succeed(a + 1), number))
      )
      assert.deepStrictEqual(news(), ["body a"], "the first body needs no commit")
      finish("a", 1)
      assert.deepStrictEqual(news(), ["commit"])
      const { commit } = held.takeCommit()
      assert.deepStrictEqual(commit.entries.map(({ name, seq }) => [seq, name]), [[0, "a"]])
      assert.deepStrictEqual(news(), [])
      held.committed(applied)
      assert.deepStrictEqual(news(), ["body b"])
      finish("b", 2)
      const last = held.takeCommit().commit
      assert.deepStrictEqual(last.transition, {
        _tag: "Finish",
        status: "completed",
        exit: { kind: "success", value: "2" },
        errorCode: null
      })
      assert.strictEqual(held.state, "leaving")
      held.committed(applied)
      assert.strictEqual(held.state, "gone")
      assert.deepStrictEqual(news(), ["commit", "ended completed"])
    }))

  it.effect("suspends a run that waits for a message after the linger, unless unseen messages exist", () =>
    Effect.gen(function*() {
      const { held, news, state } = yield* hold(() => Note.receive)
      assert.strictEqual(held.state, "idle")
      assert.deepStrictEqual(news(), ["wake 1000"])
      state.now = 1000
      held.advance()
      assert.deepStrictEqual(news(), ["commit"])
      const { commit } = held.takeCommit()
      assert.deepInclude(commit.transition, { _tag: "Suspend", until: Infinity })
      assert.include(commit.transition?._tag === "Suspend" ? commit.transition.waiting : [], "signal:Note")
      held.committed({ _tag: "Unseen" })
      assert.deepStrictEqual(news(), ["inbox"])
      held.receive({ messages: [note(1)], seen: 1, pausing: false }, held.run)
      assert.deepStrictEqual(news(), ["commit"])
      const next = held.takeCommit().commit
      assert.deepInclude(next, { consumed: [1], seen: 1, from: 0 })
      assert.strictEqual(next.transition?._tag, "Finish")
    }))

  it.effect("hands back a run whose program ended before it read a cancel, without the entries of the end", () =>
    Effect.gen(function*() {
      const { finish, held, news } = yield* hold(() => Step.run("a", Effect.succeed(1), number))
      finish("a", 1)
      assert.deepInclude(held.takeCommit().commit.transition, { _tag: "Finish", status: "completed" })
      held.committed({ _tag: "Unseen" })
      assert.deepStrictEqual(news(), ["body a", "commit", "inbox"])
      held.receive({ messages: [cancel(1)], seen: 1, pausing: false }, held.run)
      assert.deepInclude(held.takeCommit().commit, { entries: [], transition: { _tag: "Release", at: 0 } })
    }))

  it.effect("claimed again with the cancel, is cancelled without another body", () =>
    Effect.gen(function*() {
      const { held, news } = yield* hold(() => Step.run("a", Effect.succeed(1), number), {
        epoch: 2,
        seen: 1,
        inbox: [cancel(1)]
      })
      assert.deepStrictEqual(news(), ["commit"])
      const { commit } = held.takeCommit()
      assert.deepInclude(commit.transition, { _tag: "Finish", status: "cancelled" })
      assert.deepInclude(commit, { consumed: [1], seen: 1 })
    }))

  it.effect("whose last commit waits for another one does not hide a cancel that is read meanwhile", () =>
    Effect.gen(function*() {
      const { finish, held } = yield* hold(() =>
        Effect.all([Step.run("a", Effect.succeed(1), number), Step.run("b", Effect.succeed(2), number)], {
          concurrency: 2
        })
      )
      finish("a", 1)
      held.takeCommit()
      finish("b", 2)
      held.receive({ messages: [cancel(1)], seen: 1, pausing: false }, held.run)
      held.committed(applied)
      assert.deepInclude(held.takeCommit().commit, { seen: 0 }, "storage refuses it, because of the cancel")
    }))

  it.effect("cancels a run that ended in its first activation and read a cancel, and starts none of its children", () =>
    Effect.gen(function*() {
      const { held } = yield* hold(() => Effect.as(Effect.orDie(HandHeld.start({ n: 1 }, { detached: true })), 1))
      assert.strictEqual(held.takeCommit().commit.children.length, 1)
      held.committed({ _tag: "Unseen" })
      held.receive({ messages: [cancel(1)], seen: 1, pausing: false }, held.run)
      assert.deepInclude(held.takeCommit().commit, {
        children: [],
        transition: { _tag: "Finish", status: "cancelled", exit: { kind: "interrupt", value: null }, errorCode: null }
      })
    }))

  it.effect("releases a pausing run whose program ended, with its last entries and without the rest of its end", () =>
    Effect.gen(function*() {
      const { finish, held } = yield* hold(() =>
        Effect.zipRight(Effect.orDie(HandHeld.start({ n: 1 })), Step.run("a", Effect.succeed(1), number))
      )
      const child = held.takeCommit().commit.children[0]
      held.committed(applied)
      finish("a", 1)
      const last = held.takeCommit().commit
      assert.strictEqual(last.transition?._tag, "Finish")
      assert.deepStrictEqual(last.messages.map(({ kind, to }) => [kind, to]), [["cancel", child?.id]])
      held.committed({ _tag: "Unseen" })
      held.receive({ messages: [], seen: 0, pausing: true }, held.run)
      const { entries, messages, transition } = held.takeCommit().commit
      assert.deepStrictEqual([entries.map(({ name }) => name), messages], [["a"], []])
      assert.deepStrictEqual(transition, { _tag: "Release", at: 0 })
    }))

  it.effect("ends a run that ended, read its inbox and found no control", () =>
    Effect.gen(function*() {
      const { finish, held } = yield* hold(() => Step.run("a", Effect.succeed(1), number))
      finish("a", 1)
      const first = held.takeCommit().commit
      held.committed({ _tag: "Unseen" })
      held.receive({ messages: [note(1)], seen: 1, pausing: false }, held.run)
      assert.deepStrictEqual(held.takeCommit().commit, { ...first, seen: 1 })
    }))

  it.effect("reads its inbox if a commit tells of unread messages, and starts no body if it tells of a pause", () =>
    Effect.gen(function*() {
      const { finish, held, news } = yield* hold(() =>
        Effect.zipRight(Step.run("a", Effect.succeed(1), number), Step.run("b", Effect.succeed(2), number))
      )
      finish("a", 1)
      held.takeCommit()
      news()
      held.committed({ _tag: "Applied", dispositions: [], news: { inboxSeq: 1, pausing: true } })
      assert.deepStrictEqual(news(), ["inbox", "commit"])
      assert.deepStrictEqual(held.takeCommit().commit.transition, { _tag: "Release", at: 0 })
    }))

  it.effect("that was claimed again ignores an inbox that was read before, and reads it again", () =>
    Effect.gen(function*() {
      const { held, news, state } = yield* hold(() => Note.receive)
      const before = held.run
      state.now = 1000
      held.advance()
      held.takeCommit()
      held.committed(applied)
      assert.strictEqual(held.state, "gone")
      held.receive({ messages: [note(1)], seen: 1, pausing: false }, before)
      news()
      held.resume({ ...before, epoch: 2 })
      news()
      held.receive({ messages: [note(1)], seen: 1, pausing: false }, before)
      assert.deepStrictEqual(news(), ["inbox"])
      held.receive({ messages: [note(1)], seen: 1, pausing: false }, held.run)
      assert.deepStrictEqual(news(), ["commit"])
      assert.deepInclude(held.takeCommit().commit, { epoch: 2, consumed: [1], seen: 1 })
    }))

  it.effect("that continues as new reads its inbox from the start, and ignores one that was read before", () =>
    Effect.gen(function*() {
      const { held, news } = yield* hold(({ n }) =>
        Effect.gen(function*() {
          const got = yield* Note.receive
          return n === 1 ? got : yield* Effect.orDie(HandHeld.continueAsNew({ n: 1 }))
        })
      )
      const before = held.run
      held.receive({ messages: [note(1), note(2)], seen: 2, pausing: false }, before)
      assert.deepInclude(held.takeCommit().commit, { consumed: [1] })
      news()
      held.committed(applied)
      assert.deepInclude(held.run, { generation: 1, nextSeq: 1 })
      assert.deepStrictEqual(news(), ["inbox", "wake 1000"])
      held.receive({ messages: [note(1), note(2)], seen: 2, pausing: false }, before)
      assert.deepStrictEqual(news(), ["inbox"])
      assert.strictEqual(held.seen, 0)
      held.receive({ messages: [note(2)], seen: 2, pausing: false }, held.run)
      assert.deepInclude(held.takeCommit().commit, { consumed: [2], from: 1 })
    }))

  it.effect("suspends a long sleep immediately, and holds a short one", () =>
    Effect.gen(function*() {
      const long = yield* hold(() => Effect.sleep("1 hour"))
      assert.deepStrictEqual(long.news(), ["commit"])
      assert.deepInclude(long.held.takeCommit().commit.transition, { _tag: "Suspend", until: 3_600_000 })
      const short = yield* hold(() => Effect.sleep("900 millis"))
      assert.deepStrictEqual(short.news(), ["wake 900"])
      short.state.now = 900
      short.held.advance()
      assert.deepStrictEqual(short.news(), ["commit"])
      assert.strictEqual(short.held.takeCommit().commit.transition?._tag, "Finish")
    }))

  it.effect("drops the machine of a lost run, and ignores later events", () =>
    Effect.gen(function*() {
      const { finish, held, news } = yield* hold(() => Step.run("a", Effect.succeed(1), number))
      finish("a", 1)
      held.takeCommit()
      held.committed({ _tag: "Lost" })
      assert.strictEqual(held.state, "gone")
      assert.deepStrictEqual(news(), ["body a", "commit", "ended -"])
      held.receive({ messages: [note(1)], seen: 1, pausing: false }, held.run)
      held.advance()
      assert.deepStrictEqual(news(), [])
    }))

  it.effect("starts no body until the lease is good", () =>
    Effect.gen(function*() {
      const { finish, held, news, state } = yield* hold(() =>
        Effect.zipRight(Step.run("a", Effect.succeed(1), number), Step.run("b", Effect.succeed(1), number))
      )
      state.mayStart = false
      finish("a", 1)
      held.takeCommit()
      held.committed(applied)
      assert.deepStrictEqual(news(), ["body a", "commit"])
      state.mayStart = true
      held.advance()
      assert.deepStrictEqual(news(), ["body b"])
    }))

  it.effect("releases the run when its worker drains, without the steps that have not started", () =>
    Effect.gen(function*() {
      const { finish, held, news, state } = yield* hold(() =>
        Effect.zipRight(Step.run("a", Effect.succeed(1), number), Step.run("b", Effect.succeed(1), number))
      )
      state.draining = true
      state.mayStart = false
      held.advance()
      assert.deepStrictEqual(news(), ["body a"], "a running body can finish")
      finish("a", 1)
      const { commit } = held.takeCommit()
      assert.deepStrictEqual(commit.entries.map(({ name }) => name), ["a"])
      assert.strictEqual(commit.transition?._tag, "Release")
      held.committed(applied)
      assert.deepStrictEqual(news(), ["commit", "ended -"])
    }))

  it.effect("replays the journal without requests, and parks a run that does not match it", () =>
    Effect.gen(function*() {
      const journal = [
        { seq: 0, op: 0, kind: "step", name: "a", exit: { kind: "success", value: "1" }, at: 5 }
      ] as const
      const program = () =>
        Effect.flatMap(Step.run("a", Effect.succeed(1), number), (a) => Step.run("b", Effect.succeed(a), number))
      const fits = yield* hold(program, { journal, nextSeq: 1 })
      assert.deepStrictEqual(fits.news(), ["body b"])
      const [first] = journal
      const other = yield* hold(program, { journal: [{ ...first, name: "z" }], nextSeq: 1 })
      const { commit } = other.held.takeCommit()
      assert.strictEqual(commit.transition?._tag, "Diverge")
      assert.deepStrictEqual([commit.entries.length, commit.from], [0, 1])
      assert.include(commit.transition?._tag === "Diverge" ? commit.transition.detail : "", `"name":"z"`)
    }))

  it.effect("whose commit is refused parks the run with its durable entries", () =>
    Effect.gen(function*() {
      const { finish, held } = yield* hold(() => Step.run("a", Effect.succeed(1), number))
      finish("a", 1)
      held.takeCommit()
      held.refused("the disk is full")
      const { commit } = held.takeCommit()
      assert.deepInclude(commit, { from: 0, entries: [] })
      assert.include(commit.transition?._tag === "Diverge" ? commit.transition.detail : "", "the disk is full")
    }))
})
