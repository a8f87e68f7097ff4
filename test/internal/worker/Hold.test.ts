/** A hold, each order of events played by hand. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { CommitResult, Message } from "perdure/JournalDriver"
import * as Signal from "perdure/Signal"
import * as Step from "perdure/Step"
import { HandHeld, handHeld as hold } from "../../fixtures/handHeld.js"

const Note = Signal.make("Note", { payload: Schema.Number })

const note = (ordinal: number): Message => ({ run: "r", ordinal, kind: "signal", name: "Note", payload: "7", at: 0 })

const applied: CommitResult = { _tag: "Applied", dispositions: [] }

const number = { success: Schema.Number }

describe("a hold", () => {
  it.effect("speculates, but bars the door: no body begins before what it follows from is durable", () =>
    Effect.gen(function*() {
      const { finish, held, news } = yield* hold(() =>
        Effect.flatMap(Step.run("a", Effect.succeed(1), number), (a) => Step.run("b", Effect.succeed(a + 1), number))
      )
      assert.deepStrictEqual(news(), ["body a"], "nothing is to be written before the first body")
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
        exit: { kind: "success", value: "2" }
      })
      assert.strictEqual(held.state, "leaving")
      held.committed(applied)
      assert.strictEqual(held.state, "gone")
      assert.deepStrictEqual(news(), ["commit", "ended completed"])
    }))

  it.effect("writes a wait down after the linger, unless messages came that it has not seen", () =>
    Effect.gen(function*() {
      const { held, news, state } = yield* hold(() => Note.receive)
      assert.strictEqual(held.state, "idle")
      assert.deepStrictEqual(news(), ["wake 1000"])
      state.now = 1000
      held.poke()
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

  it.effect("that was claimed again takes no answer from before, and reads its inbox anew", () =>
    Effect.gen(function*() {
      const { held, news, state } = yield* hold(() => Note.receive)
      const before = held.run
      state.now = 1000
      held.poke()
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

  it.effect("that continues as new reads its inbox from the beginning, and takes no answer from before", () =>
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

  it.effect("writes a long sleep down at once, and keeps a short one", () =>
    Effect.gen(function*() {
      const long = yield* hold(() => Effect.sleep("1 hour"))
      assert.deepStrictEqual(long.news(), ["commit"])
      assert.deepInclude(long.held.takeCommit().commit.transition, { _tag: "Suspend", until: 3_600_000 })
      const short = yield* hold(() => Effect.sleep("900 millis"))
      assert.deepStrictEqual(short.news(), ["wake 900"])
      short.state.now = 900
      short.held.poke()
      assert.deepStrictEqual(short.news(), ["commit"])
      assert.strictEqual(short.held.takeCommit().commit.transition?._tag, "Finish")
    }))

  it.effect("drops the machine when it has lost the run, and hears nothing any more", () =>
    Effect.gen(function*() {
      const { finish, held, news } = yield* hold(() => Step.run("a", Effect.succeed(1), number))
      finish("a", 1)
      held.takeCommit()
      held.committed({ _tag: "Lost" })
      assert.strictEqual(held.state, "gone")
      assert.deepStrictEqual(news(), ["body a", "commit", "ended -"])
      held.receive({ messages: [note(1)], seen: 1, pausing: false }, held.run)
      held.poke()
      assert.deepStrictEqual(news(), [])
    }))

  it.effect("begins no body while the lease is not good, and does when it is", () =>
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
      held.poke()
      assert.deepStrictEqual(news(), ["body b"])
    }))

  it.effect("hands the run back when its worker drains: what is durable, without the steps that have not begun", () =>
    Effect.gen(function*() {
      const { finish, held, news, state } = yield* hold(() =>
        Effect.zipRight(Step.run("a", Effect.succeed(1), number), Step.run("b", Effect.succeed(1), number))
      )
      state.draining = true
      state.mayStart = false
      held.poke()
      assert.deepStrictEqual(news(), ["body a"], "a running body may end")
      finish("a", 1)
      const { commit } = held.takeCommit()
      assert.deepStrictEqual(commit.entries.map(({ name }) => name), ["a"])
      assert.strictEqual(commit.transition?._tag, "Release")
      held.committed(applied)
      assert.deepStrictEqual(news(), ["commit", "ended -"])
    }))

  it.effect("replays what is journaled without asking for anything, and parks what does not fit", () =>
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

  it.effect("that is refused is parked with what is durable", () =>
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
