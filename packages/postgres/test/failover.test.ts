/** A server that no longer accepts writes, because another one is the primary now. */
import { assert, describe, it } from "@effect/vitest"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import { JournalError } from "perdure/Errors"
import { ask, bareDriverOn, driverOn, newRun, server, worker } from "./support/driver.js"

describe("a server that became read-only", () => {
  it.scopedLive("gets no second statement on the same connection, so that the new primary is found", () =>
    Effect.gen(function*() {
      const { name, url } = yield* TestDatabase.freshOn(server)
      yield* driverOn(url)
      // Connections made now stay read-only, as those to a demoted server do. New ones reach the "new primary".
      yield* ask(server.url, `ALTER DATABASE ${name} SET default_transaction_read_only = on`)
      const driver = yield* bareDriverOn(url, { migrate: false })
      const start = (id: string) => driver.enqueue({ runs: [newRun(id)], claim: null })
      const read = Effect.forEach(["a", "b", "c"], (id) => driver.get([id]), { concurrency: "unbounded" })
      yield* read
      yield* ask(server.url, `ALTER DATABASE ${name} RESET default_transaction_read_only`)
      const error = yield* Effect.flip(start("a"))
      assert.instanceOf(error, JournalError)
      assert.deepStrictEqual([error.code, error.retryable], ["Unavailable", true])
      yield* Effect.forEach(["a", "b", "c", "d", "e", "f"], start, { concurrency: "unbounded" })
      yield* driver.heartbeat({ worker, leaseMillis: 1_000, info: null })
    }))
})
