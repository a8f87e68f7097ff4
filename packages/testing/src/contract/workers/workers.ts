/** The records and samples of workers, and pings. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Driver from "perdure/JournalDriver"
import { WorkerBounds } from "perdure/JournalDriver"
import { check, type Fixture, only, pass, start, value } from "../Fixture.js"

const beat = (t: Fixture, worker: Driver.WorkerRef, info: string | null, leaseMillis = 1_000) =>
  value(t.driver.heartbeat({ worker, leaseMillis, info }))

const find = (t: Fixture, id: string) => value(t.driver.workers({ id, after: null, limit: 10 }))

const samplesOf = (t: Fixture, worker: string, limit = 1_000) => value(t.driver.samples({ worker, limit }))

const refOf = (t: Fixture, name: string, incarnation = 1): Driver.WorkerRef => ({
  id: t.id(name),
  incarnation: t.id(`${name}-${incarnation}`)
})

export const workers = [
  check(
    "a worker's record has its latest report, its lease and its times",
    (t) =>
      Effect.gen(function*() {
        const worker = refOf(t, "w")
        yield* beat(t, worker, "{ \"n\": 1 }")
        yield* pass(300)
        yield* beat(t, worker, "{\"n\": 2}")
        const shown = {
          ...worker,
          startedAt: start,
          beatAt: start + 300,
          leaseUntil: start + 1_300,
          live: true,
          info: "{\"n\": 2}",
          ping: null
        }
        assert.deepStrictEqual(yield* find(t, worker.id), [shown])
        yield* pass(500)
        // A heartbeat without a report keeps the latest one.
        yield* beat(t, worker, null)
        assert.deepStrictEqual(yield* find(t, worker.id), [{
          ...shown,
          beatAt: start + 800,
          leaseUntil: start + 1_800
        }])
        yield* pass(1_000)
        assert.isFalse(only(yield* find(t, worker.id)).live)
      })
  ),

  check(
    "a new incarnation replaces the worker's record, and a refused one changes nothing",
    (t) =>
      Effect.gen(function*() {
        const first = refOf(t, "w")
        const second = refOf(t, "w", 2)
        yield* beat(t, first, "1")
        const before = yield* find(t, first.id)
        yield* pass(500)
        assert.strictEqual((yield* beat(t, second, "2"))._tag, "Taken")
        assert.deepStrictEqual(yield* find(t, first.id), before)
        assert.deepStrictEqual((yield* samplesOf(t, first.id)).map(({ info }) => info), ["1"])
        yield* pass(501)
        yield* beat(t, second, null)
        const record = only(yield* find(t, first.id))
        assert.deepStrictEqual(
          [record.incarnation, record.startedAt, record.info],
          [second.incarnation, start + 1_001, null]
        )
      })
  ),

  check(
    "workers are read in pages in order of id, without those that retired or lapsed long ago",
    (t) =>
      Effect.gen(function*() {
        const ids = ["c", "a", "b"].map((name) => t.id(`pages-${name}`))
        for (const id of ids) yield* beat(t, { id, incarnation: "1" }, null)
        const first = yield* value(t.driver.workers({ id: null, after: t.id("pages-"), limit: 2 }))
        assert.deepStrictEqual(first.map(({ id }) => id), [t.id("pages-a"), t.id("pages-b")])
        const second = yield* value(t.driver.workers({ id: null, after: t.id("pages-b"), limit: 1 }))
        assert.deepStrictEqual(second.map(({ id }) => id), [t.id("pages-c")])
        yield* value(t.driver.retire({ id: t.id("pages-a"), incarnation: "1" }))
        assert.deepStrictEqual(yield* find(t, t.id("pages-a")), [])
        assert.strictEqual((yield* find(t, t.id("pages-b"))).length, 1)
        yield* pass(WorkerBounds.lapsedMillis + 1_000)
        assert.deepStrictEqual(yield* find(t, t.id("pages-b")), [])
      })
  ),

  check("samples of a worker are stored at intervals, not with every heartbeat", (t) =>
    Effect.gen(function*() {
      const worker = refOf(t, "w")
      const every = WorkerBounds.sampleMillis / 4
      for (let n = 0; n <= 9; n++) {
        yield* beat(t, worker, `{"n":${n}}`, 1_000_000)
        yield* pass(every)
      }
      const { incarnation } = worker
      assert.deepStrictEqual(
        yield* samplesOf(t, worker.id),
        [0, 4, 8].map((n) => ({ at: start + n * every, incarnation, info: `{"n":${n}}` }))
      )
      assert.deepStrictEqual((yield* samplesOf(t, worker.id, 2)).map(({ info }) => info), ["{\"n\":4}", "{\"n\":8}"])
      yield* beat(t, worker, null)
      assert.strictEqual((yield* samplesOf(t, worker.id)).length, 3)
    })),

  check(
    "samples of a worker are bounded in number and age, and stay after it retires",
    (t) =>
      Effect.gen(function*() {
        const worker = refOf(t, "w")
        const count = WorkerBounds.samples + 5
        for (let n = 0; n < count; n++) {
          yield* beat(t, worker, `${n}`, 1_000_000)
          yield* pass(WorkerBounds.sampleMillis)
        }
        const kept = yield* samplesOf(t, worker.id)
        assert.deepStrictEqual(
          [kept.length, kept[0]?.info, kept.at(-1)?.info],
          [WorkerBounds.samples, "5", `${count - 1}`]
        )
        yield* value(t.driver.retire(worker))
        assert.strictEqual((yield* samplesOf(t, worker.id)).length, WorkerBounds.samples)
        yield* pass(WorkerBounds.sampleAgeMillis - 11 * WorkerBounds.sampleMillis)
        assert.strictEqual((yield* samplesOf(t, worker.id)).length, 10)
        // The heartbeat of another worker deletes samples that are too old.
        yield* beat(t, refOf(t, "other"), "1")
        yield* pass(WorkerBounds.sampleAgeMillis)
        assert.deepStrictEqual(yield* samplesOf(t, worker.id), [])
      })
  ),

  check("a ping is returned by each heartbeat until it is answered", (t) =>
    Effect.gen(function*() {
      const worker = refOf(t, "w")
      yield* beat(t, worker, null)
      assert.strictEqual(yield* value(t.driver.ping({ worker: worker.id, nonce: "n" })), "n")
      assert.strictEqual(only(yield* find(t, worker.id)).ping, "n")
      for (const _ of [1, 2]) {
        assert.deepStrictEqual(yield* beat(t, worker, null), { _tag: "Renewed", lapsed: false, ping: "n" })
      }
      const stranger = { ...worker, incarnation: "other" }
      assert.isFalse(yield* value(t.driver.pong({ worker: stranger, nonce: "n" })))
      assert.isFalse(yield* value(t.driver.pong({ worker, nonce: "other" })))
      assert.isTrue(yield* value(t.driver.pong({ worker, nonce: "n" })))
      assert.isFalse(yield* value(t.driver.pong({ worker, nonce: "n" })))
      assert.isNull(only(yield* find(t, worker.id)).ping)
      assert.deepStrictEqual(yield* beat(t, worker, null), { _tag: "Renewed", lapsed: false, ping: null })
    })),

  check(
    "a ping joins an unanswered one, is new after the answer, and is null for an unknown worker",
    (t) =>
      Effect.gen(function*() {
        const worker = refOf(t, "w")
        yield* beat(t, worker, null)
        const ping = (nonce: string) => value(t.driver.ping({ worker: worker.id, nonce }))
        assert.deepStrictEqual(yield* Effect.all([ping("1"), ping("2")]), ["1", "1"])
        yield* t.driver.pong({ worker, nonce: "1" })
        assert.strictEqual(yield* ping("3"), "3")
        assert.isNull(yield* value(t.driver.ping({ worker: t.id("unknown"), nonce: "4" })))
      })
  )
]
