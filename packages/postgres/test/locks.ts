/**
 * Lock order (rule 4). Each test makes the moment at which statements without one order would deadlock: a transaction
 * locks the middle row, so that one operation waits with half of its locks while another one, which names the same rows
 * in the opposite order, starts. Then the transaction ends. No test sleeps: the database reports which backends wait.
 * Commits wait for locks only inside a transaction.
 */
import { assert, describe, it } from "@effect/vitest"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { CommitResult, JournalDriver, RunCommit } from "perdure/JournalDriver"
import { ask, commitOf, driverOn, finish, held, newRun, session, signal, worker } from "./support/driver.js"

/** Waits until `count` backends of this database wait for a lock. */
const waiting = (url: string, count: number) =>
  Effect.repeat(
    ask(
      url,
      `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
    ),
    { until: ([row]) => Number(row?.["n"]) >= count }
  )

/** `left` waits for row `m` with the locks before it, `right` starts, and then `m` is unlocked. */
const forced = <A, B>(url: string, left: Effect.Effect<A, unknown>, right: Effect.Effect<B, unknown>) =>
  Effect.gen(function*() {
    const gate = yield* session(url)
    yield* gate("BEGIN")
    yield* gate("SELECT FROM perdure.runs WHERE id = 'm' FOR UPDATE")
    const first = yield* Effect.fork(left)
    yield* waiting(url, 1)
    const second = yield* Effect.fork(right)
    yield* waiting(url, 2)
    yield* gate("COMMIT")
    return [yield* Fiber.await(first), yield* Fiber.await(second)] as const
  })

const ids = ["a", "b", "m", "y", "z"]

const commitInside = (driver: JournalDriver, commits: ReadonlyArray<RunCommit>) =>
  driver.transaction(driver.commit({ worker, commits }))

/** Commits that touch `m` beside others, and their results while `m` is locked. */
const besideLocked: Readonly<
  Record<string, { readonly commits: ReadonlyArray<RunCommit>; readonly results: ReadonlyArray<CommitResult["_tag"]> }>
> = {
  "of own runs": {
    commits: ["a", "m", "z"].map((run) => commitOf(run)),
    results: ["Applied", "Locked", "Applied"]
  },
  "that suspend and end": {
    commits: [
      commitOf("a", { transition: { _tag: "Suspend", until: Infinity, waiting: [] } }),
      commitOf("m", { transition: finish }),
      commitOf("z", { transition: finish })
    ],
    results: ["Applied", "Locked", "Applied"]
  },
  "with messages": {
    commits: [
      commitOf("a", { messages: [signal("m", "to a locked run")] }),
      commitOf("b", { messages: [signal("y", "to a run"), signal("no-such-run", "to no run")] }),
      commitOf("z")
    ],
    results: ["Locked", "Applied", "Applied"]
  }
}

/** Operations that change `a`, `m` and `z`, and name them in the given order. */
const operations: Readonly<
  Record<string, (driver: JournalDriver, order: ReadonlyArray<string>) => Effect.Effect<unknown, unknown>>
> = {
  "deliver": (driver, order) => driver.deliver(order.map((to) => signal(to, `by deliver ${order.join("")}`))),
  "commits of own runs": (driver, order) => commitInside(driver, order.map((run) => commitOf(run))),
  "commits that end": (driver, order) =>
    commitInside(driver, order.map((run) => commitOf(run, { transition: finish }))),
  "commits that suspend": (driver, order) =>
    commitInside(
      driver,
      order.map((run) => commitOf(run, { transition: { _tag: "Suspend", until: Infinity, waiting: [] } }))
    ),
  "a commit with messages": (driver, order) =>
    commitInside(driver, [
      commitOf(order[0] ?? "", { messages: order.map((to) => signal(to, `by commit ${order.join("")}`)) })
    ]),
  "retire": (driver) => driver.retire(worker),
  "reconcile": (driver) => driver.reconcile({ worker, held: [], claimedBefore: Infinity })
}

const pairs = Object.keys(operations).flatMap((left, index, all) =>
  all.slice(index).map((right) => [left, right] as const)
)

export const suite = (server: TestDatabase.Server): void => {
  describe(`locks on ${server.name}`, () => {
    it.scopedLive(
      "deadlock if statements lock rows in the order of their requests",
      () =>
        Effect.gen(function*() {
          const { url } = yield* TestDatabase.freshOn(server)
          const driver = yield* driverOn(url)
          yield* held(driver, ...ids)
          const naive = (order: ReadonlyArray<string>) =>
            Effect.gen(function*() {
              const run = yield* session(url)
              yield* run("BEGIN")
              for (const id of order) yield* run("SELECT FROM perdure.runs WHERE id = $1 FOR UPDATE", id)
              yield* run("COMMIT")
            }).pipe(Effect.scoped)
          const exits = yield* forced(url, naive(["a", "m", "z"]), naive(["z", "m", "a"]))
          assert.isTrue(exits.some((exit) => Exit.isFailure(exit) && String(exit.cause).includes("deadlock")))
        }),
      30_000
    )

    for (const [left, right] of pairs) {
      it.scopedLive(`do not deadlock for ${left} and ${right} in opposite orders`, () =>
        Effect.gen(function*() {
          const { url } = yield* TestDatabase.freshOn(server)
          const [one, other] = [yield* driverOn(url), yield* driverOn(url)]
          yield* held(one, ...ids)
          const order = ["a", "m", "z"]
          const exits = yield* forced(
            url,
            operations[left]?.(one, order) ?? Effect.void,
            operations[right]?.(other, order.toReversed()) ?? Effect.void
          )
          assert.deepStrictEqual(exits.map((exit) => exit._tag), ["Success", "Success"], String(exits))
        }), 30_000)
    }

    it.scopedLive(
      "do not deadlock for a terminate of a family beside commits of its members",
      () =>
        Effect.gen(function*() {
          const { url } = yield* TestDatabase.freshOn(server)
          const [one, other] = [yield* driverOn(url), yield* driverOn(url)]
          // Children before and after their parent in the order of ids.
          yield* held(one, "m")
          const child = (id: string) => newRun(id, { parent: { id: "m", token: id, attached: true } })
          yield* one.enqueue({ runs: [child("a"), child("z")], claim: { worker, capacity: 2 } })
          const exits = yield* forced(
            url,
            one.terminate({ runs: ["m"], by: null, reason: null }),
            other.commit({
              worker,
              commits: [commitOf("z", { transition: finish }), commitOf("m"), commitOf("a", { transition: finish })]
            })
          )
          assert.deepStrictEqual(exits.map((exit) => exit._tag), ["Success", "Success"], String(exits))
        }),
      30_000
    )

    it.scopedLive(
      "do not delay a reaping: locked runs are left for the next one",
      () =>
        Effect.gen(function*() {
          const { url } = yield* TestDatabase.freshOn(server)
          const driver = yield* driverOn(url)
          yield* held(driver, "m")
          const child = (id: string) => newRun(id, { parent: { id: "m", token: id, attached: true } })
          yield* driver.enqueue({ runs: [child("a"), child("z")], claim: { worker, capacity: 2 } })
          yield* ask(url, "DELETE FROM perdure.workers")
          const gate = yield* session(url)
          yield* gate("BEGIN")
          yield* gate("SELECT FROM perdure.runs WHERE id IN ('a', 'm') FOR UPDATE")
          // `a` is locked. `z` would end, but its parent `m` is locked.
          assert.deepStrictEqual((yield* driver.reap({ limit: 10, maxCrashes: 1 })).value, {
            released: 0,
            exhausted: 0
          })
          yield* gate("COMMIT")
          assert.deepStrictEqual((yield* driver.reap({ limit: 10, maxCrashes: 1 })).value, {
            released: 0,
            exhausted: 3
          })
        }),
      30_000
    )

    for (const [name, { commits, results }] of Object.entries(besideLocked)) {
      it.scopedLive(
        `delay only the commits that touch a locked row: commits ${name}`,
        () =>
          Effect.gen(function*() {
            const { url } = yield* TestDatabase.freshOn(server)
            const driver = yield* driverOn(url)
            yield* held(driver, ...ids)
            const gate = yield* session(url)
            yield* gate("BEGIN")
            yield* gate("SELECT FROM perdure.runs WHERE id = 'm' FOR UPDATE")
            const first = (yield* driver.commit({ worker, commits })).value
            assert.deepStrictEqual(first.map(({ _tag }) => _tag), results)
            yield* gate("COMMIT")
            const locked = commits.filter((_, index) => results[index] === "Locked")
            assert.deepStrictEqual(
              (yield* driver.commit({ worker, commits: locked })).value.map(({ _tag }) => _tag),
              ["Applied"]
            )
          }),
        30_000
      )
    }

    it.scopedLive("of a parent delay only the commits of its children", () =>
      Effect.gen(function*() {
        const { url } = yield* TestDatabase.freshOn(server)
        const driver = yield* driverOn(url)
        yield* held(driver, "m", "y")
        const child = newRun("a", { parent: { id: "m", token: "a", attached: true } })
        yield* driver.enqueue({ runs: [child], claim: { worker, capacity: 1 } })
        const gate = yield* session(url)
        yield* gate("BEGIN")
        yield* gate("SELECT FROM perdure.runs WHERE id = 'm' FOR UPDATE")
        const commits = [commitOf("a", { transition: finish }), commitOf("y", { transition: finish })]
        assert.deepStrictEqual(
          (yield* driver.commit({ worker, commits })).value.map(({ _tag }) => _tag),
          ["Locked", "Applied"]
        )
        yield* gate("COMMIT")
        assert.deepStrictEqual(
          (yield* driver.commit({ worker, commits })).value.map(({ _tag }) => _tag),
          ["Applied", "Applied"]
        )
        assert.lengthOf((yield* driver.inbox([{ run: "m", after: 0 }])).value[0]?.messages ?? [], 1)
      }), 30_000)

    it.scopedLive("do not delay those who wait for runs", () =>
      Effect.gen(function*() {
        const { url } = yield* TestDatabase.freshOn(server)
        const driver = yield* driverOn(url)
        yield* held(driver, ...ids)
        const gate = yield* session(url)
        yield* gate("BEGIN")
        yield* gate("SELECT FROM perdure.runs WHERE id = 'm' FOR UPDATE")
        const { value } = yield* driver.await(ids)
        assert.deepStrictEqual(value.map(({ id, status }) => `${id} ${status}`), ids.map((id) => `${id} running`))
        const marked = yield* ask(url, "SELECT id FROM perdure.runs WHERE awaited ORDER BY id")
        assert.deepStrictEqual(marked.map((row) => row["id"]), ["a", "b", "y", "z"])
        yield* gate("COMMIT")
      }), 30_000)

    it.scopedLive("do not delay a claim: locked runs are skipped", () =>
      Effect.gen(function*() {
        const { url } = yield* TestDatabase.freshOn(server)
        const driver = yield* driverOn(url)
        yield* driver.enqueue({ runs: ids.map((id) => newRun(id)), claim: null })
        const gate = yield* session(url)
        yield* gate("BEGIN")
        yield* gate("SELECT FROM perdure.runs WHERE id = 'm' FOR UPDATE")
        const claimed = yield* driver.claim({
          worker,
          workflows: [{ name: "flow", version: "1" }],
          queues: ["q"],
          limit: 10,
          hot: new Map()
        })
        assert.deepStrictEqual(claimed.value.runs.map(({ id }) => id), ["a", "b", "y", "z"])
        yield* gate("COMMIT")
      }), 30_000)
  })
}
