/** A thread extends a lease only while the event loop is busy, and not for ever. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ask, worker } from "./support/driver.js"
import { beat, block, kept, leaseMillis, renewed } from "./support/leaseThread.js"

describe("the thread of a lease", () => {
  it.scopedLive("lets it run out when the event loop was busy for longer than allowed", () =>
    Effect.gen(function*() {
      const { driver, keeper } = yield* kept(leaseMillis + 100)
      yield* block(3 * leaseMillis)
      assert.isBelow(keeper.remainingMillis(), 0)
      assert.deepStrictEqual(yield* beat(driver, keeper), { ...renewed, lapsed: true })
    }), 30_000)

  it.scopedLive(
    "has no connection while heartbeats come in time, and extends nothing after a stop",
    () =>
      Effect.gen(function*() {
        const { driver, keeper, url } = yield* kept(60_000)
        const connections = Effect.map(
          ask(
            url,
            "SELECT count(*)::int AS n FROM pg_stat_activity WHERE query LIKE '%extend_lease%' AND pid <> pg_backend_pid()"
          ),
          ([row]) => row?.["n"]
        )
        assert.strictEqual(yield* connections, 0)
        keeper.stop()
        yield* block(2 * leaseMillis)
        assert.isBelow(keeper.remainingMillis(), 0)
        assert.deepStrictEqual(yield* beat(driver, keeper), { ...renewed, lapsed: true })
      }),
    30_000
  )

  it.scopedLive("cannot extend the lease of another process that has the worker's id", () =>
    Effect.gen(function*() {
      const { driver, keeper } = yield* kept(60_000)
      yield* driver.retire(worker)
      const other = { ...worker, incarnation: "2" }
      yield* driver.heartbeat({ worker: other, leaseMillis, info: null })
      yield* block(3 * leaseMillis)
      assert.isBelow(keeper.remainingMillis(), 0)
      const { value } = yield* driver.heartbeat({ worker: other, leaseMillis, info: null })
      assert.deepStrictEqual(value, { ...renewed, lapsed: true })
    }), 30_000)
})
