/** The exact number of statements of each operation, counted where `pg` sends them. */
import { assert, describe, it } from "@effect/vitest"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Calendar from "perdure/Calendar"
import { Journal } from "perdure/Journal"
import { JournalDriver } from "perdure/JournalDriver"
import * as RunSchedule from "perdure/RunSchedule"
import * as Worker from "perdure/Worker"
import * as Workflow from "perdure/Workflow"
import * as Pg from "pg"
import { vi } from "vitest"
import { claim, commitOf, driverOn, finish, held, newRun, server, signal, worker } from "./support/driver.js"

/** A driver on a fresh database, and a counter of the statements that an effect sends by any client of this process. */
const counted = Effect.gen(function*() {
  const { url } = yield* TestDatabase.freshOn(server)
  const spy = yield* Effect.acquireRelease(
    Effect.sync(() => vi.spyOn(Pg.Client.prototype, "query")),
    (spy) => Effect.sync(() => spy.mockRestore())
  )
  const driver = yield* driverOn(url)
  const count = <A, E>(self: Effect.Effect<A, E>) =>
    Effect.gen(function*() {
      spy.mockClear()
      yield* self
      // Hints to other processes are sent in the background, possibly for earlier operations.
      return spy.mock.calls.filter(([query]) => !JSON.stringify(query ?? "").includes("/* perdure:notify:")).length
    })
  return { driver, count }
})

const ids = (prefix: string, count: number) => Array.from({ length: count }, (_, n) => `${prefix}-${n}`)

const Job = Workflow.make("Job", { payload: { n: Schema.Number } })

/** A process with a registered workflow, on a driver. */
const processOn = (driver: JournalDriver) =>
  Effect.map(
    Layer.build(
      Job.toLayer(() => Effect.void).pipe(
        Layer.provideMerge(Layer.provide(Journal.layer(), Layer.succeed(JournalDriver, driver)))
      )
    ),
    (context) => ({
      context,
      use: <A, E>(effect: Effect.Effect<A, E, Journal>) => Effect.provide(effect, context)
    })
  )

describe("the number of statements", () => {
  it.scopedLive("is 1 for an insert of 1 or 1,000 runs", () =>
    Effect.gen(function*() {
      const { count, driver } = yield* counted
      assert.strictEqual(yield* count(driver.enqueue({ runs: [newRun("a")], claim: null })), 1)
      assert.strictEqual(yield* count(driver.enqueue({ runs: [newRun("b")], claim: { worker, capacity: 1 } })), 1)
      const runs = ids("bulk", 1_000).map((id) => newRun(id, { idempotencyKey: id }))
      assert.strictEqual(yield* count(driver.enqueue({ runs, claim: null })), 1)
      assert.strictEqual(yield* count(driver.enqueue({ runs, claim: null })), 1, "again")
    }))

  it.scopedLive("is 1 for a claim of new runs, 2 with journals and inboxes", () =>
    Effect.gen(function*() {
      const { count, driver } = yield* counted
      yield* driver.enqueue({ runs: ids("a", 100).map((id) => newRun(id)), claim: null })
      assert.strictEqual(yield* count(claim(driver)), 1)
      const asleep = ids("a", 100).map((id) =>
        commitOf(id, { transition: { _tag: "Suspend", until: 0, waiting: ["signal:s"] } })
      )
      assert.strictEqual(yield* count(driver.commit({ worker, commits: asleep })), 1, "suspending 100 runs")
      yield* driver.deliver(ids("a", 50).map((id) => signal(id, "m")))
      assert.strictEqual(yield* count(claim(driver)), 2)
      yield* driver.commit({
        worker,
        commits: ids("a", 50).map((id) =>
          commitOf(id, {
            epoch: 2,
            from: 1,
            consumed: [1],
            seen: 1,
            transition: { _tag: "Suspend", until: 0, waiting: [] }
          })
        )
      })
      const hot = driver.claim({
        worker,
        workflows: [{ name: "flow", version: "1" }],
        queues: ["q"],
        limit: 100,
        hot: new Map(ids("a", 50).map((id) => [id, 2]))
      })
      assert.strictEqual(yield* count(hot), 1, "held hot, and nothing unread")
    }))

  it.scopedLive("is 1 for any commits of any number of runs", () =>
    Effect.gen(function*() {
      const { count, driver } = yield* counted
      yield* held(driver, "parent", "friend", ...ids("a", 500), ...ids("b", 500))
      const plain = ids("a", 500).map((id) => commitOf(id))
      assert.strictEqual(yield* count(driver.commit({ worker, commits: plain })), 1)
      yield* driver.deliver([signal("b-0", "m")])
      const rich = ids("b", 500).map((id, n) =>
        commitOf(id, {
          seen: n === 0 ? 1 : 0,
          consumed: n === 0 ? [1] : [],
          children: [newRun(`${id}.0`, { parent: { id, token: "0", attached: true } })],
          messages: [signal("friend", id)],
          published: [{ key: "k", value: "1" }],
          closes: n % 2 === 0 ? ["s"] : [],
          transition: n % 3 === 0 ? finish : n % 3 === 1 ? { _tag: "Suspend", until: Infinity, waiting: [] } : null
        })
      )
      assert.strictEqual(yield* count(driver.commit({ worker, commits: rich })), 1)
      const children = yield* claim(driver)
      assert.strictEqual(children.length, 500)
      const ends = children.map(({ epoch, id }) => commitOf(id, { epoch, transition: finish }))
      assert.strictEqual(yield* count(driver.commit({ worker, commits: ends })), 1, "children that end")
    }))

  it.scopedLive("is 4 in a transaction for a start with a singleton key, 5 after its last run has ended", () =>
    Effect.gen(function*() {
      const { count, driver } = yield* counted
      const single = (id: string) =>
        driver.enqueue({ runs: [newRun(id, { singleton: { key: "k", debounce: null } })], claim: null })
      assert.strictEqual(yield* count(single("a")), 4, "a new one")
      assert.strictEqual(yield* count(single("b")), 4, "one that joins")
      const [run] = yield* claim(driver)
      assert.strictEqual(run?.id, "a")
      yield* driver.commit({ worker, commits: [commitOf("a", { transition: finish })] })
      assert.strictEqual(yield* count(single("c")), 5, "one after the end of another")
    }))

  it.scopedLive("is 1 for a search for due schedules, and 4 more in a transaction to fire 100", () =>
    Effect.gen(function*() {
      const { count, driver } = yield* counted
      const { use } = yield* processOn(driver)
      const { scheduleLoop } = yield* use(Worker.makeCore({}))
      assert.strictEqual(yield* count(scheduleLoop.runOnce), 1, "no schedule is due")
      const hours = (prefix: string, overlap: RunSchedule.Overlap) =>
        Effect.forEach(ids(prefix, 50), (name, n) =>
          use(RunSchedule.put(
            RunSchedule.make(name, { workflow: Job, payload: { n }, calendar: Calendar.every("1 hour"), overlap })
          )))
      yield* hours("a", "skip")
      yield* hours("b", "allow")
      assert.strictEqual(yield* count(scheduleLoop.runOnce), 1, "none is due")
      const due = Effect.gen(function*() {
        const { value } = yield* driver.schedules({ names: null, after: null, limit: 100 })
        const schedules = value.map((record) => ({
          ...record,
          dueAt: 0,
          state: record.state.replace(/"slot":\d+/, "\"slot\":3600000")
        }))
        assert.strictEqual((yield* driver.writeSchedules({ schedules, hint: false })).value.length, 100)
      })
      yield* due
      assert.strictEqual(yield* count(scheduleLoop.runOnce), 5, "look, begin, advance, start, commit")
      const counts = yield* driver.queueCounts({ names: ["default"], limit: 1_000 })
      assert.strictEqual(counts.value[0]?.ready, 100)
      yield* due
      assert.strictEqual(yield* count(scheduleLoop.runOnce), 6, "as before, and the runs that these slots have had")
      assert.strictEqual((yield* driver.queueCounts({ names: ["default"], limit: 1_000 })).value[0]?.ready, 100)
    }))

  it.scopedLive("is 3 to store all definitions of a process, and that of firing for a trigger", () =>
    Effect.gen(function*() {
      const { count, driver } = yield* counted
      const { context, use } = yield* processOn(driver)
      const [first, ...others] = ids("s", 100).map((name, n) =>
        RunSchedule.make(name, { workflow: Job, payload: { n }, calendar: Calendar.every("1 hour") }).layer
      )
      const all = Layer.mergeAll(first ?? Layer.empty, ...others)
      const build = Effect.scoped(Effect.provide(Layer.build(all), context))
      assert.strictEqual(yield* count(build), 3, "read, write, see")
      assert.strictEqual(yield* count(build), 2, "read, see")
      assert.lengthOf((yield* driver.schedules({ names: null, after: null, limit: 200 })).value, 100)
      yield* Effect.provide(Layer.build(all), context)
      const trigger = use(RunSchedule.trigger("s-1"))
      assert.strictEqual(yield* count(trigger), 5, "read, begin, change, start, commit")
      const many = Effect.all(Array.from({ length: 40 }, () => trigger), { concurrency: "unbounded" })
      assert.strictEqual(yield* count(many), 200, "one after the other: none is in another's way")
    }))

  it.scopedLive("is 2 if a commit is lost", () =>
    Effect.gen(function*() {
      const { count, driver } = yield* counted
      yield* held(driver, "a", "b")
      assert.strictEqual(
        yield* count(driver.commit({ worker, commits: [commitOf("a", { epoch: 7 }), commitOf("b")] })),
        2
      )
    }))

  it.scopedLive("is 1 for each delivery, read and heartbeat", () =>
    Effect.gen(function*() {
      const { count, driver } = yield* counted
      yield* held(driver, "a", "b")
      const once: Readonly<Record<string, Effect.Effect<unknown, unknown>>> = {
        "deliver 1": driver.deliver([signal("a", "1")]),
        "deliver 2": driver.deliver([signal("a", "2"), signal("b", "2")]),
        "inbox": driver.inbox([{ run: "a", after: 0 }, { run: "b", after: 0 }]),
        "heartbeat": driver.heartbeat({ worker, leaseMillis: 1_000, info: null }),
        "workers": driver.workers({ id: null, after: null, limit: 10 }),
        "samples": driver.samples({ worker: worker.id, limit: 10 }),
        "pong": driver.pong({ worker, nonce: "none" }),
        "get": driver.get(["a", "b"]),
        "await": driver.await(["a", "b"]),
        "history": driver.history({ run: "a", from: 0, limit: 10 }),
        "published": driver.published("a"),
        "reap": driver.reap({ limit: 10, maxCrashes: 3 }),
        "reconcile": driver.reconcile({ worker, held: ["a", "b"], claimedBefore: Infinity }),
        "resume": driver.resume({ runs: ["a"], by: null, reason: null })
      }
      for (const [name, operation] of Object.entries(once)) assert.strictEqual(yield* count(operation), 1, name)
    }))
})
