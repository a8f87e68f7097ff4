/** A worker with a lease that a thread keeps. */
import { assert } from "@effect/vitest"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import type { JournalDriver, LeaseKeeper } from "perdure/JournalDriver"
import { bareDriverOn, server, worker } from "./driver.js"

/** Long enough for a slow machine to connect in half of it. */
export const leaseMillis = 2_000

/** Keeps the event loop busy: no timer fires and no socket is served meanwhile. */
export const block = (millis: number) =>
  Effect.sync(() => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, millis)
  })

export const beat = (driver: JournalDriver, keeper: LeaseKeeper) =>
  Effect.map(driver.heartbeat({ worker, leaseMillis, info: null }), ({ value }) => {
    keeper.beat()
    return value
  })

/** A worker with a lease that a thread keeps, on a fresh database. */
export const kept = (busyMillis: number) =>
  Effect.gen(function*() {
    const { url } = yield* TestDatabase.freshOn(server)
    const driver = yield* bareDriverOn(url)
    if (driver.keepLease === undefined) return assert.fail("the driver keeps no lease")
    const keeper = yield* driver.keepLease({ worker, leaseMillis, busyMillis })
    yield* beat(driver, keeper)
    return { url, driver, keeper }
  })

export const renewed = { _tag: "Renewed", lapsed: false, ping: null } as const
