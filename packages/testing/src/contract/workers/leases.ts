/** The leases of workers, and the release of the runs of lost workers. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { ClaimedRun } from "perdure/JournalDriver"
import { check, endingOf, entries, finish, now, only, pass, signal, start, suspend, value } from "../Fixture.js"

const kept = { _tag: "Renewed", lapsed: false, ping: null } as const

export const leases = [
  check("a heartbeat registers a worker and extends its lease", (t) =>
    Effect.gen(function*() {
      const worker = { id: t.id("w"), incarnation: t.id("w-1") }
      assert.deepStrictEqual(yield* t.heartbeat(worker, 1_000), kept)
      yield* pass(900)
      assert.deepStrictEqual(yield* t.heartbeat(worker, 1_000), kept)
      yield* pass(900)
      assert.deepStrictEqual(yield* t.heartbeat(worker, 1_000), kept)
    })),

  check(
    "a heartbeat after the lease ran out reports the lapse once and extends the lease",
    (t) =>
      Effect.gen(function*() {
        const worker = yield* t.workerWith("w", 1_000)
        yield* pass(1_001)
        assert.deepStrictEqual(yield* t.heartbeat(worker, 1_000), { _tag: "Renewed", lapsed: true, ping: null })
        assert.deepStrictEqual(yield* t.heartbeat(worker, 1_000), kept)
      })
  ),

  check(
    "a worker without a valid lease claims nothing until its next heartbeat",
    (t) =>
      Effect.gen(function*() {
        const worker = yield* t.workerWith("w", 1_000)
        const run = t.newRun("a")
        yield* t.enqueue(run)
        const predecessor = { ...worker, incarnation: t.id("before") }
        assert.deepStrictEqual(yield* t.claim([run.queue], { worker: predecessor }), [])
        yield* pass(1_001)
        assert.deepStrictEqual(yield* t.claim([run.queue], { worker }), [])
        yield* t.heartbeat(worker, 1_000)
        assert.deepStrictEqual((yield* t.claim([run.queue], { worker })).map(({ id }) => id), [run.id])
      })
  ),

  check("a heartbeat after a reaping reports the lapse", (t) =>
    Effect.gen(function*() {
      const worker = yield* t.workerWith("w", 1_000)
      yield* t.running("a", {}, worker)
      yield* pass(1_001)
      yield* t.reapAll()
      assert.deepStrictEqual(yield* t.heartbeat(worker, 1_000), { _tag: "Renewed", lapsed: true, ping: null })
    })),

  check(
    "a heartbeat of a second incarnation is refused while the first one's lease is valid, and extends nothing",
    (t) =>
      Effect.gen(function*() {
        const first = yield* t.workerWith("w", 1_000)
        const second = { id: first.id, incarnation: t.id("w-2") }
        yield* pass(500)
        assert.deepStrictEqual(yield* t.heartbeat(second, 1_000), { _tag: "Taken" })
        yield* pass(501)
        assert.strictEqual((yield* t.heartbeat(second, 1_000))._tag, "Renewed")
        assert.deepStrictEqual(yield* t.heartbeat(first, 1_000), { _tag: "Taken" })
        assert.deepStrictEqual(yield* t.heartbeat(second, 1_000), kept)
      })
  ),

  check("of concurrent heartbeats of several incarnations, one gets the lease", (t) =>
    Effect.gen(function*() {
      const answers = yield* Effect.forEach(
        [1, 2, 3],
        (n) => t.heartbeat({ id: t.id("w"), incarnation: t.id(`w-${n}`) }, 1_000),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(answers.map(({ _tag }) => _tag).toSorted(), ["Renewed", "Taken", "Taken"])
    })),

  check(
    "a worker that retires loses its lease and releases its runs without a crash",
    (t) =>
      Effect.gen(function*() {
        const worker = yield* t.workerWith("w", 1_000)
        const [a, b] = yield* Effect.all([t.running("a", {}, worker), t.running("b", {}, worker)])
        const other = yield* t.running("other")
        const asleep = yield* t.suspended("asleep", Infinity)
        yield* t.apply(a, { entries: entries(0, 2) })
        yield* pass(5)
        assert.deepStrictEqual(yield* value(t.driver.retire(worker)), { released: 2 })
        for (const run of [a, b]) {
          const record = yield* t.record(run)
          assert.deepStrictEqual(
            [record.status, record.worker, record.availableAt, record.crashes],
            ["pending", null, start + 5, 0]
          )
        }
        assert.deepStrictEqual([yield* t.status(other), yield* t.status(asleep)], ["running", "suspended"])
        const again = yield* t.claimOne(a)
        assert.deepStrictEqual([again.journal, again.crashes, again.epoch], [entries(0, 2), 0, 2])
        assert.strictEqual((yield* t.heartbeat({ ...worker, incarnation: t.id("w-2") }, 1_000))._tag, "Renewed")
      })
  ),

  check(
    "a late retire of an old incarnation changes neither the lease nor the runs of the next one",
    (t) =>
      Effect.gen(function*() {
        const first = yield* t.workerWith("w", 1_000)
        const old = yield* t.running("old", {}, first)
        yield* pass(1_001)
        const second = { id: first.id, incarnation: t.id("w-2") }
        yield* t.heartbeat(second, 1_000)
        const held = yield* t.running("a", {}, second)
        assert.deepStrictEqual(yield* value(t.driver.retire(first)), { released: 1 })
        assert.deepStrictEqual([yield* t.status(old), yield* t.status(held)], ["pending", "running"])
        assert.deepStrictEqual(yield* t.heartbeat(first, 1_000), { _tag: "Taken" })
      })
  ),

  check(
    "runs of a worker with a valid lease, and runs without a holder, are not reaped",
    (t) =>
      Effect.gen(function*() {
        yield* t.sweep
        const worker = yield* t.workerWith("w", 1_000)
        const held = yield* t.running("a", {}, worker)
        const asleep = yield* t.suspended("b", Infinity)
        yield* t.enqueue(t.newRun("c"))
        yield* pass(999)
        yield* t.reapAll()
        assert.deepStrictEqual(
          [yield* t.status(held), yield* t.status(asleep), yield* t.status({ id: t.id("c") })],
          ["running", "suspended", "pending"]
        )
        yield* t.apply(held, { entries: entries(0, 1) })
      })
  ),

  check("runs of a worker whose lease ran out are released with one crash more", (t) =>
    Effect.gen(function*() {
      yield* t.sweep
      const worker = yield* t.workerWith("w", 1_000)
      const held = yield* t.running("a", {}, worker)
      yield* t.apply(held, { entries: entries(0, 2) })
      yield* pass(1_500)
      yield* t.reapAll(5)
      const record = yield* t.record(held)
      assert.deepStrictEqual(
        [record.status, record.worker, record.availableAt, record.crashes, record.exit],
        ["pending", null, start + 1_500, 1, null]
      )
      const again = yield* t.claimOne(held)
      assert.deepStrictEqual([again.epoch, again.crashes, again.journal], [2, 1, entries(0, 2)])
    })),

  check(
    "a reaping returns the number of runs that it released, and a second one releases nothing",
    (t) =>
      Effect.gen(function*() {
        yield* t.sweep
        const worker = yield* t.workerWith("w", 1_000)
        yield* Effect.forEach(["a", "b", "c"], (name) => t.running(name, {}, worker))
        yield* pass(1_500)
        assert.deepStrictEqual(yield* value(t.driver.reap({ limit: 100, maxCrashes: 2 })), {
          released: 3,
          exhausted: 0
        })
        assert.deepStrictEqual(yield* value(t.driver.reap({ limit: 100, maxCrashes: 2 })), {
          released: 0,
          exhausted: 0
        })
        yield* t.heartbeat(worker, 1_000)
        yield* Effect.forEach(["a", "b"], (name) => t.claimOne({ queue: `${t.id(name)}-queue` }, { worker }))
        yield* pass(1_500)
        assert.deepStrictEqual(yield* value(t.driver.reap({ limit: 100, maxCrashes: 2 })), {
          released: 0,
          exhausted: 2
        })
      })
  ),

  check(
    "runs of a replaced incarnation are reaped while the worker's lease is valid again",
    (t) =>
      Effect.gen(function*() {
        yield* t.sweep
        const first = yield* t.workerWith("w", 1_000)
        const old = yield* t.running("old", {}, first)
        yield* pass(1_001)
        const second = { id: first.id, incarnation: t.id("w-2") }
        yield* t.heartbeat(second, 10_000)
        const held = yield* t.running("new", {}, second)
        yield* t.reapAll()
        assert.deepStrictEqual([yield* t.status(old), yield* t.status(held)], ["pending", "running"])
        assert.strictEqual((yield* t.record(old)).crashes, 1)
      })
  ),

  check("crashes of a run are counted from its last commit", (t) =>
    Effect.gen(function*() {
      yield* t.sweep
      const worker = yield* t.workerWith("w", 1_000)
      const run = t.newRun("a")
      yield* t.enqueue(run)
      const crash = Effect.gen(function*() {
        // A suspect is available after a pause.
        yield* pass(60_000)
        yield* t.heartbeat(worker, 1_000)
        const held = yield* t.claimOne(run, { worker })
        yield* pass(1_500)
        yield* t.reapAll(100)
        return held.crashes
      })
      assert.deepStrictEqual(yield* Effect.all([crash, crash, crash]), [0, 1, 2])
      yield* pass(60_000)
      const held = yield* t.claimOne(run)
      assert.strictEqual(held.crashes, 3)
      yield* t.apply(held, { entries: entries(0, 1), transition: suspend(yield* now) })
      assert.strictEqual((yield* t.record(run)).crashes, 0)
      assert.deepStrictEqual(yield* Effect.all([crash, crash]), [0, 1])
    })),

  check(
    "a crash counts for all runs without one, then for the suspects that were claimed last",
    (t) =>
      Effect.gen(function*() {
        yield* t.sweep
        const worker = yield* t.workerWith("w", 1_000)
        const runs = ["a", "b", "c"].map((name) => t.newRun(name))
        yield* Effect.forEach(runs, (run) => t.enqueue(run))
        const crash = Effect.gen(function*() {
          yield* t.heartbeat(worker, 1_000)
          for (const run of runs) {
            yield* t.claimOne(run, { worker })
            yield* pass(1)
          }
          yield* pass(1_500)
          yield* t.reapAll(3)
          return yield* Effect.forEach(
            runs,
            (run) => Effect.map(t.record(run), ({ crashes, status }) => [status, crashes])
          )
        })
        assert.deepStrictEqual(yield* crash, [["pending", 1], ["pending", 1], ["pending", 1]])
        assert.deepStrictEqual(yield* crash, [["pending", 1], ["pending", 1], ["pending", 2]])
        yield* pass(10_000)
        assert.deepStrictEqual(yield* crash, [["pending", 1], ["pending", 1], ["exhausted", 3]])
      })
  ),

  check("a crash counts once for a worker, however many reapings its runs need", (t) =>
    Effect.gen(function*() {
      yield* t.sweep
      const worker = yield* t.workerWith("w", 1_000)
      // In order of id the run that is claimed last is the first one.
      const runs = ["c", "b", "a"].map((name) => t.newRun(name))
      yield* Effect.forEach(runs, (run) => t.enqueue(run))
      for (let round = 0; round < 2; round++) {
        yield* t.heartbeat(worker, 1_000)
        for (const run of runs) {
          yield* t.claimOne(run, { worker })
          yield* pass(1)
        }
        yield* pass(1_500)
        for (const _ of runs) yield* t.driver.reap({ limit: 1, maxCrashes: 9 })
      }
      const crashes = yield* Effect.forEach(runs, (run) => Effect.map(t.record(run), (record) => record.crashes))
      assert.deepStrictEqual(crashes, [1, 1, 2])
    })),

  check("suspects of a crash are available one after another", (t) =>
    Effect.gen(function*() {
      yield* t.sweep
      const worker = yield* t.workerWith("w", 1_000)
      const runs = ["a", "b", "c"].map((name) => t.newRun(name))
      yield* Effect.forEach(runs, (run) => t.enqueue(run))
      const crash = Effect.gen(function*() {
        yield* t.heartbeat(worker, 1_000)
        for (const run of runs) yield* t.claimOne(run, { worker })
        yield* pass(1_500)
        yield* t.reapAll(9)
        const at = yield* now
        return yield* Effect.forEach(runs, (run) => Effect.map(t.record(run), (record) => record.availableAt - at))
      })
      assert.deepStrictEqual(yield* crash, [0, 0, 0])
      assert.deepStrictEqual(yield* crash, [1_000, 2_000, 3_000])
      yield* pass(3_000)
      assert.deepStrictEqual(yield* crash, [2_000, 4_000, 6_000])
    })),

  check("a run that kills its workers does not exhaust the runs beside it", (t) =>
    Effect.gen(function*() {
      yield* t.sweep
      const steps = 20_000
      const poison = t.newRun("m-poison")
      const runs = ["a", "b", "c", "x", "y", "z"].map((name) => t.newRun(name))
      yield* t.enqueue(poison, ...runs)
      const queues = [poison, ...runs].map(({ queue }) => queue)
      const held = new Map<string, readonly [run: ClaimedRun, at: number]>()
      let deaths = 0
      let finished = 0
      // One worker after another: each dies when it claims the poison, with all that it holds.
      while (finished < runs.length || (yield* t.status(poison)) !== "exhausted") {
        assert.isBelow(deaths, 10)
        const worker = { id: t.id(`w-${deaths}`), incarnation: t.id("i") }
        yield* t.heartbeat(worker, 1_500)
        yield* value(t.driver.reap({ limit: 1_000, maxCrashes: 4 }))
        for (const run of yield* t.claim(queues, { worker })) held.set(run.id, [run, yield* now])
        if (held.has(poison.id)) {
          deaths++
          held.clear()
          yield* pass(1_501)
          continue
        }
        yield* pass(500)
        for (const [run, at] of held.values()) {
          if ((yield* now) - at < steps) continue
          yield* t.apply(run, { entries: entries(0, 1), transition: finish() })
          held.delete(run.id)
          finished++
        }
      }
      assert.deepStrictEqual(
        yield* Effect.forEach(runs, (run) => t.status(run)),
        runs.map(() => "completed" as const)
      )
    })),

  check(
    "a run that reaches the limit of crashes is exhausted, without an exit, with a message to its parent",
    (t) =>
      Effect.gen(function*() {
        yield* t.sweep
        const parent = yield* t.suspended("parent", Infinity, "child:token")
        const worker = yield* t.workerWith("w", 1_000)
        const link = { id: parent.id, token: "token", attached: true }
        const run = t.newRun("a", { parent: link })
        yield* t.enqueue(run)
        yield* t.claimOne(run, { worker })
        yield* pass(1_500)
        yield* t.reapAll(2)
        assert.strictEqual(yield* t.status(run), "pending")
        yield* t.heartbeat(worker, 1_000)
        const held = yield* t.claimOne(run, { worker })
        yield* pass(1_500)
        yield* t.reapAll(2)
        const record = yield* t.record(run)
        assert.deepStrictEqual(
          [record.status, record.crashes, record.exit, record.finishedAt, record.worker],
          ["exhausted", 2, null, yield* now, null]
        )
        const endCause = { _tag: "Exhausted", crashes: 2, worker: worker.id } as const
        assert.deepStrictEqual([record.endCause, record.detail], [endCause, null])
        assert.deepStrictEqual(yield* t.claim([run.queue]), [])
        assert.strictEqual((yield* t.commit(held, { transition: finish() }))._tag, "Lost")
        assert.deepStrictEqual(yield* t.deliver(signal(run.id, "x")), ["Expired"])
        const message = only((yield* t.claimOne(parent)).inbox)
        assert.deepStrictEqual([message.kind, message.name], ["child", "token"])
        assert.deepStrictEqual(endingOf(message), {
          child: run.id,
          status: "exhausted",
          exit: null,
          endCause
        })
      })
  ),

  check("a reaping releases at most `limit` runs", (t) =>
    Effect.gen(function*() {
      yield* t.sweep
      const worker = yield* t.workerWith("w", 1_000)
      yield* Effect.forEach(["a", "b", "c", "d", "e"], (name) => t.running(name, {}, worker))
      yield* pass(1_500)
      const sweep = value(t.driver.reap({ limit: 2, maxCrashes: 3 }))
      const released = (yield* Effect.all([sweep, sweep, sweep, sweep])).map((answer) => answer.released)
      assert.deepStrictEqual(released, [2, 2, 1, 0])
    })),

  check("concurrent reapings release each run once", (t) =>
    Effect.gen(function*() {
      yield* t.sweep
      const worker = yield* t.workerWith("w", 1_000)
      const held = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, n) => `run-${n}`),
        (name) => t.running(name, {}, worker)
      )
      yield* pass(1_500)
      const sweep = value(t.driver.reap({ limit: 7, maxCrashes: 9 }))
      const first = yield* Effect.all([sweep, sweep, sweep, sweep], { concurrency: "unbounded" })
      const rest = yield* value(t.driver.reap({ limit: 100, maxCrashes: 9 }))
      assert.strictEqual([...first, rest].reduce((sum, { released }) => sum + released, 0), 20)
      const crashes = yield* Effect.forEach(held, (run) => Effect.map(t.record(run), (record) => record.crashes))
      assert.deepStrictEqual(new Set(crashes), new Set([1]))
    })),

  check("a reconciliation releases the held runs that the worker does not list", (t) =>
    Effect.gen(function*() {
      const known = yield* t.running("known")
      const strays = yield* Effect.forEach(["a", "b"], (name) => t.running(name))
      const stranger = yield* t.workerWith("stranger", 10_000)
      const foreign = yield* t.running("foreign", {}, stranger)
      yield* pass(10)
      const recent = yield* t.running("recent")
      const answer = yield* value(
        t.driver.reconcile({ worker: t.worker, held: [known.id, t.id("unknown")], claimedBefore: start + 10 })
      )
      assert.deepStrictEqual(answer, { released: 2 })
      assert.deepStrictEqual(
        yield* Effect.forEach([known, foreign, recent, ...strays], (run) => t.status(run)),
        ["running", "running", "running", "pending", "pending"]
      )
      const again = yield* Effect.forEach(strays, (run) => t.claimOne(run))
      assert.deepStrictEqual(again.map(({ crashes, epoch }) => [crashes, epoch]), [[0, 2], [0, 2]])
    })),

  check(
    "a reconciliation compares the last claim, also of an insert, and only of its incarnation",
    (t) =>
      Effect.gen(function*() {
        const early = yield* t.suspended("early", start + 10)
        const inserted = t.newRun("inserted")
        yield* t.driver.enqueue({ runs: [inserted], claim: { worker: t.worker, capacity: 1 } })
        yield* pass(10)
        yield* t.claimOne(early)
        const other = { ...t.worker, incarnation: t.id("other") }
        const request = { held: [], claimedBefore: start + 10 }
        assert.deepStrictEqual(yield* value(t.driver.reconcile({ ...request, worker: other })), { released: 0 })
        assert.deepStrictEqual(yield* value(t.driver.reconcile({ ...request, worker: t.worker })), { released: 1 })
        assert.deepStrictEqual([yield* t.status(early), yield* t.status(inserted)], ["running", "pending"])
      })
  )
]
