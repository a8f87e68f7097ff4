/** A thread extends the lease of a worker whose event loop is busy, and only then, and not for ever. */
import { assert, describe, it } from "@effect/vitest"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Step from "perdure/Step"
import * as Worker from "perdure/Worker"
import * as Workflow from "perdure/Workflow"
import * as LeaseThread from "../src/LeaseThread.js"
import * as PgJournal from "../src/PgJournal.js"
import { server, worker } from "./support/driver.js"
import { beat, block, kept, leaseMillis, renewed } from "./support/leaseThread.js"

describe("the thread of a lease", () => {
  it.scopedLive(
    "extends it while the event loop is busy, so that no other worker takes its runs",
    () =>
      Effect.gen(function*() {
        const { driver, keeper } = yield* kept(60_000)
        assert.isBelow(keeper.remainingMillis(), 0)
        yield* block(3 * leaseMillis)
        assert.isAbove(keeper.remainingMillis(), 0)
        assert.deepStrictEqual(yield* beat(driver, keeper), renewed)
      }),
    30_000
  )

  it.scopedLive(
    "lets a step that computes for three leases execute once, beside a worker that reaps",
    () =>
      Effect.gen(function*() {
        const lines: Array<string> = []
        const logger = Logger.make(({ message }) => void lines.push(String(message)))
        const Heavy = Workflow.make("Heavy", { payload: {}, success: Schema.Number })
        let bodies = 0
        const compute = Effect.zipRight(block(3 * leaseMillis), Effect.sync(() => ++bodies))
        const { url } = yield* TestDatabase.freshOn(server)
        const journal = PgJournal.layer({ url: Redacted.make(url) })
        const options = { leaseDuration: leaseMillis, maxCrashes: 2 }
        yield* Layer.build(Layer.provide(Worker.layer(options), journal))
        const main = Heavy.toLayer(() => Step.run("compute", compute, { success: Schema.Number })).pipe(
          Layer.merge(Worker.layer(options)),
          Layer.provideMerge(PgJournal.layer({ url: Redacted.make(url) })),
          Layer.provide(Logger.add(logger))
        )
        const context = yield* Layer.build(main)
        assert.strictEqual(yield* Effect.provide(Heavy.execute({}), context), 1)
        assert.strictEqual(bodies, 1)
        assert.include(lines.join("\n"), "kept the event loop busy")
      }),
    60_000
  )

  it.scopedLive("is left out, with a warning, if its options cannot be copied to a thread", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      const ssl = { checkServerIdentity: () => undefined }
      const keep = LeaseThread.keepLease({ ssl }, "perdure")
      const keeper = yield* Effect.provide(keep({ worker, leaseMillis, busyMillis: 1 }), Logger.add(logger))
      assert.isBelow(keeper.remainingMillis(), 0)
      assert.include(lines.join(), "no thread keeps the lease")
    }))
})
