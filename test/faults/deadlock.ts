/**
 * The order of locks. First as a rule: an operation that waits for a row has locked no row of a greater id. Then under
 * load: many concurrent operations on the same runs in opposing orders cause no deadlock.
 */
import { assert, describe, it } from "@effect/vitest"
import * as PgJournal from "@perdure/postgres/PgJournal"
import { freshOn, type Server } from "@perdure/testing/TestDatabase"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import { JournalDriver, type NewRun, type RunCommit, type WorkerRef } from "perdure/JournalDriver"
import { connect, type Database } from "./harness.js"

const newRun = (id: string, parent: string | null = null, workflow = "W"): NewRun => ({
  id,
  workflow,
  version: "1",
  queue: "default",
  priority: 0,
  payload: "{}",
  idempotencyKey: null,
  availableAt: null,
  parent: parent === null ? null : { id: parent, token: `0:${id}`, attached: true },
  root: parent ?? id,
  depth: parent === null ? 0 : 1,
  key: null,
  expiresAt: null,
  tags: [],
  attributes: {},
  singleton: null
})

const emptyCommit = (run: string, epoch: number): RunCommit => ({
  run,
  epoch,
  from: 0,
  entries: [],
  consumed: [],
  children: [],
  messages: [],
  published: [],
  closes: [],
  seen: 0,
  transition: null
})

const message = (to: string, id: string) => ({ to, kind: "signal", name: "s", id, payload: "1" } as const)

const driverOf = (url: string, applicationName: string) =>
  Effect.map(
    Layer.build(PgJournal.layerDriver({ url: Redacted.make(url), applicationName, listen: false, maxConnections: 16 })),
    (context) => Context.get(context, JournalDriver)
  )

const worker: WorkerRef = { id: "w", incarnation: "1" }

const succeeded = { kind: "success", value: null } as const

type Operation = (driver: JournalDriver) => Effect.Effect<unknown, unknown>

/** Commits wait for rows only in a transaction. */
const commits = (driver: JournalDriver, ...all: ReadonlyArray<RunCommit>) =>
  driver.transaction(driver.commit({ worker, commits: all }))

/** Operations on `a` and `b`, named in the wrong order. The worker holds all runs, at epoch 1. */
const waiting: Readonly<Record<string, Operation>> = {
  "a commit of two runs": (driver) => commits(driver, emptyCommit("b", 1), emptyCommit("a", 1)),
  "a commit with a message to a run of a smaller id": (driver) =>
    commits(driver, { ...emptyCommit("b", 1), messages: [message("a", "m")] }),
  "a commit with a message to a run of a greater id": (driver) =>
    commits(driver, { ...emptyCommit("a", 1), messages: [message("b", "m")] }),
  "the end of a child, which wakes its parent": (driver) =>
    commits(driver, {
      ...emptyCommit("b", 1),
      transition: { _tag: "Finish", status: "completed", exit: succeeded, errorCode: null }
    }),
  "a delivery": (driver) => driver.deliver([message("b", "d"), message("a", "d")]),
  "terminating a parent": (driver) => driver.terminate({ runs: ["a"], by: null, reason: null }),
  "terminating a child": (driver) => driver.terminate({ runs: ["b"], by: null, reason: null }),
  "reconciling": (driver) => driver.reconcile({ worker, held: [], claimedBefore: 4e12 }),
  "retiring": (driver) => driver.retire(worker)
}

/** Operations that never wait for the row of a run. */
const passing: Readonly<Record<string, Operation>> = {
  "claiming": (driver) =>
    driver.claim({ worker, workflows: [{ name: "W", version: "1" }], queues: ["default"], limit: 10, hot: new Map() }),
  "reaping": (driver) => driver.reap({ limit: 10, maxCrashes: 1 }),
  "beating": (driver) => driver.heartbeat({ worker, leaseMillis: 1000, info: null }),
  "reading": (driver) => driver.get(["a", "b"]),
  "awaiting": (driver) => driver.await(["b", "a"])
}

/** Start `a` and its child `b`, claimed by the worker. */
const family = (driver: JournalDriver) =>
  Effect.gen(function*() {
    yield* driver.heartbeat({ worker, leaseMillis: 60_000, info: null })
    yield* driver.enqueue({ runs: [newRun("a"), newRun("b", "a")], claim: { worker, capacity: 2 } })
  })

const isWaiting = "select 1 from pg_stat_activity where application_name = 'under test' and wait_event_type = 'Lock'"

const isFree = (database: Database, run: string) =>
  Effect.map(
    database.rows("select id from perdure.runs where id = $1 for update skip locked", [run]),
    (rows) => rows.length === 1
  )

export const suite = (server: Server, { operations }: { readonly operations: number }): void => {
  describe(`row locks on ${server.name}`, () => {
    it.scopedLive("are taken in order of id by every operation that waits for them", () =>
      Effect.gen(function*() {
        const { url } = yield* freshOn(server)
        const database = yield* connect(url)
        const holder = yield* connect(url)
        const driver = yield* driverOf(url, "under test")
        for (const [name, operation] of Object.entries(waiting)) {
          for (const [blocked, other] of [["a", "b"], ["b", "a"]] as const) {
            yield* database.rows(
              "truncate perdure.runs, perdure.inputs, perdure.inbox, perdure.journal, perdure.workers"
            )
            yield* family(driver)
            yield* holder.rows("begin")
            yield* holder.rows("select 1 from perdure.runs where id = $1 for update", [blocked])
            const fiber = yield* Effect.fork(operation(driver))
            yield* database.until(isWaiting)
            // Only an operation that waits for the greater id has locked the smaller one.
            assert.strictEqual(yield* isFree(database, other), blocked === "a", `${name}, with ${blocked} locked`)
            yield* holder.rows("commit")
            yield* Fiber.join(fiber)
          }
        }
      }))

    it.scopedLive("are not waited for by operations that can use another run", () =>
      Effect.gen(function*() {
        const { url } = yield* freshOn(server)
        const database = yield* connect(url)
        const holder = yield* connect(url)
        const driver = yield* driverOf(url, "under test")
        yield* family(driver)
        yield* driver.enqueue({ runs: [newRun("c")], claim: null })
        yield* database.rows("update perdure.workers set lease_until = 'epoch'")
        yield* holder.rows("begin")
        yield* holder.rows("select 1 from perdure.runs for update")
        for (const [name, operation] of Object.entries(passing)) {
          const done = yield* Effect.timeoutOption(operation(driver), "20 seconds")
          assert.strictEqual(done._tag, "Some", name)
        }
        yield* holder.rows("commit")
      }))

    it.scopedLive("cause no deadlock among concurrent operations on the same runs", () =>
      Effect.gen(function*() {
        const { url } = yield* freshOn(server)
        const database = yield* connect(url)
        const deadlocks = Effect.map(
          database.rows("select deadlocks::int from pg_stat_database where datname = current_database()"),
          ([row]) => row?.["deadlocks"]
        )
        const drivers = [yield* driverOf(url, "one"), yield* driverOf(url, "two")]
        const workers = ["one", "two"].map((id): WorkerRef => ({ id, incarnation: "1" }))
        const PARENTS = 12
        const parents = Array.from({ length: PARENTS }, (_, i) => `p${String(i).padStart(2, "0")}`)
        // The ids of some children sort before all parents, of some after.
        const children = parents.flatMap((
          parent,
          i
        ) => [`${i % 2 === 0 ? "a" : "z"}${parent}`, `${i % 2 === 0 ? "z" : "a"}x${parent}`])
        const parentOf = (child: string) => `p${child.split("p")[1] ?? ""}`
        const all = [...parents, ...children]
        let serial = 0

        const some = (count: number) => Effect.map(Random.shuffle(all), (shuffled) => [...shuffled].slice(0, count))

        const one = (index: number) =>
          Effect.gen(function*() {
            const side = index % 2
            const driver = drivers[side] ?? assert.fail("no driver")
            const me = workers[side] ?? assert.fail("no worker")
            const targets = yield* some(6)
            const id = `${++serial}`
            switch (yield* Random.nextIntBetween(0, 20)) {
              case 0:
              case 10:
                return yield* driver.deliver(targets.map((to) => message(to, id)))
              case 1: {
                const [target = ""] = targets
                return yield* driver.terminate({ runs: [target], by: null, reason: null })
              }
              case 2: {
                yield* database.rows("update perdure.workers set lease_until = 'epoch' where id = $1", [me.id])
                return yield* driver.reap({ limit: 5, maxCrashes: 3 })
              }
              case 3:
              case 7:
              case 8:
              case 9:
                yield* driver.heartbeat({ worker: me, leaseMillis: 60_000, info: null })
                return yield* driver.claim({
                  worker: me,
                  workflows: [{ name: "W", version: "1" }],
                  queues: ["default"],
                  limit: 12,
                  hot: new Map()
                })
              case 4:
                return yield* driver.await(targets)
              case 5:
                return yield* driver.reconcile({ worker: me, held: targets, claimedBefore: 4e12 })
              case 6:
                // Runs that ended become pending again, so that work never runs out; others are new.
                yield* database.rows(
                  `update perdure.runs set status = 'pending', finished_at = null, exit_kind = null, available_at = now()
                where id in (
                  select id from perdure.runs where finished_at is not null order by id for update skip locked
                )`
                )
                return yield* driver.enqueue({
                  runs: [...targets, `${targets[0]}.${id}`, `b.${id}`].map((run) => newRun(run, null, "New")),
                  claim: { worker: me, capacity: 8 }
                })
              default: {
                // Commit at the epochs that were just read; concurrent operations make some of them stale.
                const { value: found } = yield* driver.get(all)
                const held = found.filter(({ status, worker }) => status === "running" && worker === me.id)
                const records = [...yield* Random.shuffle(held)].slice(0, 5)
                return yield* driver.commit({
                  worker: me,
                  commits: records.map(({ epoch, id: run, nextSeq }, place): RunCommit => ({
                    ...emptyCommit(run, epoch),
                    from: nextSeq,
                    entries: [{ seq: nextSeq, op: nextSeq, kind: "step", name: "s", exit: succeeded, at: 0 }],
                    children: [newRun(`${run}.${id}`, run, "New")],
                    messages: targets.filter((to) => to !== run).slice(0, 3).reverse().map((to) =>
                      message(to, `${id}/${run}`)
                    ),
                    transition: place === 0 && index % 3 === 0
                      ? { _tag: "Finish", status: "completed", exit: succeeded, errorCode: null }
                      : null
                  }))
                })
              }
            }
          })

        yield* drivers[0]?.enqueue({
          runs: all.map((run) => children.includes(run) ? newRun(run, parentOf(run)) : newRun(run)),
          claim: null
        }) ?? Effect.void
        yield* Effect.forEach(workers, (me, side) =>
          (drivers[side] ?? assert.fail("no driver")).heartbeat({ worker: me, leaseMillis: 60_000, info: null }))
        let failures: ReadonlyArray<string> = []
        yield* Effect.forEach(
          Array.from({ length: operations }, (_, index) =>
            index),
          (index) =>
            Effect.catchAll(one(index), (error) =>
              Effect.sync(() => {
                failures = [...failures, error.message]
              })),
          { concurrency: 10, discard: true }
        ).pipe(Effect.withRandom(Random.make("deadlocks")))
        assert.deepStrictEqual(failures, [])
        assert.strictEqual(yield* deadlocks, 0)
        const [ended] = yield* database.rows("select count(*)::int as entries from perdure.journal")
        assert.isAbove(Number(ended?.["entries"]), operations / 4)
      }), 120_000)
  })
}
