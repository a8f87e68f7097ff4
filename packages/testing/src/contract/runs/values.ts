/** JSON text, names and instants are returned unchanged, and requests can be large. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Entry } from "perdure/JournalDriver"
import { check, entries, finish, only, pass, payloadOf, signal, start, success, suspend } from "../Fixture.js"

/** JSON that a driver would change if it parsed it and wrote it again. */
const samples: ReadonlyArray<readonly [string, string]> = [
  ["white space", "{ \"a\" :\n\t1 }"],
  ["order of keys", "{\"b\":1,\"a\":2}"],
  ["keys that are given twice", "{\"a\":1,\"a\":2}"],
  ["spellings of numbers", "[1.0,1e2,-0,0.10,12345678901234567890]"],
  ["escapes", "\"\\u0041\\/\\n\\u0000\\ud83d\""],
  ["quotes and backslashes", JSON.stringify("'; -- \\ \" $1 ${x} \\N \\. %s")],
  ["characters beyond the basic plane", JSON.stringify("naïve 漢字 🦤 \u200d e\u0301")],
  ["a string that looks like another type", "\"2020-01-01T00:00:00Z\""],
  ["a million characters", JSON.stringify("é🦤x".repeat(250_000))]
]

export const values = [
  ...samples.map(([name, text]) =>
    check(`a JSON text is returned unchanged: ${name}`, (t) =>
      Effect.gen(function*() {
        const held = yield* t.running("a", { payload: text, idempotencyKey: "key" })
        assert.strictEqual(held.payload, text)
        const again = only(yield* t.enqueue(t.newRun("a")))
        assert.strictEqual(again._tag === "Existing" ? again.payload : null, text)
        yield* t.deliver(signal(held.id, "x", { payload: text }))
        const exit = { kind: "success", value: text } as const
        yield* t.apply(held, {
          entries: entries(0, 1).map((entry): Entry => ({ ...entry, exit })),
          children: [t.newChild(held, "child", { payload: text })],
          messages: [signal(held.id, "y", { payload: text })],
          published: [{ key: "k", value: text }]
        })
        assert.deepStrictEqual((yield* t.history(held)).map((entry) => entry.exit), [exit])
        const { messages, seen } = yield* t.inbox(held)
        assert.deepStrictEqual(messages.map(payloadOf), [text, text])
        assert.deepStrictEqual((yield* t.published(held)).map((each) => each.value), [text])
        assert.strictEqual((yield* t.claimOne(t.newRun("child"))).payload, text)
        const next = { ...held, nextSeq: 1, seen }
        yield* t.apply(next, { transition: suspend(start) })
        const woken = yield* t.claimOne(held)
        assert.deepStrictEqual(woken.journal.map((entry) => entry.exit), [exit])
        assert.deepStrictEqual(woken.inbox.map(payloadOf), [text, text])
        yield* t.apply(woken, { transition: { _tag: "Diverge", detail: text } })
        assert.strictEqual((yield* t.record(held)).detail, text)
        yield* t.driver.resume({ runs: [held.id], by: null, reason: null })
        const last = yield* t.claimOne(held)
        yield* t.apply(last, { transition: { _tag: "Continue", payload: text, at: start } })
        yield* t.apply(last, { transition: finish(exit) })
        const record = yield* t.record(held)
        assert.deepStrictEqual([record.payload, record.exit], [text, exit])
      }))
  ),

  check("names, keys and ids can have any characters", (t) =>
    Effect.gen(function*() {
      const odd = "naïve 🦤 '\"\\ {} [] , : \n %"
      const run = t.newRun(odd, { idempotencyKey: odd, workflow: `${t.id("w")}${odd}`, version: odd })
      yield* t.enqueue(run)
      const held = yield* t.claimOne(run, { workflows: [{ name: run.workflow, version: odd }] })
      const entry = { ...only(entries(0, 1)), kind: odd, name: odd }
      yield* t.apply(held, {
        entries: [entry],
        published: [{ key: odd, value: "1" }],
        closes: [odd],
        transition: suspend(Infinity, `callback:${odd}`, "signal:a,b")
      })
      assert.deepStrictEqual(yield* t.history(held), [{ ...entry, worker: t.worker.id, epoch: 1 }])
      assert.deepStrictEqual((yield* t.published(held)).map(({ key }) => key), [odd])
      assert.deepStrictEqual(
        yield* t.deliver(
          signal(held.id, odd),
          signal(held.id, "a"),
          signal(held.id, odd, { kind: "callback", id: odd })
        ),
        ["Expired", "Buffered", "Delivered"]
      )
      assert.deepStrictEqual((yield* t.messages(held)).map(({ name }) => name), ["a", odd])
      assert.strictEqual(only(yield* t.findByIdempotencyKey(run.workflow, odd)).id, run.id)
    })),

  check("an exit of each kind, and any op, is returned unchanged", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      const exits: ReadonlyArray<Entry["exit"]> = [
        success(null),
        { kind: "success", value: null },
        { kind: "failure", value: "{}" },
        { kind: "defect", value: "\"x\"" },
        { kind: "interrupt", value: null }
      ]
      const written = exits.map((exit, seq): Entry => ({
        seq,
        op: seq === 0 ? -1 : 1_000_000 + seq,
        kind: `kind-${seq}`,
        name: "",
        exit,
        at: start - 5 * seq
      }))
      yield* t.apply(held, { entries: written, transition: suspend(start) })
      assert.deepStrictEqual((yield* t.claimOne(held)).journal, written)
    })),

  check("instants in the far past and future are returned exactly", (t) =>
    Effect.gen(function*() {
      const instants = [0, 1, 2 ** 31, 253_402_300_799_999, start + 1]
      for (const [index, instant] of instants.entries()) {
        const run = t.newRun(`run-${index}`, { availableAt: instant })
        yield* t.enqueue(run)
        assert.strictEqual((yield* t.record(run)).availableAt, instant)
        const held = yield* t.running(`entry-${index}`)
        yield* t.apply(held, {
          entries: entries(0, 1).map((entry) => ({ ...entry, at: instant })),
          transition: suspend(instant)
        })
        assert.deepStrictEqual((yield* t.history(held)).map(({ at }) => at), [instant])
        assert.strictEqual((yield* t.record(held)).availableAt, instant)
      }
    })),

  check("a commit can have 1,000 entries, and a journal 5,000", (t) =>
    Effect.gen(function*() {
      let held: Parameters<typeof t.apply>[0] = yield* t.running("a")
      for (let n = 0; n < 5; n++) held = yield* t.apply(held, { entries: entries(n * 1_000, 1_000) })
      yield* t.apply(held, { transition: suspend(start) })
      yield* pass(1)
      const again = yield* t.claimOne(held)
      assert.deepStrictEqual(again.journal, entries(0, 5_000))
    }))
]
