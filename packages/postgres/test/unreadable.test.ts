/** Rows that newer code or a hand wrote: each harms its own run only, and is named. */
import { assert, describe, it } from "@effect/vitest"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import { ask, commitOf, driverOn, held, newRun, server, signal, worker } from "./support/driver.js"

const request = { worker, workflows: [{ name: "flow", version: "1" }], queues: ["q"], limit: 10, hot: new Map() }

const entry = (seq: number) =>
  ({ seq, op: seq, kind: "step", name: "s", exit: { kind: "success", value: "1" }, at: 0 }) as const

const setUp = Effect.gen(function*() {
  const { url } = yield* TestDatabase.freshOn(server)
  const driver = yield* driverOn(url)
  return { driver, write: (text: string) => ask(url, text) }
})

describe("a row that cannot be read", () => {
  it.scopedLive("does not spoil a claim: the other runs are claimed, and the bad ones are named", () =>
    Effect.gen(function*() {
      const { driver, write } = yield* setUp
      yield* held(driver, "entry", "good", "message")
      yield* driver.deliver([signal("message", "1"), signal("good", "1")])
      yield* driver.commit({
        worker,
        commits: ["entry", "good", "message"].map((run) =>
          commitOf(run, { entries: [entry(0)], transition: { _tag: "Release", at: 0 } })
        )
      })
      const parent = { id: "none", token: "t", attached: true }
      yield* driver.enqueue({ runs: [newRun("row", { parent })], claim: null })
      yield* write("UPDATE perdure.journal SET exit_kind = 'strange' WHERE run = 'entry'")
      yield* write("UPDATE perdure.inbox SET kind = 'strange' WHERE run = 'message'")
      yield* write("UPDATE perdure.inputs SET parent_token = NULL WHERE run = 'row'")
      const { value: { runs, unreadable = [] } } = yield* driver.claim(request)
      assert.deepStrictEqual(runs.map(({ id, inbox, journal }) => [id, journal.length, inbox.length]), [["good", 1, 1]])
      assert.deepStrictEqual(
        unreadable.map(({ epoch, id, nextSeq }) => [id, epoch, nextSeq]).toSorted(),
        [["entry", 2, 1], ["message", 2, 1], ["row", 1, 0]]
      )
      for (const { detail } of unreadable) assert.match(detail, /must be .*, got (null|"strange")/)
    }))

  it.scopedLive("is left out of lists, and is named where the run itself is read", () =>
    Effect.gen(function*() {
      const { driver, write } = yield* setUp
      yield* driver.enqueue({ runs: ["a", "b", "c"].map((id) => newRun(id)), claim: null })
      yield* write("UPDATE perdure.runs SET status = 'strange' WHERE id = 'b'")
      const found = yield* driver.find({ filter: { workflows: ["flow"] }, after: null, limit: 10 })
      assert.deepStrictEqual(found.value.runs.map(({ id }) => id).toSorted(), ["a", "c"])
      const reads = [Effect.asVoid(driver.get(["a", "b"])), Effect.asVoid(driver.await(["a", "b"]))]
      for (const read of reads) {
        const error = yield* Effect.flip(read)
        assert.strictEqual(error.code, "Corrupt")
        assert.include(error.message, `run b: field status must be one of`)
        assert.include(error.message, "got \"strange\"")
      }
      assert.lengthOf((yield* driver.get(["a", "c"])).value, 2)
    }))
})
