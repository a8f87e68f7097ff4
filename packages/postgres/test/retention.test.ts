/** Retention by several processes at once, and beside transactions that lock the same runs. No test sleeps. */
import { assert, describe, it } from "@effect/vitest"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import type { JournalDriver } from "perdure/JournalDriver"
import { ask, commitOf, driverOn, finish, held, newRun, session, worker } from "./support/driver.js"

const rules = [{ workflow: "flow", statuses: ["completed"] as const, olderThanMillis: -1_000 }]

/** Deletes batches until no run is left. Returns the number of runs of each batch. */
const sweep = (driver: JournalDriver, limit: number) =>
  Effect.gen(function*() {
    const batches: Array<number> = []
    do batches.push((yield* driver.retain({ rules, limit })).value)
    while (batches.at(-1) !== 0)
    return batches
  })

const count = 600

/** Inserts finished runs, each with an entry and a message. */
const finished = (driver: JournalDriver) =>
  Effect.gen(function*() {
    const ids = Array.from({ length: count }, (_, n) => `r${String(n).padStart(4, "0")}`)
    const claimed = yield* held(driver, ...ids)
    yield* driver.commit({ worker, commits: claimed.map(({ id }) => commitOf(id, { transition: finish })) })
    return ids
  })

for (const server of TestDatabase.servers) {
  describe(`retention on ${server.name}`, () => {
    it.scopedLive("is shared by two processes without waiting", () =>
      Effect.gen(function*() {
        const { url } = yield* TestDatabase.freshOn(server)
        const drivers = [yield* driverOn(url), yield* driverOn(url)] as const
        yield* finished(drivers[0])
        const sweeps = yield* Effect.forEach(drivers, (driver) => sweep(driver, 20), { concurrency: 2 })
        assert.strictEqual(sweeps.flat().reduce((a, b) => a + b, 0), count)
        for (const table of ["runs", "inputs", "journal", "inbox", "published", "controls"]) {
          assert.deepStrictEqual(yield* ask(url, `SELECT count(*)::int AS n FROM perdure.${table}`), [{ n: 0 }], table)
        }
      }), 60_000)

    it.scopedLive("skips locked runs and deletes them later", () =>
      Effect.gen(function*() {
        const { url } = yield* TestDatabase.freshOn(server)
        const driver = yield* driverOn(url)
        yield* finished(driver)
        const other = yield* session(url)
        yield* other("BEGIN")
        yield* other("SELECT FROM perdure.runs WHERE id IN ('r0000', 'r0001') FOR UPDATE")
        const batches = yield* sweep(driver, 1_000)
        assert.deepStrictEqual(batches, [count - 2, 0])
        yield* other("COMMIT")
        assert.deepStrictEqual(yield* sweep(driver, 1_000), [2, 0])
      }), 60_000)

    it.scopedLive(
      "lets a run be started under a key whose run is being deleted: either start is the only one",
      () =>
        Effect.gen(function*() {
          const { url } = yield* TestDatabase.freshOn(server)
          const drivers = [yield* driverOn(url), yield* driverOn(url)] as const
          const keyed = Array.from({ length: 50 }, (_, n) => newRun(`old-${n}`, { idempotencyKey: `key-${n}` }))
          yield* drivers[0].enqueue({ runs: keyed, claim: { worker, capacity: 50 } })
          yield* drivers[0].commit({ worker, commits: keyed.map(({ id }) => commitOf(id, { transition: finish })) })
          const again = keyed.map((run, n) => ({ ...run, id: `new-${n}`, root: `new-${n}` }))
          const [deleted, answers] = yield* Effect.all([
            sweep(drivers[0], 7),
            Effect.forEach(again, (run) => drivers[1].enqueue({ runs: [run], claim: null }))
          ], { concurrency: 2 })
          assert.strictEqual(deleted.reduce((a, b) => a + b, 0), 50)
          const started = answers.flatMap(({ value }) => value.filter(({ _tag }) => _tag === "Started"))
          const there = yield* drivers[0].count({ workflows: ["flow"] })
          assert.deepStrictEqual(there.value, started.length === 0 ? {} : { pending: started.length })
        }),
      60_000
    )
  })
}
