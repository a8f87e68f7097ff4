import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import type { Op } from "perdure/internal/machine/Op"
import { Draft } from "perdure/internal/worker/Draft"
import type { NewRun } from "perdure/JournalDriver"
import { newRun } from "../../fixtures/newRun.js"

const receive = (id: number, name: string): Op => ({
  id,
  kind: "receive",
  name,
  data: { _tag: "Receive", due: null },
  decode: () => Either.left("not read here"),
  resume: () => {},
  at: 0,
  shielded: false,
  waiters: () => []
})

const entry = (seq: number) =>
  ({ seq, op: seq, kind: "step", name: `s${seq}`, exit: { kind: "success", value: null }, at: 0 }) as const

const run = { id: "r", epoch: 1, seen: 4 }

describe("a draft", () => {
  it("is taken as one commit, and is empty after it", () => {
    const draft = new Draft(5)
    assert.isTrue(draft.isEmpty)
    draft.addEntry(entry(5), 3)
    draft.publish("k", "1")
    draft.publish("k", "2")
    const taken = draft.take(run)
    assert.deepInclude(taken.commit, {
      from: 5,
      consumed: [3],
      published: [{ key: "k", value: "2" }],
      seen: 4,
      epoch: 1
    })
    assert.isTrue(draft.isEmpty)
    assert.strictEqual(draft.nextSeq, 6)
  })

  it("that was not applied precedes the content of the next commit, without its transition", () => {
    const draft = new Draft(0)
    draft.addEntry(entry(0), 1)
    draft.close("S", 4)
    draft.publish("k", "old")
    draft.publish("j", "kept")
    draft.transition = { _tag: "Suspend", until: 5, waiting: [] }
    draft.take(run)
    draft.addEntry(entry(1), 2)
    draft.publish("k", "new")
    draft.restore()
    const again = draft.take(run).commit
    assert.deepStrictEqual(again.entries.map(({ seq }) => seq), [0, 1])
    assert.deepInclude(again, { from: 0, consumed: [1, 2], closes: ["S"], transition: null })
    assert.sameDeepMembers([...again.published], [{ key: "k", value: "new" }, { key: "j", value: "kept" }])
  })

  it("removes the last entry, the message of an op, and a child that has not left", () => {
    const draft = new Draft(0)
    const op = receive(0, "x")
    draft.addEntry(entry(0), 1)
    draft.dropLastEntry(1)
    draft.addMessage({ to: "t", kind: "signal", name: "x", id: "i", payload: "1" }, op)
    draft.dropMessageOf(op)
    assert.isFalse(draft.dropChild("c"))
    assert.isTrue(draft.isEmpty)
  })

  const sized = (seq: number, size: number) =>
    ({ ...entry(seq), exit: { kind: "success", value: "x".repeat(size) } }) as const

  const child = (id: string): NewRun => ({ ...newRun(id), payload: "1" })

  it("that is large is several commits, each of which ends before an entry", () => {
    const draft = new Draft(0, 1_000)
    draft.addEntry(sized(0, 900))
    draft.addChild(child("after 0"))
    draft.addPatch(sized(1, 900))
    const before = draft.mark
    draft.addEntry(sized(2, 10))
    draft.addChild(child("after 2"))
    draft.transition = { _tag: "Release", at: 0 }
    const commits = [draft.take(run), draft.take(run)]
    assert.deepStrictEqual(commits.map(({ commit }) => commit.entries.map(({ seq }) => seq)), [[0, 1], [2]])
    assert.deepStrictEqual(commits.map(({ commit }) => commit.children.map(({ id }) => id)), [["after 0"], ["after 2"]])
    assert.deepStrictEqual(commits.map(({ commit }) => commit.from), [0, 2])
    assert.deepStrictEqual(commits.map(({ commit }) => commit.transition?._tag ?? null), [null, "Release"])
    assert.deepStrictEqual(commits.map(({ mark }) => mark), [before, draft.mark])
    assert.isTrue(draft.isEmpty)
  })

  it("that was not applied keeps its parts, their order and its transition", () => {
    const draft = new Draft(0, 1_000)
    for (const seq of [0, 1, 2]) draft.addEntry(sized(seq, 900))
    draft.transition = { _tag: "Release", at: 0 }
    draft.take(run)
    draft.restoreWithTransition()
    assert.strictEqual(draft.nextSeq, 3)
    const first = draft.take(run).commit
    draft.applied()
    const second = draft.take(run).commit
    assert.deepStrictEqual([first, second].map(({ entries, from }) => [from, entries.map(({ seq }) => seq)]), [
      [0, [0]],
      [1, [1]]
    ])
    assert.strictEqual(second.transition, null)
    assert.strictEqual(draft.take(run).commit.transition?._tag, "Release")
  })

  it("is one commit after it was joined, however large", () => {
    const draft = new Draft(0, 1_000)
    for (const seq of [0, 1, 2]) draft.addEntry(sized(seq, 900), seq)
    draft.publish("k", "1")
    draft.join()
    const { commit } = draft.take(run)
    assert.deepStrictEqual(commit.entries.map(({ seq }) => seq), [0, 1, 2])
    assert.deepStrictEqual([commit.consumed, commit.published], [[0, 1, 2], [{ key: "k", value: "1" }]])
    assert.isTrue(draft.isEmpty)
  })
})
