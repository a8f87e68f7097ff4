/** Claims: which runs, in which order, with which contents. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { JournalError } from "perdure/Errors"
import type { WorkerRef } from "perdure/JournalDriver"
import { check, entries, finish, type Held, large, now, pass, signal, start, suspend } from "../Fixture.js"

export const claim = [
  check(
    "a claim takes runs by priority, equal ones from its queues in rotation, in a queue by readiness, then id",
    (t) =>
      Effect.gen(function*() {
        const queue = t.id("queue")
        const other = t.id("other")
        yield* t.enqueue(
          t.newRun("e", { queue, priority: 5 }),
          t.newRun("d", { queue: other, priority: 1, availableAt: start - 1_000 }),
          t.newRun("b", { queue, priority: 1, availableAt: start - 2_000 }),
          t.newRun("a", { queue: other, priority: 1, availableAt: start - 2_000 }),
          t.newRun("f", { queue, priority: 1, availableAt: start - 1_500 }),
          t.newRun("g", { queue, priority: 1, availableAt: start - 1_500 }),
          t.newRun("c", { queue, priority: -3 })
        )
        const claimed = yield* t.claim([queue, other])
        assert.deepStrictEqual(
          claimed.map(({ id }) => id),
          ["c", "b", "a", "f", "d", "g", "e"].map((name) => t.id(name))
        )
      })
  ),

  check("a claim takes the first `limit` runs and leaves the others", (t) =>
    Effect.gen(function*() {
      const queue = t.id("queue")
      yield* t.enqueue(...[3, 1, 4, 2, 0].map((n) => t.newRun(`run-${n}`, { queue, priority: n })))
      const first = yield* t.claim([queue], { limit: 2 })
      const second = yield* t.claim([queue], { limit: 2 })
      const third = yield* t.claim([queue], { limit: 2 })
      assert.deepStrictEqual(
        [first, second, third].map((runs) => runs.map(({ priority }) => priority)),
        [[0, 1], [2, 3], [4]]
      )
    })),

  check("a claim takes no run of a workflow, version or queue that it does not name", (t) =>
    Effect.gen(function*() {
      const queue = t.id("queue")
      const { name, version } = t.workflow
      const other = { name: `${name}-other`, version: "2" }
      yield* t.enqueue(
        t.newRun("workflow", { queue, workflow: other.name }),
        t.newRun("version", { queue, version: other.version }),
        t.newRun("queue", { queue: t.id("elsewhere") }),
        t.newRun("mine", { queue })
      )
      // The claim names both the name and the version, but of two workflows.
      const workflows = [t.workflow, other]
      assert.deepStrictEqual((yield* t.claim([queue], { workflows })).map(({ id }) => id), [t.id("mine")])
      assert.deepStrictEqual(yield* t.claim([queue], { workflows: [] }), [])
      assert.deepStrictEqual(yield* t.claim([]), [])
      const rest = yield* t.claim([queue, t.id("elsewhere")], {
        workflows: [{ name: other.name, version }, { name, version: "2" }, t.workflow]
      })
      assert.deepStrictEqual(
        new Set(rest.map(({ id }) => id)),
        new Set(["workflow", "version", "queue"].map((n) => t.id(n)))
      )
    })),

  check(
    "a claimed run is running, has the worker as its holder, and has the fields of its insert",
    (t) =>
      Effect.gen(function*() {
        const parent = { id: t.id("parent"), token: "token", attached: true }
        const request = t.newRun("a", { idempotencyKey: "key", priority: 2, parent, root: parent.id, depth: 1 })
        yield* t.enqueue(request)
        yield* pass(5)
        const claimed = yield* t.claimOne(request)
        const { attributes: _1, availableAt: _2, expiresAt: _3, singleton: _5, tags: _4, ...fields } = request
        assert.deepStrictEqual(claimed, {
          ...fields,
          seed: request.id,
          inherited: 0,
          epoch: 1,
          generation: 0,
          nextSeq: 0,
          createdAt: start,
          startedAt: start + 5,
          seen: 0,
          crashes: 0,
          journal: [],
          inbox: []
        })
        const record = yield* t.record(request)
        assert.deepStrictEqual(
          [record.status, record.worker, record.epoch, record.startedAt],
          ["running", t.worker.id, 1, start + 5]
        )
      })
  ),

  check(
    "each claim of a run increments its epoch; startedAt stays that of the first claim",
    (t) =>
      Effect.gen(function*() {
        const first = yield* t.running("a")
        yield* pass(10)
        yield* t.apply(first, { transition: { _tag: "Release", at: yield* now } })
        const second = yield* t.claimOne(first)
        yield* t.apply(second, { transition: suspend(yield* now) })
        const third = yield* t.claimOne(first)
        assert.deepStrictEqual([first, second, third].map(({ epoch }) => epoch), [1, 2, 3])
        assert.deepStrictEqual([first, second, third].map(({ startedAt }) => startedAt), [start, start, start])
      })
  ),

  check("a run that a worker holds is claimed by no worker, not even by its holder", (t) =>
    Effect.gen(function*() {
      const held = yield* t.running("a")
      const other = yield* t.workerWith("other", 1_000)
      assert.deepStrictEqual(yield* t.claim([held.queue]), [])
      assert.deepStrictEqual(yield* t.claim([held.queue], { worker: other }), [])
    })),

  check("final and diverged runs are never claimed", (t) =>
    Effect.gen(function*() {
      const done = yield* t.running("done")
      const diverged = yield* t.running("diverged")
      yield* t.apply(done, { transition: finish() })
      yield* t.apply(diverged, { transition: { _tag: "Diverge", detail: "{}" } })
      assert.deepStrictEqual(yield* t.claim([done.queue, diverged.queue]), [])
    })),

  check(
    "a claimed run has its journal, its unread messages in order, and the inbox sequence that they are complete up to",
    (t) =>
      Effect.gen(function*() {
        const first = yield* t.running("a")
        const wrote = entries(0, 12)
        yield* t.deliver(signal(first.id, "x"), signal(first.id, "y"), signal(first.id, "z"))
        const inbox = yield* t.inbox(first)
        const read = inbox.messages[1]?.ordinal ?? -1
        const next = yield* t.apply(first, { entries: wrote.slice(0, 5) })
        yield* t.apply(next, {
          entries: wrote.slice(5),
          consumed: [read],
          seen: inbox.seen,
          transition: suspend(start)
        })
        const again = yield* t.claimOne(first)
        assert.deepStrictEqual(again.journal, wrote)
        assert.strictEqual(again.nextSeq, 12)
        assert.strictEqual(again.seen, inbox.seen)
        assert.deepStrictEqual(again.inbox, inbox.messages.filter(({ ordinal }) => ordinal !== read))
        assert.deepStrictEqual(again.inbox.map(({ at, kind, name, run }) => ({ at, kind, name, run })), [
          { at: start, kind: "signal", name: "x", run: first.id },
          { at: start, kind: "signal", name: "z", run: first.id }
        ])
      })
  ),

  check(
    "a claimed run has no journal if the worker has a hot machine at its sequence number, and only then",
    (t) =>
      Effect.gen(function*() {
        const queue = t.id("queue")
        yield* t.enqueue(...["a", "b", "c"].map((name) => t.newRun(name, { queue })))
        const held = yield* t.claim([queue])
        yield* Effect.forEach(held, (run) => t.apply(run, { entries: entries(0, 3), transition: suspend(start) }))
        yield* t.deliver(signal(t.id("a"), "x"))
        const again = yield* t.claim([queue], { hot: new Map([[t.id("a"), 3], [t.id("b"), 2], [t.id("z"), 3]]) })
        const journals = new Map(again.map(({ id, journal }) => [id, journal.length]))
        assert.deepStrictEqual(journals, new Map([[t.id("a"), 0], [t.id("b"), 3], [t.id("c"), 3]]))
        assert.strictEqual(again.find(({ id }) => id === t.id("a"))?.inbox.length, 1)
      })
  ),

  check(
    "nextDue of a claim is when the next run that the worker can execute becomes available",
    (t) =>
      Effect.gen(function*() {
        const queue = t.id("queue")
        const sleeping = yield* t.running("sleeping", { queue })
        assert.strictEqual((yield* t.claimAnswer([queue])).nextDue, null)
        yield* t.enqueue(
          t.newRun("never", { queue, availableAt: Infinity }),
          t.newRun("elsewhere", { queue: t.id("elsewhere"), availableAt: start + 1 }),
          t.newRun("workflow", { queue, workflow: `${t.workflow.name}-other`, availableAt: start + 2 }),
          t.newRun("version", { queue, version: "2", availableAt: start + 3 })
        )
        assert.strictEqual((yield* t.claimAnswer([queue])).nextDue, null)
        yield* t.enqueue(t.newRun("delayed", { queue, priority: 5, availableAt: start + 500 }))
        assert.strictEqual((yield* t.claimAnswer([queue])).nextDue, start + 500)
        yield* t.apply(sleeping, { transition: suspend(start + 400) })
        assert.strictEqual((yield* t.claimAnswer([queue])).nextDue, start + 400)
        yield* pass(400)
        const due = yield* t.claimAnswer([queue])
        assert.deepStrictEqual(due.runs.map(({ id }) => id), [sleeping.id])
        assert.strictEqual(due.nextDue, start + 500)
      })
  ),

  check("nextDue of a claim ignores runs that are already available", (t) =>
    Effect.gen(function*() {
      const queue = t.id("queue")
      yield* t.enqueue(t.newRun("a", { queue }), t.newRun("b", { queue }))
      const answer = yield* t.claimAnswer([queue], { limit: 1 })
      assert.strictEqual(answer.runs.length, 1)
      assert.strictEqual(answer.nextDue, null)
    })),

  check("concurrent claims give each run to one worker", (t) =>
    Effect.gen(function*() {
      const queue = t.id("queue")
      yield* t.enqueue(...Array.from({ length: 40 }, (_, n) => t.newRun(`run-${n}`, { queue })))
      const workers = yield* Effect.forEach([1, 2, 3, 4], (n) => t.workerWith(`worker-${n}`, 10_000))
      const drain = (worker: WorkerRef): Effect.Effect<ReadonlyArray<string>, JournalError> =>
        Effect.flatMap(t.claim([queue], { worker, limit: 5 }), (runs) =>
          runs.length === 0
            ? Effect.succeed([])
            : Effect.map(drain(worker), (more) => [...runs.map(({ id }) => id), ...more]))
      const shares = yield* Effect.forEach(workers, drain, { concurrency: "unbounded" })
      // A claim can skip rows that a concurrent claim has locked.
      const claimed = [...shares.flat(), ...(yield* drain(t.worker))]
      assert.strictEqual(claimed.length, 40)
      assert.strictEqual(new Set(claimed).size, 40)
    })),

  check("a claimed run has its whole journal and inbox, however large they are", (t) =>
    Effect.gen(function*() {
      const queue = t.id("queue")
      const first = yield* t.running("a", { queue })
      const second = yield* t.running("b", { queue })
      const sizes = { [first.id]: [4, 4], [second.id]: [1, 0] }
      for (const run of [first, second]) {
        const [wrote = 0, sent = 0] = sizes[run.id] ?? []
        let held: Held = run
        for (let n = 0; n < wrote; n++) {
          held = yield* t.apply(held, { entries: entries(n, 1).map((entry) => ({ ...entry, exit: large })) })
        }
        for (let n = 0; n < sent; n++) {
          yield* t.deliver(signal(run.id, "x", { payload: large.value ?? "" }))
        }
        yield* t.apply(held, { transition: { _tag: "Release", at: start } })
      }
      const claimed = yield* t.claim([queue])
      assert.deepStrictEqual(
        claimed.toSorted((a, b) => a.id < b.id ? -1 : 1).map(({ id, inbox, journal }) => [
          id,
          journal.map(({ seq }) => seq),
          inbox.length
        ]),
        [[first.id, [0, 1, 2, 3], 4], [second.id, [0], 0]]
      )
      for (const { inbox, journal, seen } of claimed) {
        assert.isTrue(journal.every(({ exit }) => exit.value === large.value))
        assert.strictEqual(seen, inbox.at(-1)?.ordinal ?? 0)
        assert.deepStrictEqual(
          inbox.map(({ ordinal }) => ordinal),
          inbox.map(({ ordinal }) => ordinal).toSorted((a, b) => a - b)
        )
      }
    }))
]
