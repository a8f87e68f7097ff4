/**
 * Windows in which statements would deadlock if they did not lock in one order. Each window is forced: a gate holds a
 * row in the middle, so that one operation stands still with half of its locks, while another one that names the same
 * rows the other way round begins. Then the gate opens. Nothing sleeps: the database says who waits.
 */
import { assert, describe, it } from "@effect/vitest"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { JournalDriver } from "perdure/JournalDriver"
import { ask, commitOf, driverOn, finish, held, newRun, session, signal, worker } from "./support/driver.js"

/** Until so many backends of this database wait for a lock. */
const waiting = (url: string, count: number) =>
  Effect.repeat(
    ask(
      url,
      `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
    ),
    { until: ([row]) => Number(row?.["n"]) >= count }
  )

/** `left` stands still at row `m` with the locks before it; `right` begins; `m` is let go. */
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

/** Operations that touch `a`, `m` and `z`, and name them in the given order. */
const operations: Readonly<
  Record<string, (driver: JournalDriver, order: ReadonlyArray<string>) => Effect.Effect<unknown, unknown>>
> = {
  "deliver": (driver, order) => driver.deliver(order.map((to) => signal(to, `by deliver ${order.join("")}`))),
  "commits of own runs": (driver, order) => driver.commit({ worker, commits: order.map((run) => commitOf(run)) }),
  "commits that end": (driver, order) =>
    driver.commit({ worker, commits: order.map((run) => commitOf(run, { transition: finish })) }),
  "commits that suspend": (driver, order) =>
    driver.commit({
      worker,
      commits: order.map((run) => commitOf(run, { transition: { _tag: "Suspend", until: Infinity, waiting: [] } }))
    }),
  "a commit with messages": (driver, order) =>
    driver.commit({
      worker,
      commits: [commitOf(order[0] ?? "", { messages: order.map((to) => signal(to, `by commit ${order.join("")}`)) })]
    }),
  "await": (driver, order) => driver.await(order),
  "retire": (driver) => driver.retire(worker),
  "reconcile": (driver) => driver.reconcile({ worker, held: [], claimedBefore: Infinity })
}

const pairs = Object.keys(operations).flatMap((left, index, all) =>
  all.slice(index).map((right) => [left, right] as const)
)

for (const server of TestDatabase.servers) {
  describe(`locks on ${server.name}`, () => {
    it.scopedLive(
      "the window is real: statements that lock as they are asked do deadlock in it",
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
      it.scopedLive(`${left}, and ${right} the other way round`, () =>
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
      "a family that is terminated, its members' commits, and its end by a child",
      () =>
        Effect.gen(function*() {
          const { url } = yield* TestDatabase.freshOn(server)
          const [one, other] = [yield* driverOn(url), yield* driverOn(url)]
          // Children before and behind their parent in the order of ids.
          yield* held(one, "m")
          const child = (id: string) => newRun(id, { parent: { id: "m", token: id, attached: true } })
          yield* one.enqueue({ runs: [child("a"), child("z")], claim: { worker, slots: 2 } })
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
      "reap does not wait for anybody: what is locked is left for the next sweep",
      () =>
        Effect.gen(function*() {
          const { url } = yield* TestDatabase.freshOn(server)
          const driver = yield* driverOn(url)
          yield* held(driver, "m")
          const child = (id: string) => newRun(id, { parent: { id: "m", token: id, attached: true } })
          yield* driver.enqueue({ runs: [child("a"), child("z")], claim: { worker, slots: 2 } })
          yield* ask(url, "DELETE FROM perdure.workers")
          const gate = yield* session(url)
          yield* gate("BEGIN")
          yield* gate("SELECT FROM perdure.runs WHERE id IN ('a', 'm') FOR UPDATE")
          // `a` is locked; `z` would end, and its parent `m` cannot be told now.
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

    it.scopedLive("a run that is locked is not claimed, and nobody waits for it", () =>
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
