/** The committer: how commits are put into statements, and what follows from the results. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { JournalError } from "perdure/Errors"
import { Committer } from "perdure/internal/worker/Committer"
import type { Hold } from "perdure/internal/worker/Hold"
import type { CommitResult, JournalDriver, RunCommit } from "perdure/JournalDriver"
import * as Step from "perdure/Step"
import * as Worker from "perdure/Worker"
import * as Workflow from "perdure/Workflow"
import { makeWorld, shown, type Workflows } from "../../fixtures/world.js"

const Job = Workflow.make("Job", { payload: { n: Schema.Number }, success: Schema.Number })

const fault = (code: JournalError["code"]) =>
  new JournalError({ code, operation: "commit", detail: "simulated", retryable: code !== "Refused" })

type Commit = JournalDriver["commit"]

/** A worker whose loops are not started, with the commits that it sent to storage. */
const byHand = (
  workflows: Workflows,
  options: Worker.WorkerOptions,
  change: (commit: Commit) => Commit = (commit) => commit
) =>
  Effect.gen(function*() {
    const sent: Array<ReadonlyArray<RunCommit>> = []
    const world = yield* makeWorld((driver) => {
      const commit = change(driver.commit)
      return {
        ...driver,
        commit: (request) => {
          const { commits } = request
          return Effect.zipRight(Effect.sync(() => sent.push(commits)), commit(request))
        }
      }
    })
    // A process registers the workflow and lends its journal; its own worker serves another queue.
    const process = yield* world.launch(workflows, { queues: ["other"] })
    const core = yield* process.use(Worker.makeCore({ id: "by-hand", ...options }))
    yield* core.lease.beat
    return { world, core, sent, journal: process.journal }
  })

const at = Job.toLayer(({ n }) => Effect.succeed(n))

const payloads = (count: number) => Array.from({ length: count }, (_, n) => ({ n }))

describe("a batch of commits", () => {
  const cases = [
    { commitBatch: 3, runs: 8, statements: [3, 3, 2] },
    { commitBatch: 4, runs: 8, statements: [4, 4] },
    { commitBatch: 1, runs: 2, statements: [1, 1] },
    { commitBatch: 250, runs: 8, statements: [8] }
  ]
  it.scoped.each(cases)(
    "of $runs runs is written by statements of at most $commitBatch",
    ({ commitBatch, runs, statements }) =>
      Effect.gen(function*() {
        const { core, sent, world } = yield* byHand(at, { commitBatchSize: commitBatch })
        yield* world.use(Job.startAll(payloads(runs)))
        assert.strictEqual(yield* core.claimer.runOnce, runs)
        assert.isFalse(core.committer.isIdle)
        for (const size of statements) assert.strictEqual(yield* core.committer.runOnce, size)
        assert.strictEqual(yield* core.committer.runOnce, 0)
        assert.deepStrictEqual(sent.map(({ length }) => length), statements)
        assert.strictEqual(new Set(sent.flat().map(({ run }) => run)).size, runs, "each run once")
        assert.isTrue(core.committer.isIdle)
      })
  )

  it.scoped.each([1, 2, 4])(
    "is written by at most %i statements at a time",
    (commitsInFlight) =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const count = { now: 0, most: 0 }
        const world = yield* makeWorld((driver) => ({
          ...driver,
          commit: (request) =>
            Effect.acquireUseRelease(
              Effect.sync(() => {
                count.most = Math.max(count.most, ++count.now)
              }),
              () => Effect.zipRight(Deferred.await(gate), driver.commit(request)),
              () => Effect.sync(() => void count.now--)
            )
        }))
        yield* world.launch(at, { commitsInFlight, commitBatchSize: 1 })
        const runs = yield* world.use(Job.startAll(payloads(8)))
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(count, { now: commitsInFlight, most: commitsInFlight })
        yield* Deferred.succeed(gate, undefined)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(count.most, commitsInFlight)
        const ended = yield* Effect.forEach(runs, ({ record }) => Effect.map(record, ({ status }) => status))
        assert.deepStrictEqual(ended, runs.map(() => "completed"))
      })
  )
})

describe("a commit without a result", () => {
  const losses = [
    { when: "before", code: "Unavailable" },
    { when: "before", code: "Conflict" },
    { when: "after", code: "OutcomeUnknown" }
  ] as const
  it.scoped.each(losses)(
    "is sent again unchanged ($code): no later step starts before it, and later content waits",
    ({ code, when }) =>
      Effect.gen(function*() {
        let left = 3
        const started: Array<string> = []
        const late = yield* Deferred.make<void>()
        const step = (name: string, body: Effect.Effect<void>) =>
          Step.run(name, Effect.zipRight(Effect.sync(() => void started.push(name)), body))
        const { core, sent, world } = yield* byHand(
          Job.toLayer(({ n }) =>
            Effect.as(
              Effect.all(
                [Effect.zipRight(step("a", Effect.void), step("b", Effect.void)), step("late", Deferred.await(late))],
                { concurrency: 2 }
              ),
              n
            )
          ),
          {},
          (commit) => (request) =>
            Effect.suspend(() =>
              left-- <= 0
                ? commit(request)
                : when === "before"
                ? fault(code)
                : Effect.zipRight(commit(request), fault(code))
            )
        )
        const run = yield* world.use(Job.start({ n: 1 }))
        assert.strictEqual(yield* core.claimer.runOnce, 1)
        yield* Effect.yieldNow()
        const writing = yield* Effect.fork(core.committer.runOnce)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(core.committer.inFlight, 1)
        // The run gets new content while its commit is on its way.
        yield* Deferred.succeed(late, undefined)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(yield* core.committer.runOnce, 0, "one commit of a run at a time")
        assert.deepStrictEqual(started, ["a", "late"])
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* Fiber.join(writing), 1)
        const [first, ...again] = sent.splice(0)
        assert.deepStrictEqual(first?.flatMap(({ entries }) => entries.map(({ name }) => name)), ["a"])
        assert.deepStrictEqual(again, [first, first, first])
        assert.deepStrictEqual(started, ["a", "late", "b"])
        assert.strictEqual(core.committer.inFlight, 0)
        assert.strictEqual(yield* core.committer.runOnce, 1)
        const [[next] = []] = sent
        assert.deepInclude(next, { from: 1 })
        assert.deepInclude(next?.transition, { _tag: "Finish", status: "completed" })
        assert.deepStrictEqual(shown(yield* world.history(run.id)), ["step a", "step late", "step b"])
      })
  )
})

describe("a run whose commits are always refused", () => {
  it.scoped.each([1, 100])(
    "is dropped after a few statements (of at most %i runs), and other runs continue",
    (commitBatch) =>
      Effect.gen(function*() {
        const culprits = new Set<string>()
        const seen: Array<ReadonlyArray<string>> = []
        const world = yield* makeWorld((driver) => ({
          ...driver,
          commit: (request) =>
            Effect.suspend(() => {
              const runs = request.commits.map(({ run }) => run)
              if (!runs.some((run) => culprits.has(run))) return driver.commit(request)
              seen.push(runs)
              // Ends the test even if the worker repeats the commit without a pause.
              return seen.length > 20 ? Effect.never : fault("Refused")
            })
        }))
        const gate = yield* Deferred.make<void>()
        const { worker } = yield* world.launch(
          Job.toLayer(({ n }) => Effect.as(Step.run("wait", Deferred.await(gate)), n)),
          { commitBatchSize: commitBatch, commitsInFlight: 1 }
        )
        const runs = yield* world.use(Job.startAll(payloads(5)))
        yield* TestClock.adjust("1 second")
        const culprit = runs[2]?.id ?? ""
        culprits.add(culprit)
        yield* Deferred.succeed(gate, undefined)
        yield* TestClock.adjust("10 hours")
        // With others, alone, and to park it.
        assert.isAtMost(seen.length, 3)
        assert.isAtLeast(seen.length, 2)
        assert.isFalse(worker.core.holds(culprit))
        assert.isTrue(worker.core.committer.isIdle)
        const later = yield* world.use(Job.start({ n: 7 }))
        yield* TestClock.adjust("1 second")
        const ended = yield* Effect.forEach(
          [...runs, later],
          ({ record }) => Effect.map(record, ({ status }) => status)
        )
        assert.deepStrictEqual(ended, ["completed", "completed", "running", "completed", "completed", "completed"])
      })
  )

  it.scoped("is tried again at intervals", () =>
    Effect.gen(function*() {
      let refusals = 0
      const world = yield* makeWorld((driver) => ({
        ...driver,
        commit: () =>
          Effect.suspend(() => {
            refusals++
            return refusals > 1000 ? Effect.never : fault("Refused")
          })
      }))
      yield* world.launch(at, { leaseDuration: "15 seconds" })
      yield* world.use(Job.start({ n: 1 }))
      yield* TestClock.adjust("10 minutes")
      assert.isAbove(refusals, 10)
      // Two for each claim, and at most one claim in five seconds.
      assert.isAtMost(refusals, 2 * 10 * 60 / 5)
    }))
})

describe("a statement of commits", () => {
  it.scoped("is bounded in size: large results are spread over several, and one that is larger goes alone", () =>
    Effect.gen(function*() {
      const { core, journal, sent, world } = yield* byHand(at, {})
      const committer = new Committer(journal, core.ref, 250, 400)
      const taken = new Set<Hold>()
      core.committer.add = (hold) => void taken.add(hold)
      yield* world.use(Job.startAll([1, 2, 3, 4, 5].map((n) => ({ n }))))
      assert.strictEqual(yield* core.claimer.runOnce, 5)
      const holds = [...taken]
      assert.lengthOf(holds, 5)
      for (const hold of holds) committer.add(hold)
      const sizes = holds.map(({ commitSize }) => commitSize)
      assert.isTrue(sizes.every((size) => size > 0), String(sizes))
      let written = 0
      while (written < 5) written += yield* committer.runOnce
      const most = Math.max(1, Math.floor(400 / Math.max(...sizes)))
      assert.isTrue(sent.every(({ length }) => length <= most), String(sent.map(({ length }) => length)))
    }))

  it.scoped.each([
    { deaths: 1, runs: 1, ends: "completed" },
    { deaths: 1, runs: 5, ends: "completed" },
    { deaths: 2, runs: 1, ends: "completed" }
  ])(
    "of $runs runs whose driver dies $deaths times is written again",
    ({ deaths, ends, runs }) =>
      Effect.gen(function*() {
        let left = deaths
        const world = yield* makeWorld((driver) => ({
          ...driver,
          commit: (request) => Effect.suspend(() => left-- > 0 ? Effect.die("the driver died") : driver.commit(request))
        }))
        const { worker } = yield* world.launch(at)
        const started = yield* world.use(Job.startAll(payloads(runs)))
        yield* TestClock.adjust("10 seconds")
        const statuses = yield* Effect.forEach(started, ({ record }) => Effect.map(record, ({ status }) => status))
        assert.deepStrictEqual(statuses, started.map(() => ends))
        assert.isTrue(worker.core.committer.isIdle)
      })
  )

  it.scoped("of which one always kills the driver parks that run only", () =>
    Effect.gen(function*() {
      let culprit = ""
      const world = yield* makeWorld((driver) => ({
        ...driver,
        commit: (request) =>
          Effect.suspend(() =>
            request.commits.some(({ run, transition }) => run === culprit && transition?._tag === "Finish")
              ? Effect.die(new RangeError("Invalid string length"))
              : driver.commit(request)
          )
      }))
      const gate = yield* Deferred.make<void>()
      yield* world.launch(Job.toLayer(({ n }) => Effect.as(Step.run("wait", Deferred.await(gate)), n)))
      const runs = yield* world.use(Job.startAll(payloads(5)))
      yield* TestClock.adjust("1 second")
      culprit = runs[2]?.id ?? ""
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("10 seconds")
      const records = yield* Effect.forEach(runs, ({ record }) => record)
      assert.deepStrictEqual(
        records.map(({ status }) => status),
        ["completed", "completed", "diverged", "completed", "completed"]
      )
      assert.include(records[2]?.detail ?? "", "Invalid string length")
    }))

  it.scoped("is written again for a run whose row was locked, without others, and is applied once", () =>
    Effect.gen(function*() {
      let culprit = ""
      let locks = 3
      const batches: Array<ReadonlyArray<string>> = []
      const world = yield* makeWorld((driver) => ({
        ...driver,
        commit: (request) =>
          Effect.suspend(() => {
            const runs = request.commits.map(({ run }) => run)
            batches.push(runs)
            if (!runs.includes(culprit) || locks-- <= 0) return driver.commit(request)
            const others = request.commits.filter(({ run }) => run !== culprit)
            return Effect.map(driver.commit({ ...request, commits: others }), ({ now, value }) => {
              const results = value.values()
              return {
                now,
                value: runs.map((run): CommitResult =>
                  run === culprit ? { _tag: "Locked" } : results.next().value ?? { _tag: "Lost" }
                )
              }
            })
          })
      }))
      const gate = yield* Deferred.make<void>()
      yield* world.launch(Job.toLayer(({ n }) => Effect.as(Step.run("wait", Deferred.await(gate)), n)))
      const runs = yield* world.use(Job.startAll(payloads(5)))
      yield* TestClock.adjust("1 second")
      culprit = runs[2]?.id ?? ""
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("100 millis")
      const early = yield* Effect.forEach(runs, ({ record }) => Effect.map(record, ({ status }) => status))
      assert.deepStrictEqual(early, ["completed", "completed", "running", "completed", "completed"])
      yield* TestClock.adjust("5 seconds")
      const late = yield* Effect.forEach(runs, ({ record }) => Effect.map(record, ({ status }) => status))
      assert.deepStrictEqual(late, runs.map(() => "completed"))
      assert.deepStrictEqual(shown(yield* world.history(culprit)), ["step wait"])
      const again = batches.filter((batch) => batch.includes(culprit)).slice(1)
      assert.isTrue(again.every((batch) => batch.length === 1), JSON.stringify(again))
    }))
})
