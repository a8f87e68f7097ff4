/** Slow SQL of the application, in real time, on the client of the journal. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as TestDatabase from "@perdure/testing/TestDatabase"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Step from "perdure/Step"
import * as Worker from "perdure/Worker"
import * as Workflow from "perdure/Workflow"
import * as PgJournal from "../src/PgJournal.js"
import { ask, server } from "./support/driver.js"

const Slow = Workflow.make("Slow", { payload: {} })

describe("a step that takes longer than the lease in SQL of the journal's client", () => {
  it.scopedLive("is executed once for each of 24 runs by two workers", () =>
    Effect.gen(function*() {
      const { url } = yield* TestDatabase.freshOn(server)
      let bodies = 0
      const live = Slow.toLayer(() =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          const count = Effect.sync(() => {
            bodies++
          })
          yield* Step.run("slow", Effect.asVoid(Effect.orDie(Effect.zipRight(count, sql`SELECT pg_sleep(9)`))))
        })
      )
      const worker = Layer.provideMerge(
        Layer.merge(live, Worker.layer({ leaseDuration: "5 seconds", concurrency: 12 })),
        PgJournal.layer({ url: Redacted.make(url) })
      )
      const context = yield* Layer.build(worker)
      yield* Layer.build(Layer.fresh(worker))
      const runs = yield* Effect.provide(Slow.startAll(Array.from({ length: 24 }, () => ({}))), context)
      yield* Effect.forEach(runs, (run) => run.result, { concurrency: "unbounded" })
      assert.strictEqual(bodies, 24)
      const statuses = yield* ask(
        url,
        "SELECT status, count(*)::int AS n, max(epoch) AS epoch FROM perdure.runs GROUP BY 1"
      )
      assert.deepStrictEqual(statuses, [{ status: "completed", n: 24, epoch: 1 }])
    }), 120_000)
})
